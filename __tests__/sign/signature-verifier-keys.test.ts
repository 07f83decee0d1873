import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { parsePublicKey } from '../../src/sign/public-key.ts';
import { SignatureVerifier, type Trust } from '../../src/sign/signature-verifier.ts';
import { type Json, type Making, newFoundry, readFrom, statementOf } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';

const foundry = newFoundry();
const stranger = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const OTHER = digestOf(Buffer.from('another image'));
const AT = digestOf(Buffer.from('a referrer'));

interface Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const KEYS: Pair = newKeys();
const KEY = trusted(KEYS);

function trusted({ publicKey }: Pair) {
  return parsePublicKey(publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'a test');
}

const trusting = (trust: Partial<Trust> = {}): SignatureVerifier =>
  new SignatureVerifier({ root: undefined, keys: [KEY], ...trust });

const bytesOf = (bundle: Json): Buffer => Buffer.from(JSON.stringify(bundle));
const bundleOf = (making: Making = {}): Buffer => bytesOf(foundry.bundle(DIGEST, { keys: KEYS, ...making }));
const legacyOf = (making: Making = {}) => readFrom(foundry.legacy(DIGEST, { keys: KEYS, ...making }));

const BY_KEY = { kind: 'key', fingerprint: KEY.fingerprint };
const VALID = { fault: undefined, reason: '', signatory: BY_KEY, annotations: { by: 'hand' } };

describe.each<[string, (trust: Partial<Trust>, making: Making) => Json]>([
  ['bundle', (trust, making) => trusting(trust).bundle(bundleOf(making), DIGEST, AT)],
  ['legacy', (trust, making) => trusting(trust).legacy(legacyOf(making), DIGEST)],
])('a signature by a key, %s', (format, findingOf) => {
  const { root } = foundry;

  it.each<[string, Partial<Trust>, Making]>([
    ['by the key alone', {}, { isLogged: false }],
    ['by the key alone, whatever a log says that nobody knows', {}, {}],
    ['by its log entry, too', { root }, {}],
    ['by its log entry and its time stamp, too', { root }, { stampedAt: new Date() }],
    ['by the key alone where no log is asked for', { root, requireLog: false }, { isLogged: false }],
    ['by one of several keys', { keys: [trusted(newKeys()), KEY] }, {}],
  ])('is valid %s', (_, trust, making) => {
    expect(findingOf(trust, making)).toMatchObject({ format, ...VALID });
  });

  it.each<[string, Partial<Trust>, Making, string, string]>([
    ['no key to check it by', { keys: [] }, {}, 'untrusted', 'no key was given'],
    ['another key', { keys: [trusted(newKeys())] }, {}, 'untrusted', 'none of the keys that were given'],
    ['no log entry', { root }, { isLogged: false }, 'no-log-entry', 'no transparency log has it'],
    ['an unknown log', { root: stranger.root }, {}, 'bad-log-entry', 'no log of the trusted root'],
    [
      'an unknown log where none is asked for',
      { root: stranger.root, requireLog: false },
      {},
      'bad-log-entry',
      'no log of the trusted root',
    ],
  ])('is refused for %s', (_name, trust, making, fault, reason) => {
    expect(findingOf(trust, making)).toMatchObject({ fault, reason: expect.stringContaining(reason) });
  });

  it('is shown as that of its key where only witnesses are missing', () => {
    const { signatory } = findingOf({ root }, { isLogged: false, hint: '' });
    expect(signatory).toEqual(BY_KEY);
  });

  it('is not what a certificate vouches for, although a key was given', () => {
    const certified = { keys: undefined };
    expect(findingOf({}, certified)).toMatchObject({ fault: 'untrusted' });
    expect(findingOf({ root }, certified)).toMatchObject({
      fault: undefined,
      signatory: { kind: 'certificate' },
    });
  });
});

describe('a bundle by a key', () => {
  it.each(['', 'a name of its own'])('is valid with the hint "%s"', hint => {
    expect(trusting().bundle(bundleOf({ hint }), DIGEST, AT)).toMatchObject(VALID);
  });

  it('is refused where it names the key and says something else', () => {
    const bundle = foundry.bundle(DIGEST, { keys: KEYS });
    bundle.dsseEnvelope.payload = Buffer.from(JSON.stringify(statementOf(OTHER))).toString('base64');
    expect(trusting().bundle(bytesOf(bundle), OTHER, AT)).toMatchObject({
      fault: 'bad-signature',
      signatory: BY_KEY,
    });
  });

  it('shows which key an unknown one claims to be', () => {
    const keys = newKeys();
    const { fault, signatory } = trusting().bundle(bundleOf({ keys }), DIGEST, AT);
    expect({ fault, signatory }).toEqual({
      fault: 'untrusted',
      signatory: { kind: 'key', fingerprint: trusted(keys).fingerprint },
    });
  });

  it('is refused for the log entry of another key that fits its signature', () => {
    const bundle = foundry.bundle(DIGEST, { keys: KEYS });
    const [entry] = bundle.verificationMaterial.tlogEntries;
    const body = JSON.parse(Buffer.from(entry.canonicalizedBody, 'base64').toString());
    const other = newKeys().publicKey.export({ type: 'spki', format: 'pem' }).toString();
    body.spec.signatures[0].verifier = Buffer.from(other).toString('base64');
    bundle.verificationMaterial.tlogEntries = [foundry.entry(body)];
    expect(trusting({ root: foundry.root }).bundle(bytesOf(bundle), DIGEST, AT)).toMatchObject({
      fault: 'bad-log-entry',
      reason: expect.stringContaining('of another key'),
    });
  });

  it('is valid with an entry of a log of version 2', () => {
    const bytes = bundleOf({ logVersion: 2 });
    expect(trusting({ root: foundry.root }).bundle(bytes, DIGEST, AT)).toMatchObject(VALID);
  });
});

describe('a key', () => {
  const ec = (namedCurve: string): Pair => generateKeyPairSync('ec', { namedCurve });

  it.each<[string, Pair]>([
    ['P-384', ec('P-384')],
    ['P-521', ec('P-521')],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['Ed25519', generateKeyPairSync('ed25519')],
  ])('may be of the kind %s', (_, keys) => {
    for (const root of [undefined, foundry.root]) {
      const verifier = trusting({ root, keys: [trusted(keys)] });
      expect(verifier.bundle(bundleOf({ keys }), DIGEST, AT).fault).toBeUndefined();
      expect(verifier.legacy(legacyOf({ keys }), DIGEST).fault).toBeUndefined();
    }
  });

  it.each([
    ['P-384', 'sha384'],
    ['P-521', 'sha512'],
  ])('of the curve %s may sign by %s', (curve, hash) => {
    const keys = ec(curve);
    const { payload, annotations } = foundry.legacy(DIGEST, { keys });
    const signature = sign(hash, payload, keys.privateKey).toString('base64');
    const verifier = trusting({ keys: [trusted(keys)] });
    expect(verifier.legacy(readFrom({ payload, annotations }, { signature }), DIGEST).fault).toBeUndefined();
  });

  it('signs by no weaker hash', () => {
    const { payload, annotations } = foundry.legacy(DIGEST, { keys: KEYS });
    const signature = sign('sha1', payload, KEYS.privateKey).toString('base64');
    expect(trusting().legacy(readFrom({ payload, annotations }, { signature }), DIGEST).fault).toBe(
      'untrusted',
    );
  });
});
