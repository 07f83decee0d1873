import { describe, expect, it } from 'vitest';
import { withCacheScope } from '../../src/buildx/cache.ts';
import { parsePlatform } from '../../src/oci/platform.ts';

describe('the caches of two platforms, or of two components, never overwrite each other', () => {
  it.each([
    ['type=gha', 'type=gha,scope=app-linux-arm-v7'],
    ['type=gha,mode=max', 'type=gha,mode=max,scope=app-linux-arm-v7'],
    ['mode=max, type=GHA', 'mode=max, type=GHA,scope=app-linux-arm-v7'],
  ])('%s gets a scope', (entry, expected) => {
    expect(withCacheScope(entry, 'app', parsePlatform('linux/arm/v7'))).toBe(expected);
  });

  it.each([
    'type=gha,scope=mine',
    'type=registry,ref=ghcr.io/acme/app:cache',
    'type=local,src=/tmp/cache',
    'ghcr.io/acme/app:cache',
    'type=inline',
  ])('%s stays as it is', entry => {
    expect(withCacheScope(entry, 'app', parsePlatform('linux/arm/v7'))).toBe(entry);
  });
});
