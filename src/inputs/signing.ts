import { ManifoldError, oneLine } from '../errors.ts';
import { type InputReader, missing } from './reader.ts';

/** Who signs: the identity of this job, or whoever holds a key. */
export type SigningHand = 'keyless' | 'key';

/** How the merge signs. */
export interface SigningInputs {
  /** Empty: nobody; undefined: keyless where that tells the world nothing that is not public. */
  readonly sign: readonly SigningHand[] | undefined;
  /** A key as cosign takes it; never undefined where `sign` has `key`. */
  readonly key: string | undefined;
  readonly signatureFormats: readonly ('bundle' | 'legacy')[];
  readonly signatureAnnotations: Readonly<Record<string, string>>;
  /** Client ID of the certificate authority, for which the job's identity token is asked. */
  readonly audience: string;
  /** Files that describe a Sigstore of one's own: both or none. */
  readonly trustedRoot: string | undefined;
  readonly signingConfig: string | undefined;
}

const HANDS = 'It can be "none", or a list of "keyless" and "key" with a comma between: sign: keyless, key.';

const FORMATS = {
  bundle: ['bundle'],
  legacy: ['legacy'],
  both: ['bundle', 'legacy'],
} as const;

/** @throws ManifoldError `missing-input`, `invalid-input` */
export function readSigningInputs(input: InputReader): SigningInputs {
  const key = input.optional('key');
  const sign = readHands(input, key);
  if (sign?.length === 0) refuseUnused(input);
  const format = input.oneOf('signature-format', ['bundle', 'legacy', 'both']) ?? 'bundle';
  return {
    sign,
    key,
    signatureFormats: FORMATS[format],
    signatureAnnotations: readAnnotations(input),
    audience: input.optional('oidc-audience') ?? 'sigstore',
    ...readSigstore(input),
  };
}

function readHands(input: InputReader, key: string | undefined): readonly SigningHand[] | undefined {
  const words = new Set(input.list('sign', parseHand));
  if (words.has('none') && words.size > 1) {
    throw new ManifoldError('invalid-input', 'The input "sign" says "none" and something else.', {
      hint: HANDS,
    });
  }
  const hands = [...words].filter(word => word !== 'none');
  if (hands.includes('key') && key === undefined)
    throw missing(
      'key',
      'With "sign: key" it says which: env://COSIGN_PRIVATE_KEY, a file, or the address of a key service.',
    );
  if (words.size === 0) return key === undefined ? undefined : ['key'];
  if (key !== undefined && !hands.includes('key')) {
    throw new ManifoldError('invalid-input', 'The input "key" is given, but "sign" does not say "key".', {
      hint: 'Say "sign: key" (or "sign: keyless, key" for both), or leave "key" out.',
    });
  }
  return hands;
}

function parseHand(text: string): SigningHand | 'none' {
  if (text === 'keyless' || text === 'key' || text === 'none') return text;
  throw new ManifoldError('invalid-input', `The input "sign" has "${oneLine(text)}".`, { hint: HANDS });
}

/** How signatures are to be says nothing where there are none; whoever wrote it expects some. */
function refuseUnused(input: InputReader): void {
  for (const name of ['signature-format', 'signature-annotations']) {
    if (input.optional(name) === undefined) continue;
    throw new ManifoldError('invalid-input', `The input "${name}" is given, but "sign" says "none".`, {
      hint: `Leave "${name}" out, or say who signs: ${HANDS}`,
    });
  }
}

function readAnnotations(input: InputReader): Record<string, string> {
  const annotations = new Map<string, string>();
  for (const [name, value] of input.lines('signature-annotations', parseAnnotation)) {
    if (annotations.has(name)) {
      throw new ManifoldError(
        'invalid-input',
        `The input "signature-annotations" has "${oneLine(name)}" twice.`,
        { hint: 'A signature holds one value for each name. Leave one of the two lines out.' },
      );
    }
    annotations.set(name, value);
  }
  return Object.fromEntries(annotations);
}

function parseAnnotation(text: string): [string, string] {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name.trim(), value];
  throw new ManifoldError('invalid-input', `The input "signature-annotations" has "${oneLine(text)}".`, {
    hint: 'It takes one key=value a line.',
  });
}

function readSigstore(input: InputReader): Pick<SigningInputs, 'trustedRoot' | 'signingConfig'> {
  const trustedRoot = input.optional('trusted-root');
  const signingConfig = input.optional('signing-config');
  if ((trustedRoot === undefined) === (signingConfig === undefined)) return { trustedRoot, signingConfig };
  // One alone would sign at the public Sigstore, whose log keeps it for ever, and verify by another.
  throw missing(
    trustedRoot === undefined ? 'trusted-root' : 'signing-config',
    'A Sigstore of your own needs both "trusted-root" and "signing-config"; the public one neither.',
  );
}
