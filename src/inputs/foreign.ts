/** The parts of the work that a step can be. */
export const MODES = ['build', 'merge', 'verify'] as const;
export type Mode = (typeof MODES)[number];

/** Inputs that not every mode knows: given to another, they would be ignored, and are refused instead. */
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
  'signature-format',
  'signature-annotations',
  'oidc-audience',
  'signing-config',
  'run-id',
  'repository',
] as const;

const VERIFY_ONLY = [
  'certificate-identity',
  'certificate-identity-regexp',
  'certificate-oidc-issuer',
  'certificate-oidc-issuer-regexp',
  'source-repository',
  'require',
  'scope',
  'source',
  'revision',
] as const;

const BUILD_AND_MERGE = ['component', 'records', 'oci-mediatypes'] as const;
const MERGE_AND_VERIFY = ['platforms', 'key', 'trusted-root'] as const;

const LISTS: readonly [names: readonly string[], modes: readonly Mode[]][] = [
  [BUILD_ONLY, ['build']],
  [MERGE_ONLY, ['merge']],
  [VERIFY_ONLY, ['verify']],
  [BUILD_AND_MERGE, ['build', 'merge']],
  [MERGE_AND_VERIFY, ['merge', 'verify']],
];

/** The inputs that mean nothing in a mode, each with the modes that it belongs to. */
export function foreignTo(mode: Mode): [name: string, modes: readonly Mode[]][] {
  return LISTS.filter(([, modes]) => !modes.includes(mode)).flatMap(([names, modes]) =>
    names.map((name): [string, readonly Mode[]] => [name, modes]),
  );
}
