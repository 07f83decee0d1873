import { messageOf } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { type Layer, type ManifestContent, MEDIA_TYPE, parseManifest } from '../oci/manifest.ts';
import { type Gate, inParallel } from '../parallel.ts';
import type { RepositoryClient } from '../registry/client.ts';
import { parseStatement, type Statement } from '../sign/attested-statement.ts';
import { Flaw } from '../sign/flaw.ts';
import { isAboutContent } from '../sign/foreign-content.ts';
import { PAYLOAD_TYPE } from '../sign/statement.ts';
import { disagreement, type Origin, readProvenance } from './provenance.ts';
import type { Attestation } from './report.ts';
import { isAbout, kindOf, sbomFormat, shownType } from './statement.ts';

/** BuildKit's annotation on each layer of an attestation manifest (docs/attestations/attestation-storage.md). */
const PREDICATE_TYPE = 'in-toto.io/predicate-type';
/** A build makes two or three. */
const MOST_LAYERS = 32;
const READS_AT_A_TIME = 4;

/** What reading an attestation takes. */
export interface AttestationContext {
  readonly client: RepositoryClient;
  /** What provenance must say. */
  readonly expected: Origin;
  /** An SBOM may have many megabytes: only so many of that size are in memory at a time. */
  readonly largeDocuments: Gate;
}

/** Provenance and signed bundles are smaller. Bytes. */
const LARGE = 1024 * 1024;

/** Reads a document, and does with it what is to be done while it is in memory. */
export function withDocument<T>(
  { client, largeDocuments }: AttestationContext,
  layer: Layer,
  use: (bytes: Buffer) => T,
): Promise<T> {
  const work = async (): Promise<T> => use(await client.getBlob(layer));
  return layer.size > LARGE ? largeDocuments.run(work) : work();
}

/**
 * Reads what BuildKit says about an image of the index: an attestation manifest, in either of its forms, with in-toto
 * statements for layers.
 * @param about the image, as the index says
 * @param members all manifests that the index names
 * @throws ManifoldError `registry-…` when the registry could not be asked, `invalid-document` for what is no manifest
 */
export async function readAttestations(
  content: ManifestContent,
  about: Digest | undefined,
  members: ReadonlySet<Digest>,
  context: AttestationContext,
): Promise<Attestation[]> {
  const { digest: holder } = content;
  const { layers, subject } = parseManifest(content, `${context.client.name}@${holder}`);
  const statements = layers.filter(({ mediaType }) => mediaType === MEDIA_TYPE.inToto);
  const illegible = (reason: string): Attestation[] => [
    { ...blank(holder, about, undefined), fault: 'illegible', reason },
  ];
  if (statements.length === 0) return illegible('it holds no in-toto statement');
  if (statements.length > MOST_LAYERS) return illegible(`it holds more than ${MOST_LAYERS} statements`);
  if (about === undefined || !members.has(about) || (subject?.digest ?? about) !== about) {
    const reason = misplacement(about, members, subject?.digest);
    return statements.map(layer => ({
      ...blank(holder, about, typeOf(layer)),
      fault: 'wrong-subject',
      reason,
    }));
  }
  return inParallel(statements, READS_AT_A_TIME, layer => readLayer(layer, holder, about, context));
}

function misplacement(
  about: Digest | undefined,
  members: ReadonlySet<Digest>,
  subject: Digest | undefined,
): string {
  if (about === undefined) return 'the index does not say which image it is about';
  if (!members.has(about)) return `it is about ${about}, which the index does not name`;
  return `the index says that it is about ${about}, and it says itself that it is about ${subject}`;
}

function typeOf({ annotations }: Layer): string | undefined {
  return annotations?.[PREDICATE_TYPE];
}

function blank(holder: Digest, about: Digest | undefined, predicateType: string | undefined): Attestation {
  return {
    origin: 'buildkit',
    holder,
    about,
    predicateType,
    kind: kindOf(predicateType),
    fault: undefined,
    reason: '',
    signatory: undefined,
    provenance: undefined,
    format: undefined,
  };
}

async function readLayer(
  layer: Layer,
  holder: Digest,
  about: Digest,
  context: AttestationContext,
): Promise<Attestation> {
  const stated = typeOf(layer);
  const attestation = blank(holder, about, stated);
  try {
    return await withDocument(context, layer, payload => {
      const statement = parseStatement({ payloadType: PAYLOAD_TYPE, payload });
      if (stated !== undefined && stated !== statement.predicateType) {
        const reason = `its predicate is ${shownType(statement.predicateType)}, and the manifest around it says ${shownType(stated)}`;
        return { ...attestation, fault: 'wrong-type', reason };
      }
      return { ...attestation, ...judgeStatement(statement, about, context.expected) };
    });
  } catch (error) {
    if (error instanceof Flaw) return { ...attestation, fault: error.fault, reason: error.message };
    if (!isAboutContent(error)) throw error;
    return { ...attestation, fault: 'illegible', reason: sentence(error) };
  }
}

/** What an error says, to stand within another sentence. */
export function sentence(error: unknown): string {
  const message = messageOf(error).replace(/\.$/, '');
  return message.replace(/^(?:The|It|An|Reading|Listing) /, word => word.toLowerCase());
}

/** What a statement tells of an image, and what is wrong with that. */
export type StatementJudgement = Pick<
  Attestation,
  'predicateType' | 'kind' | 'fault' | 'reason' | 'provenance' | 'format'
>;

/** Holds a statement against the image that it is attached to, and against what was expected of its provenance. */
export function judgeStatement(statement: Statement, about: Digest, expected: Origin): StatementJudgement {
  const { predicateType } = statement;
  const kind = kindOf(predicateType);
  const result = {
    predicateType,
    kind,
    fault: undefined,
    reason: '',
    provenance: undefined,
    format: undefined,
  };
  if (!isAbout(statement, about))
    return {
      ...result,
      fault: 'wrong-subject',
      reason: 'it is about another image than the one that it is attached to',
    };
  try {
    if (kind === 'sbom') return { ...result, format: sbomFormat(statement) };
    if (kind === 'other') return result;
    const provenance = readProvenance(statement);
    return { ...result, provenance, ...disagreement(provenance, expected) };
  } catch (error) {
    if (!isAboutContent(error)) throw error;
    return { ...result, fault: 'illegible', reason: sentence(error) };
  }
}
