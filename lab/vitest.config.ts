import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By name, so that every run is like the one before; the default would sort by what took long last time. */
class ByName extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => a.moduleId.localeCompare(b.moduleId));
  }
}

/** The slow tests: the built action against real registries, BuildKit and Sigstore. They need `make tools`. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['lab/suite/**/*.test.ts'],
    // A build under emulation and four servers on two cores: one file at a time, in processes of their own.
    pool: 'forks',
    fileParallelism: false,
    sequence: { sequencer: ByName, concurrent: false, shuffle: false },
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    // A test that only succeeds the second time has found something.
    retry: 0,
    bail: 0,
  },
});
