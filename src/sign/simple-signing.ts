import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { oneLine } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { anyObject, textsOf } from './attested-statement.ts';
import { Flaw, saidBy } from './flaw.ts';

/** What cosign calls its payloads; those of containers/image are `atomic container signature`. */
const SIGNATURE_TYPE = 'cosign container image signature';

const payload = v.object({
  critical: v.object({
    identity: v.object({ 'docker-reference': v.string() }),
    image: v.object({ 'docker-manifest-digest': v.string() }),
    type: v.string(),
  }),
  optional: v.nullish(anyObject),
});

/** Docker Hub is known to verifiers by the name that go-containerregistry gives it. */
export function dockerReferenceOf(repository: string): string {
  return repository.replace(/^docker\.io\//, 'index.docker.io/');
}

/**
 * What a signature in the older format is made over ("simple signing", containers/image, containers-signature.5.md), byte
 * for byte as cosign writes it.
 * @param dockerReference the repository, as go-containerregistry writes it: `index.docker.io/library/app`, `ghcr.io/acme/app`
 * @param annotations what `cosign sign -a` adds
 */
export function simpleSigningPayload(
  dockerReference: string,
  digest: Digest,
  annotations: Readonly<Record<string, string>> = {},
): Buffer {
  const entries = Object.entries(annotations).sort(([a], [b]) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  // Written by hand, as objects have an order of their own for keys that are numbers.
  const optional = entries.map(([key, value]) => `${goJson(key)}:${goJson(value)}`).join(',');
  const identity = `{"docker-reference":${goJson(dockerReference)}}`;
  const image = `{"docker-manifest-digest":${goJson(digest)}}`;
  const critical = `{"identity":${identity},"image":${image},"type":${goJson(SIGNATURE_TYPE)}}`;
  return Buffer.from(
    `{"critical":${critical},"optional":${entries.length === 0 ? 'null' : `{${optional}}`}}`,
  );
}

/** Go also escapes what would mean something in HTML, and the line ends of Unicode (encoding/json, HTMLEscape). */
function goJson(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    sign => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Makes sure that a payload says "this image is signed", and of which.
 * @returns what `cosign sign -a` added
 * @throws Flaw `illegible`, `wrong-predicate`, `wrong-subject`
 */
export function requirePayloadOf(bytes: Uint8Array, digest: Digest): Readonly<Record<string, string>> {
  const { critical, optional } = parsePayload(bytes);
  if (critical.type !== SIGNATURE_TYPE)
    throw new Flaw(
      'wrong-predicate',
      `its payload is of the type ${oneLine(critical.type)}, which is not cosign's`,
    );
  if (critical.image['docker-manifest-digest'] === digest) return textsOf(optional ?? {});
  throw new Flaw('wrong-subject', 'it is about another image than the one that it is attached to');
}

function parsePayload(bytes: Uint8Array): v.InferOutput<typeof payload> {
  try {
    return parseDocument(payload, bytes, 'its payload');
  } catch (error) {
    throw new Flaw('illegible', `it cannot be read: ${saidBy(error)}`, error);
  }
}
