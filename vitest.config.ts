import { defineConfig } from 'vitest/config';

/** What takes the longest: it is a part of `make test` by itself (vitest.publishing.config.ts). */
export const WHOLE_MERGES = [
  '__tests__/{field,modes,registries}/**/*.test.ts',
  '__tests__/guards/{attached,merging,publishing}.test.ts',
] as const;

/** The fast tests: no tool of the lab is needed. The lab's own suite is lab/vitest.config.ts. */
export default defineConfig({
  test: {
    include: ['__tests__/**/*.test.ts', 'lab/parts/**/*.test.ts', 'lab/tools/**/*.test.ts'],
    exclude: [...WHOLE_MERGES],
    // Half of them wait for sockets most of the time: two at once also on a small machine.
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**'] },
    // A test that waits for this machine's network or disk is not to fail because the machine is busy.
    testTimeout: 15_000,
  },
});
