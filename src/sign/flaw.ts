import { messageOf, oneLine } from '../errors.ts';
import type { SignatureFault } from './finding.ts';
import type { Signatory } from './identity.ts';

/** What is wrong with a signature. It is thrown between the parts of the verification, and becomes a finding at its edge. */
export class Flaw extends Error {
  readonly fault: SignatureFault;
  /** Who made the signature, where that is certain in spite of the flaw. */
  readonly signatory: Signatory | undefined;

  /** @param reason a sentence without its full stop, whose foreign parts went through `oneLine` */
  constructor(fault: SignatureFault, reason: string, cause?: unknown, signatory?: Signatory) {
    super(reason, cause === undefined ? undefined : { cause });
    this.fault = fault;
    this.signatory = signatory;
  }
}

/**
 * Does what may fail on any bytes; whatever it throws means that they have this flaw.
 * @throws Flaw
 */
export function orFlaw<T>(fault: SignatureFault, reason: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Flaw ? error : new Flaw(fault, reason, error);
  }
}

/** Whatever was thrown, as a flaw: foreign bytes may make anything fail anywhere. */
export function flawOf(error: unknown): Flaw {
  return error instanceof Flaw ? error : new Flaw('illegible', `it cannot be read: ${saidBy(error)}`, error);
}

/** What an error says, to go on with after a colon: in one line, without its full stop. */
export function saidBy(error: unknown): string {
  return oneLine(messageOf(error)).replace(/\.$/, '');
}
