import { type BuildInputs, type MergeInputs, readInputs } from '../../src/inputs.ts';

/** The environment of a step with these inputs, as the runner makes it. */
export const step = (inputs: Readonly<Record<string, string>>): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]));

export const BUILD = { mode: 'build', platform: 'linux/arm64', images: 'ghcr.io/acme/app' };
export const MERGE = { mode: 'merge', tags: '1.2.3' };

export const build = (inputs: Record<string, string> = {}): BuildInputs =>
  readInputs(step({ ...BUILD, ...inputs })) as BuildInputs;
export const merge = (inputs: Record<string, string> = {}): MergeInputs =>
  readInputs(step({ ...MERGE, ...inputs })) as MergeInputs;
