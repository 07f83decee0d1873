import type { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import { type Descriptor, parseManifest } from '../oci/manifest.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { listReferrers } from '../registry/referrers.ts';
import { BUNDLE_TYPE, PREDICATE_ANNOTATION, parseBundle } from './bundle.ts';
import type { Identity } from './identity.ts';
import { PAYLOAD_TYPE, SIGNATURE_PREDICATE, STATEMENT_TYPE } from './statement.ts';

/** Checks bundles against one trusted root. */
export class BundleVerifier {
  readonly #verifier: Verifier;

  constructor(root: TrustedRoot) {
    this.#verifier = new Verifier(toTrustMaterial(root));
  }

  /**
   * Verifies that a bundle is a signature of this digest, made by somebody whom the trusted root vouches for.
   * The library checks certificate, log, time and signature; what the statement says is checked here.
   * @throws ManifoldError `signature-unverified` with the reason
   */
  verify(bytes: Uint8Array, digest: Digest): Identity {
    const bundle = parseBundle(bytes);
    if (bundle.content.$case !== 'dsseEnvelope') throw refused('it holds no statement');
    let identity: { subjectAlternativeName?: string; extensions?: { issuer?: string } } | undefined;
    try {
      identity = this.#verifier.verify(toSignedEntity(bundle)).identity;
    } catch (error) {
      throw refused(oneLine(messageOf(error)), error);
    }
    checkStatement(bundle.content.dsseEnvelope, digest);
    const name = identity?.subjectAlternativeName;
    const issuer = identity?.extensions?.issuer;
    if (name === undefined || issuer === undefined)
      throw refused('its certificate names no identity or no issuer');
    return { name, issuer };
  }
}

const statement = v.looseObject({
  _type: v.literal(STATEMENT_TYPE),
  predicateType: v.string(),
  subject: v.array(v.looseObject({ digest: v.record(v.string(), v.string()) })),
});

function checkStatement(envelope: { payloadType: string; payload: Uint8Array }, digest: Digest): void {
  if (envelope.payloadType !== PAYLOAD_TYPE)
    throw refused(`its payload is ${oneLine(envelope.payloadType)}, no in-toto statement`);
  const { predicateType, subject } = parseDocument(statement, envelope.payload, 'The statement', {
    code: 'signature-unverified',
  });
  if (predicateType !== SIGNATURE_PREDICATE)
    throw refused(`it states ${oneLine(predicateType)}, which is no signature`);
  if (!subject.some(({ digest: named }) => named.sha256 === hexOf(digest))) {
    throw refused('it is about another image than the one it is attached to');
  }
}

function refused(reason: string, cause?: unknown): ManifoldError {
  return new ManifoldError('signature-unverified', `The signature is not valid: ${reason}.`, { cause });
}

/** Faults of what is attached; all others are faults of the registry, and then nothing can be said. */
const ABOUT_THE_SIGNATURE = new Set<string>([
  'signature-unverified',
  'invalid-document',
  'digest-mismatch',
  'registry-not-found',
]);

/** What was found of one manifest's signatures. */
export interface SignatureSearch {
  /** Identities whose signature verified. */
  readonly valid: readonly Identity[];
  /** Why each of the others did not. */
  readonly invalid: readonly string[];
}

/**
 * Reads all signatures of a manifest from the registry and verifies them.
 * @throws ManifoldError when the registry could not be read: this is never "unsigned"
 */
export async function searchSignatures(
  client: RepositoryClient,
  digest: Digest,
  verifier: BundleVerifier,
): Promise<SignatureSearch> {
  const referrers = (await listReferrers(client, digest)).filter(isSignature);
  const valid: Identity[] = [];
  const invalid: string[] = [];
  await Promise.all(
    referrers.map(async referrer => {
      try {
        valid.push(verifier.verify(await readBundle(client, referrer, digest), digest));
      } catch (error) {
        if (!(error instanceof ManifoldError) || !ABOUT_THE_SIGNATURE.has(error.code)) throw error;
        invalid.push(error.message);
      }
    }),
  );
  return { valid, invalid };
}

/** Attestations are bundles too; where the listing says which predicate one has, others than ours are not read. */
function isSignature(referrer: Descriptor): boolean {
  if (referrer.artifactType !== BUNDLE_TYPE) return false;
  const predicate = referrer.annotations?.[PREDICATE_ANNOTATION];
  return predicate === undefined || predicate === SIGNATURE_PREDICATE;
}

const LARGEST_BUNDLE = 1024 * 1024;

async function readBundle(client: RepositoryClient, referrer: Descriptor, subject: Digest): Promise<Buffer> {
  const where = `${client.name}@${referrer.digest}`;
  const manifest = parseManifest(await client.getManifest(referrer.digest), where);
  const [layer] = manifest.layers;
  if (layer === undefined || manifest.subject?.digest !== subject) {
    throw new ManifoldError(
      'signature-unverified',
      `${where} is listed as a signature of ${subject}, but does not refer to it.`,
    );
  }
  // Whoever may push writes this size; a bundle has some ten thousand bytes.
  if (layer.mediaType !== BUNDLE_TYPE || layer.size > LARGEST_BUNDLE) {
    throw new ManifoldError(
      'signature-unverified',
      `${where} is listed as a signature, but holds no Sigstore bundle.`,
    );
  }
  return client.getBlob(layer);
}
