/** One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y;
const SPACE = /[ \t]*/y;
const COMMAS = /[ \t,]*/y;

/**
 * Reads all challenges of a `WWW-Authenticate` header. What is illegal in it ends the reading; what was read before
 * stays, as a client can only use what it understands.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const reader = new Reader(header);
  for (;;) {
    reader.take(COMMAS);
    const scheme = reader.take(TOKEN);
    if (scheme === undefined) return challenges;
    const parameters = new Map<string, string>();
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
    reader.take(SPACE);
    if (reader.isParameter()) readParameters(reader, parameters);
    else reader.take(TOKEN68);
  }
}

function readParameters(reader: Reader, into: Map<string, string>): void {
  while (reader.isParameter()) {
    const name = reader.take(TOKEN) ?? '';
    reader.take(SPACE);
    reader.skip(1);
    reader.take(SPACE);
    const value = reader.takeQuoted() ?? reader.take(TOKEN);
    if (value === undefined) return;
    if (!into.has(name.toLowerCase())) into.set(name.toLowerCase(), value);
    reader.take(COMMAS);
  }
}

/** A text and a position in it. */
class Reader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#position = pattern.lastIndex;
    return match[0];
  }

  takeQuoted(): string | undefined {
    return this.take(QUOTED)?.slice(1, -1).replace(/\\(.)/g, '$1');
  }

  skip(count: number): void {
    this.#position += count;
  }

  /** `name =`, but not the start of a token68 such as `abc==`. */
  isParameter(): boolean {
    return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=(?!=*[ \t]*(?:,|$))/.test(this.#text.slice(this.#position));
  }
}
