import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { TransparencyLogEntry } from '@sigstore/bundle';
import * as v from 'valibot';
import { Flaw, orFlaw } from './flaw.ts';

/** Base64 of a certificate or public key in PEM. */
const pem = v.string();
/** The same in DER, each under its own name (rekor/v2/verifier.proto). */
const verifier = v.union([
  v.object({ x509Certificate: v.object({ rawBytes: v.string() }) }),
  v.object({ publicKey: v.object({ rawBytes: v.string() }) }),
]);
const one = <Schema extends v.GenericSchema>(schema: Schema) => v.tuple([schema]);

/** Where each kind of entry names the key. The library holds against the bundle all that they say, but not this. */
const BODIES = v.union([
  v.object({ kind: v.literal('dsse'), spec: v.object({ signatures: one(v.object({ verifier: pem })) }) }),
  v.object({
    kind: v.literal('hashedrekord'),
    spec: v.object({ signature: v.object({ publicKey: v.object({ content: pem }) }) }),
  }),
  v.object({
    kind: v.literal('intoto'),
    spec: v.object({
      content: v.object({ envelope: v.object({ signatures: one(v.object({ publicKey: pem })) }) }),
    }),
  }),
  v.object({
    kind: v.literal('hashedrekord'),
    spec: v.object({ hashedRekordV002: v.object({ signature: v.object({ verifier }) }) }),
  }),
  v.object({
    kind: v.literal('dsse'),
    spec: v.object({ dsseV002: v.object({ signatures: one(v.object({ verifier })) }) }),
  }),
]);

/**
 * Makes sure that a log entry is about the key that made the signature: by ECDSA others can find a key of their own that
 * fits a given signature, and enter it with that.
 * @throws Flaw `bad-log-entry`
 */
export function requireLoggedKey(entry: TransparencyLogEntry, key: KeyObject): void {
  const logged = orFlaw('bad-log-entry', 'its log entry names no key', () => loggedKey(entry));
  if (!logged.equals(key))
    throw new Flaw('bad-log-entry', 'its log entry is about the signature of another key');
}

function loggedKey({ canonicalizedBody }: TransparencyLogEntry): KeyObject {
  const body = v.parse(BODIES, JSON.parse(canonicalizedBody.toString('utf8')));
  const { spec } = body;
  if ('content' in spec) return fromPem(spec.content.envelope.signatures[0].publicKey);
  if ('signature' in spec) return fromPem(spec.signature.publicKey.content);
  if ('signatures' in spec) return fromPem(spec.signatures[0].verifier);
  const { signature } =
    'hashedRekordV002' in spec ? spec.hashedRekordV002 : { signature: spec.dsseV002.signatures[0] };
  return fromDer(signature.verifier);
}

/** Node takes the public key out of a certificate, too. */
const fromPem = (text: string): KeyObject => createPublicKey(Buffer.from(text, 'base64'));

function fromDer(named: v.InferOutput<typeof verifier>): KeyObject {
  if ('x509Certificate' in named)
    return new X509Certificate(Buffer.from(named.x509Certificate.rawBytes, 'base64')).publicKey;
  return createPublicKey({
    key: Buffer.from(named.publicKey.rawBytes, 'base64'),
    format: 'der',
    type: 'spki',
  });
}
