/**
 * Lets pauses pass faster: loaded before a program (`node --import`), it shortens every timer and speeds up the monotonic
 * clock by the same factor, so that budgets and pauses keep their proportion. The wall clock stays: certificates and
 * tokens are dated by it.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { promisify } from 'node:util';

/**
 * How many times faster. Not more: the client waits 30 s for what lags, and these 6 s of real work must be enough for a
 * machine that is busy with other things.
 */
const SPEED = 5;

const promises = createRequire(import.meta.url)('node:timers/promises') as {
  setTimeout: (delay?: number, ...rest: unknown[]) => Promise<unknown>;
};
const { setTimeout: sleep } = promises;
promises.setTimeout = (delay = 0, ...rest) => sleep(delay / SPEED, ...rest);
syncBuiltinESMExports();

const { setTimeout: later } = globalThis;
const shortened = (work: (...args: unknown[]) => void, delay = 0, ...rest: unknown[]): NodeJS.Timeout =>
  later(work, delay / SPEED, ...rest);
const { custom } = promisify;
globalThis.setTimeout = Object.assign(shortened, {
  [custom]: promises.setTimeout,
}) as unknown as typeof later;

const now = performance.now.bind(performance);
performance.now = () => now() * SPEED;
