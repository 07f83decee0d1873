import { defineConfig } from 'vitest/config';
import fast, { WHOLE_MERGES } from './vitest.config.ts';

/** Whole merges against registries in this process, among them those that behave as public ones do. */
export default defineConfig({
  test: { ...fast.test, include: [...WHOLE_MERGES], exclude: [] },
});
