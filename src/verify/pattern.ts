import { createContext, Script } from 'node:vm';
import { ManifoldError, messageOf, oneLine } from '../errors.ts';

/**
 * How long an expression may look at one text, in milliseconds. What is matched was chosen by whoever made a signature, and
 * some expressions take longer than the world has for a text that was made for them (`(a+)+`).
 */
const TIME_LIMIT = 1000;
/** Certificates name addresses; nobody's is longer than this. Characters. */
const LONGEST_TEXT = 2048;
const LONGEST_EXPRESSION = 2048;

const TEST = new Script('new RegExp(expression, "u").test(text)');

/** A regular expression that a text must match as a whole: it is anchored here, whatever its author wrote. */
export class Pattern {
  /** With the anchors, as it is shown. */
  readonly source: string;
  readonly #inner: string;
  /** Few texts come again and again: a release is signed by one identity. */
  readonly #known = new Map<string, boolean>();

  /**
   * @param input the input that an error names
   * @throws ManifoldError `invalid-input`
   */
  constructor(expression: string, input: string) {
    if (expression.length > LONGEST_EXPRESSION) {
      throw new ManifoldError(
        'invalid-input',
        `The expression in "${input}" is longer than ${LONGEST_EXPRESSION} characters.`,
      );
    }
    try {
      // By itself first: "a)|(?:b" is none, and would be one between our anchors. With "u" what JavaScript does not know
      // ("\A", "[[:alpha:]]") is refused; without, it would mean something else than elsewhere.
      void new RegExp(expression, 'u');
    } catch (error) {
      throw new ManifoldError(
        'invalid-input',
        `"${oneLine(expression)}" in "${input}" is no regular expression: ${oneLine(messageOf(error))}.`,
        {
          hint: 'It is read as JavaScript reads it with the flag "u": there is no (?i), no \\A and no [[:alpha:]], and only signs that mean something are escaped.',
          cause: error,
        },
      );
    }
    this.#inner = expression;
    this.source = `^(?:${expression})$`;
  }

  /**
   * Tells whether the whole text matches.
   * @throws ManifoldError `invalid-input` when that takes too long to be told
   */
  matches(text: string): boolean {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const result = text.length <= LONGEST_TEXT && this.#test(this.source, text);
    this.#known.set(text, result);
    return result;
  }

  /**
   * Tells whether it would match without our anchors: what people forget who know expressions that are not anchored. Only
   * for a message: what takes too long counts as none.
   */
  matchesPart(text: string): boolean {
    try {
      return text.length <= LONGEST_TEXT && this.#test(this.#inner, text);
    } catch {
      return false;
    }
  }

  /** In a context of its own, because only there can the engine be stopped. Nothing but these two texts goes in. */
  #test(expression: string, text: string): boolean {
    try {
      return TEST.runInContext(createContext({ expression, text }), { timeout: TIME_LIMIT }) === true;
    } catch (error) {
      throw new ManifoldError(
        'invalid-input',
        `Whether "${oneLine(text)}" matches ${oneLine(expression)} could not be told within ${TIME_LIMIT / 1000} s.`,
        {
          hint: 'Write the expression without repetitions inside of repetitions, as in (a+)+. Nothing was accepted by it.',
          cause: error,
        },
      );
    }
  }
}

/** A text as an expression that matches it and nothing else. */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
