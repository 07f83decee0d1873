import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { LegacySignature } from '../../src/sign/legacy-signature.ts';
import { parsePublicKey } from '../../src/sign/public-key.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { anyText } from '../servers/arbitraries.ts';
import { type Json, type Making, newFoundry, readFrom } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';

const foundry = newFoundry();
const DIGEST = digestOf(Buffer.from('an image'));
const AT = digestOf(Buffer.from('a referrer'));
const KEYS = newKeys();
const KEY = parsePublicKey(KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'a test');
const newVerifier = () => new SignatureVerifier({ root: foundry.root, keys: [KEY] });
const verifier = newVerifier();

type Path = readonly (string | number)[];

/** Every place in a document, also those that hold others. */
function placesIn(value: Json, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, part]) =>
    placesIn(part, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? below : [path, ...below];
}

const at = (document: Json, path: Path): Json => path.reduce((value, key) => value[key], document);

/** The document with one place changed; a change to undefined takes it out. */
function altered(document: Json, path: Path, change: (value: Json) => Json): Json {
  const copy = structuredClone(document);
  const parent = at(copy, path.slice(0, -1));
  const last = path.at(-1) ?? '';
  const value = change(parent[last]);
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

const isBase64 = (text: string): boolean => Buffer.from(text, 'base64').toString('base64') === text;

/** One bit of what a text means: of the bytes that it stands for, or of a character. */
function flipped(text: string): string {
  const isBytes = text.length >= 8 && isBase64(text);
  const bytes = Buffer.from(text, isBytes ? 'base64' : 'utf8');
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return bytes.toString(isBytes ? 'base64' : 'utf8');
}

/** What may be done to one place. */
const CHANGES: Readonly<Record<string, (value: Json) => Json>> = {
  'taken out': () => undefined,
  empty: value => (Array.isArray(value) ? [] : typeof value === 'object' ? {} : ''),
  'another one': value => {
    if (typeof value === 'number') return value + 1;
    if (typeof value !== 'string') return 'something else';
    return /^\d+$/.test(value) ? String(Number(value) + 1) : flipped(value);
  },
  'a huge number': () => 1e300,
  'a nested list': () => JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`),
  'an object with names of its prototype': () => JSON.parse('{"__proto__":1,"constructor":2,"toString":3}'),
};

/** Every change of every place of a document that comes out valid. */
function unnoticed(document: Json, isValid: (changed: Json) => boolean): string[] {
  return placesIn(document).flatMap(path =>
    Object.entries(CHANGES)
      .filter(([, change]) => isValid(altered(document, path, change)))
      .map(([name]) => `${path.join('.')}: ${name}`),
  );
}

const bytesOf = (bundle: Json): Buffer => Buffer.from(JSON.stringify(bundle));
const judge = (bundle: Json) => verifier.bundle(bytesOf(bundle), DIGEST, AT);

/** Changes that a verifier need not notice, and why. */
const IMMATERIAL = {
  /** Both stand in the checkpoint, too, where the log has signed them: those are held against the proof. */
  repeated: /inclusionProof\.(?:rootHash|treeSize): /,
  /** What is left proves the entry and tells the time: a promise where a clock has seen it, a stamp where a log promises. */
  promise: /inclusionPromise: taken out$/,
  stamp: /timestampVerificationData(?:|\.rfc3161Timestamps)(?:|\.0): /,
  /** Without a promise nobody has said these, and nobody believes them: the proof has an index of its own. */
  unpromised: /tlogEntries\.0\.(?:logIndex|integratedTime): /,
  /** The key is found without it, among those that were given. */
  hint: /publicKey(?:|\.hint): /,
};

describe('each place of a bundle, changed once, is noticed', () => {
  const { repeated, promise, stamp, unpromised, hint } = IMMATERIAL;
  const now = new Date();

  it.each<[string, Making, RegExp[]]>([
    ['with a certificate and a log that tells the time', {}, [repeated, stamp]],
    ['with a certificate, log and clock', { stampedAt: now }, [repeated, promise, stamp]],
    [
      'with a certificate and a log that tells no time',
      { logVersion: 2, stampedAt: now },
      [repeated, unpromised],
    ],
    ['with a key', { keys: KEYS, stampedAt: now }, [repeated, promise, stamp, hint]],
  ])('%s', (_, making, immaterial) => {
    const bundle = foundry.bundle(DIGEST, making);
    expect(judge(bundle).fault).toBeUndefined();
    // Also by one that has not seen the certificate before, when it was good.
    const fresh = (changed: Json) => newVerifier().bundle(bytesOf(changed), DIGEST, AT);
    const isValid = (changed: Json) => [judge, fresh].some(judged => judged(changed).fault === undefined);
    const passed = unnoticed(bundle, isValid);
    expect(passed.filter(change => !immaterial.some(pattern => pattern.test(change)))).toEqual([]);
  });
});

const textOf = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));
const pemOf = (text: string): string => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;

describe('each place of a legacy signature, changed once, is noticed', () => {
  /** Its annotations as one document, as some of them hold documents. */
  function documentOf({ payload, logEntry, timestamp, ...signature }: LegacySignature): Json {
    const parsed = (text: string | undefined) => (text === undefined ? undefined : JSON.parse(text));
    const { certificate } = signature;
    const body = certificate?.replace(/-----.*?-----|\s/g, '');
    const texts = { payload: payload?.toString('base64'), signature: signature.signature, certificate: body };
    return JSON.parse(JSON.stringify({ ...texts, logEntry: parsed(logEntry), timestamp: parsed(timestamp) }));
  }

  function judgeLegacy(document: Json) {
    const { payload, signature, certificate, logEntry, timestamp } = document;
    const found: LegacySignature = {
      digest: AT,
      payload: payload === undefined ? undefined : Buffer.from(textOf(payload), 'base64'),
      problem: undefined,
      signature: signature && textOf(signature),
      certificate: certificate === undefined ? undefined : pemOf(textOf(certificate)),
      chain: undefined,
      logEntry: JSON.stringify(logEntry),
      timestamp: JSON.stringify(timestamp),
    };
    return verifier.legacy(found, DIGEST);
  }

  /** What is left tells the time. */
  const stamp = /^timestamp: taken out$/;

  it.each<[string, Making, RegExp[]]>([
    ['with a certificate', {}, []],
    ['with a certificate and a time stamp', { stampedAt: new Date() }, [stamp]],
    ['with a key', { keys: KEYS }, []],
  ])('%s', (_, making, immaterial) => {
    const document = documentOf(readFrom(foundry.legacy(DIGEST, making)));
    expect(judgeLegacy(document).fault).toBeUndefined();
    const passed = unnoticed(document, changed => judgeLegacy(changed).fault === undefined);
    expect(passed.filter(change => !immaterial.some(pattern => pattern.test(change)))).toEqual([]);
  });
});

describe('whatever stands in a registry', () => {
  const known = expect.objectContaining({ format: expect.any(String), reason: expect.any(String) });
  const valid = foundry.bundle(DIGEST, { stampedAt: new Date() });
  const places = placesIn(valid);

  it('is judged and never thrown, as a bundle', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json({ maxDepth: 8 }).map(text => Buffer.from(text)),
      fc
        .tuple(fc.constantFrom(...places), fc.jsonValue())
        .map(([place, value]) => bytesOf(altered(valid, place, () => value))),
      fc.tuple(fc.nat({ max: bytesOf(valid).length - 1 }), fc.nat({ max: 255 })).map(([position, byte]) => {
        const bytes = bytesOf(valid);
        bytes[position] = byte;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(anything, bytes => {
        expect(verifier.bundle(bytes, DIGEST, AT)).toEqual(known);
        expect(verifier.statement(bytes).reason).toEqual(expect.any(String));
      }),
      { numRuns: 250 },
    );
  });

  it.each([
    ['lists without end', '['.repeat(500_000)],
    ['objects without end', '{"verificationMaterial":'.repeat(50_000)],
    ['nothing', ''],
    ['null', 'null'],
    ['a number', '1e999'],
  ])('is judged as a bundle, be it %s', (_, text) => {
    expect(verifier.bundle(Buffer.from(text), DIGEST, AT)).toMatchObject({ fault: 'illegible' });
  });

  it('is judged and never thrown, as a legacy signature', () => {
    const text = fc.option(
      fc.oneof(anyText, fc.json(), fc.constantFrom(...Object.values(foundry.legacy(DIGEST).annotations))),
      { nil: undefined },
    );
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.json().map(json => Buffer.from(json)),
    );
    const signature = fc.record({
      digest: fc.constant(AT),
      payload: fc.option(
        bytes.map(content => Buffer.from(content)),
        { nil: undefined },
      ),
      problem: fc.constant(undefined),
      signature: text,
      certificate: text,
      chain: text,
      logEntry: text,
      timestamp: text,
    });
    fc.assert(
      fc.property(signature, found => {
        expect(verifier.legacy(found, DIGEST)).toEqual(known);
      }),
      { numRuns: 250 },
    );
  });
});
