import type { IndexFormat } from '../oci/index.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { formatRepository, type Repository } from '../oci/reference.ts';

/** Everything that a build of one platform is made of, each list split already. */
export interface BuildOptions {
  readonly platform: Platform;
  readonly images: readonly Repository[];
  readonly context: string;
  /** Media types of what is pushed. */
  readonly format: IndexFormat;
  /** Hosts, with their port, that speak plain HTTP. */
  readonly insecureRegistries: ReadonlySet<string>;
  readonly builder: string | undefined;
  readonly file: string | undefined;
  readonly target: string | undefined;
  readonly buildArgs: readonly string[];
  readonly labels: readonly string[];
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  /** Values of `--attest`. */
  readonly attestations: readonly string[];
  /** Secrets by the environment variable that holds them: `id` -> variable. */
  readonly secretVariables: Readonly<Record<string, string>>;
  readonly metadataFile: string;
  readonly imageIdFile: string;
}

/** The arguments of `buildx build`, flags in alphabetical order and the context last. */
export function buildArguments(options: BuildOptions): string[] {
  const each = (flag: string, values: readonly string[]): string[] => values.flatMap(value => [flag, value]);
  const maybe = (flag: string, value: string | undefined): string[] =>
    value === undefined ? [] : [flag, value];
  return [
    'build',
    ...each('--attest', options.attestations),
    ...each('--build-arg', options.buildArgs),
    ...maybe('--builder', options.builder),
    ...each('--cache-from', options.cacheFrom),
    ...each('--cache-to', options.cacheTo),
    ...maybe('--file', options.file),
    '--iidfile',
    options.imageIdFile,
    ...each('--label', options.labels),
    '--metadata-file',
    options.metadataFile,
    '--output',
    pushByDigest(options),
    '--platform',
    formatPlatform(options.platform),
    ...Object.entries(options.secretVariables).flatMap(([id, variable]) => [
      '--secret',
      `id=${id},env=${variable}`,
    ]),
    ...maybe('--target', options.target),
    options.context,
  ];
}

/**
 * The exporter that pushes to every name by digest and tags nothing (docs.docker.com, "Image and registry exporters").
 * The value is CSV, so that several names stand in quotes.
 */
function pushByDigest({ images, format, insecureRegistries }: BuildOptions): string {
  const names = images.map(formatRepository).join(',');
  // The exporter has one switch for all names: where they differ, BuildKit's own configuration has to tell.
  const isInsecure = images.every(({ registry }) => insecureRegistries.has(registry));
  return [
    `type=image,"name=${names}",push-by-digest=true,name-canonical=true,push=true`,
    `oci-mediatypes=${format === 'oci'}`,
    ...(isInsecure ? ['registry.insecure=true'] : []),
  ].join(',');
}
