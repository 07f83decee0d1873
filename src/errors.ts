/** Everything that can go wrong, by name. A code never changes its meaning: users match on it. */
export type ErrorCode =
  | 'unknown-mode'
  | 'missing-input'
  | 'invalid-input'
  | 'invalid-reference'
  | 'invalid-platform'
  | 'invalid-digest'
  | 'invalid-document'
  | 'digest-mismatch'
  | 'no-records'
  | 'invalid-record'
  | 'tampered-record'
  | 'record-store'
  | 'missing-platform'
  | 'unexpected-platform'
  | 'doubled-platform'
  | 'wrong-architecture'
  | 'missing-attestation'
  | 'mixed-media-types'
  | 'buildx-missing'
  | 'builder-unsuitable'
  | 'build-failed'
  | 'no-id-token'
  | 'signing-failed'
  | 'signing-config'
  | 'cosign-unusable'
  | 'key-unusable'
  | 'too-many-signatures'
  | 'signature-unverified'
  | 'verification-failed'
  | 'verification-incomplete'
  | 'credentials'
  | 'tag-moved'
  | 'tag-immutable'
  | 'registry-unauthorized'
  | 'registry-forbidden'
  | 'registry-not-found'
  | 'registry-rate-limited'
  | 'registry-unavailable'
  | 'registry-refused'
  | 'service-unreachable';

/**
 * An error for the person who reads the job's log: what was expected, what came (`message`), and what to do
 * about it (`hint`). `code` is stable; `cause` is what happened underneath.
 */
export class ManifoldError extends Error {
  override readonly name = 'ManifoldError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const secrets = new Set<string>();

/** Keeps a value out of every message from now on: the runner's mask does not know a secret that was cut in two. */
export function keepSecret(secret: string): void {
  if (secret.length >= 4) secrets.add(secret);
}

/** A JSON Web Token, or the beginning of one. */
const JSON_WEB_TOKEN = /(?<![A-Za-z0-9])ey[\w-]{10,}[\w.-]*/g;

function withoutSecrets(text: string): string {
  let clean = text;
  // The longest first: one that begins another must not leave its rest.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length))
    clean = clean.replaceAll(secret, '***');
  return clean.replace(JSON_WEB_TOKEN, '***');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/**
 * A foreign text (a server's answer, a value that somebody typed) made fit to stand in a message: one line, without
 * control characters (they could start a workflow command, colour a terminal or turn the order of signs), without secrets
 * that we know of, at most `limit` characters.
 */
export function oneLine(text: string, limit = 200): string {
  const line = withoutSecrets(text).replace(CONTROL_CHARACTERS, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}
