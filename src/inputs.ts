import { ManifoldError, oneLine } from './errors.ts';
import { type BuildInputs, readBuildInputs } from './inputs/build.ts';
import { MODES, type Mode } from './inputs/foreign.ts';
import { type MergeInputs, readMergeInputs } from './inputs/merge.ts';
import { InputReader } from './inputs/reader.ts';
import { readVerifyInputs, type VerifyInputs } from './inputs/verify.ts';

export type { BuildInputs } from './inputs/build.ts';
export type { MergeInputs } from './inputs/merge.ts';
export type { SigningHand, SigningInputs } from './inputs/signing.ts';

export type { VerifyInputs } from './inputs/verify.ts';
export { MODES, type Mode };

export type Inputs = BuildInputs | MergeInputs | VerifyInputs;

/**
 * Reads and checks all inputs of a step. Nothing else reads `INPUT_*`. An empty input is the same as an absent one.
 * @throws ManifoldError `unknown-mode`, `missing-input`, `invalid-input`, `invalid-platform`, `invalid-reference`
 */
export function readInputs(env: NodeJS.ProcessEnv): Inputs {
  const input = new InputReader(env);
  switch (readMode(env)) {
    case 'build':
      return readBuildInputs(input);
    case 'merge':
      return readMergeInputs(input);
    case 'verify':
      return readVerifyInputs(input);
  }
}

/** The mode alone, for the first line of the log. @throws ManifoldError `missing-input`, `unknown-mode` */
export function readMode(env: NodeJS.ProcessEnv): Mode {
  const value = new InputReader(env).required(
    'mode',
    `Say which part of the work this step does: ${MODES.join(' or ')}.`,
  );
  const mode = MODES.find(name => name === value);
  if (mode !== undefined) return mode;
  throw new ManifoldError('unknown-mode', `The input "mode" is "${oneLine(value)}", which is no mode.`, {
    hint: `The modes are ${MODES.join(', ')}.`,
  });
}
