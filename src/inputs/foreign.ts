/** Inputs that only one mode knows: given to the other, they would be ignored, and are refused instead. */
export const BUILD_ONLY = [
  'platform',
  'context',
  'file',
  'target',
  'build-args',
  'labels',
  'builder',
  'provenance',
  'cache-from',
  'cache-to',
] as const;

export const MERGE_ONLY = [
  'platforms',
  'allow-missing',
  'tags',
  'metadata',
  'push-by-digest-only',
  'annotations',
  'single-platform',
  'platform-tag-suffix',
  'keep-tags',
  'tag-policy',
  'immutable-tags',
  'sign',
  'trusted-root',
  'signing-config',
  'run-id',
  'repository',
] as const;
