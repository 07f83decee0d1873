import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { RunResult } from '../runner.ts';
import { openSite, prepareUpgrade, type Site, TAG, type Upgrade } from './upgrade.ts';

// Whatever fails, no tag appears or moves, the message says what happened, and a merge afterwards succeeds.

/** The site that the tests of a file share, and the upgrade that each of them tries. */
export type Trial = Site & Upgrade;

/** Registers the hooks that prepare it: before the first test of the file begins there is nothing in it. */
export function trialOfEachTest(): Trial {
  const trial: Partial<Trial> = {};
  let count = 0;

  beforeAll(async () => {
    Object.assign(trial, await openSite());
  });
  beforeEach(async () => {
    count++;
    Object.assign(trial, await prepareUpgrade(trial as Site, `refusal-${count}`));
  });
  afterEach(() => trial.registry?.reset());
  afterAll(() => trial.close?.());

  return trial as Trial;
}

export async function succeeded(job: Promise<RunResult>): Promise<RunResult> {
  const result = await job;
  expect(result.exitCode, result.log).toBe(0);
  return result;
}

/** The error of a job that must fail, as the person sees it who looks at the run. */
export async function refused(job: Promise<RunResult>): Promise<string> {
  const result = await job;
  expect(result.exitCode, result.log).toBe(1);
  const errors = result.annotations.filter(({ level }) => level === 'error');
  expect(errors).toHaveLength(1);
  return `${errors[0]?.title}\n${errors[0]?.message}`;
}

/** No tag appeared, and the one that was there still points at the earlier image. */
export async function expectUnmoved({ oracles, image, earlier }: Trial): Promise<void> {
  expect(await oracles.tags(image)).toEqual([TAG]);
  expect(await oracles.digestOf(`${image}:${TAG}`)).toBe(earlier);
}

/** The merge moves the tag to what it made, and signs that. */
export async function expectPublished({ oracles, image }: Trial, job: Promise<RunResult>): Promise<void> {
  const { outputs } = await succeeded(job);
  expect(await oracles.digestOf(`${image}:${TAG}`)).toBe(outputs.digest);
  await oracles.verify(`${image}:${TAG}`);
}
