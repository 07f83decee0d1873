/** Where the value of a member stands in the text of a document. */
interface Span {
  readonly start: number;
  /** Behind its last sign. */
  readonly end: number;
}

/**
 * Adds entries to the end of a list in a JSON document and leaves every other byte as it is, so that what others wrote is not
 * written in another way.
 * @param text a JSON object that was parsed before
 * @param member whose value is a list
 */
export function appendTo(text: string, member: string, entries: readonly unknown[]): string {
  if (entries.length === 0) return text;
  const { start, end } = spanOf(text, member);
  const isEmpty = text.slice(start + 1, end - 1).trim() === '';
  const added = entries.map(entry => JSON.stringify(entry)).join(',');
  const last = text.slice(0, end - 1).trimEnd();
  return `${last}${isEmpty ? '' : ','}${added}${text.slice(last.length)}`;
}

/** Puts another value in the place of a member's, and leaves every other byte as it is. */
export function replaceIn(text: string, member: string, value: unknown): string {
  const { start, end } = spanOf(text, member);
  return `${text.slice(0, start)}${JSON.stringify(value)}${text.slice(end)}`;
}

/** Of a member that stands there twice, the last one is what everybody reads. */
function spanOf(text: string, member: string): Span {
  let found: Span | undefined;
  let at = skipBlanks(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const nameEnd = skipString(text, at);
    const name: unknown = JSON.parse(text.slice(at, nameEnd));
    const start = skipBlanks(text, skipBlanks(text, nameEnd) + 1);
    const end = skipValue(text, start);
    if (name === member) found = { start, end };
    at = skipBlanks(text, end);
    if (text[at] === ',') at = skipBlanks(text, at + 1);
  }
  if (found === undefined) throw new Error(`the document has no member "${member}"`);
  return found;
}

function skipBlanks(text: string, at: number): number {
  let next = at;
  while (next < text.length && ' \t\r\n'.includes(text[next] as string)) next++;
  return next;
}

function skipString(text: string, at: number): number {
  let next = at + 1;
  while (text[next] !== '"') next += text[next] === '\\' ? 2 : 1;
  return next + 1;
}

function skipValue(text: string, at: number): number {
  if (text[at] === '"') return skipString(text, at);
  let depth = 0;
  let next = at;
  while (next < text.length) {
    const sign = text[next] as string;
    if (sign === '"') {
      next = skipString(text, next);
      continue;
    }
    if (depth === 0 && next > at && ',]} \t\r\n'.includes(sign)) return next;
    if (sign === '{' || sign === '[') depth++;
    if (sign === '}' || sign === ']') depth--;
    next++;
    if (depth === 0 && (sign === '}' || sign === ']')) return next;
  }
  return next;
}
