import { bothArchitectures, imageFor, type SyntheticImage } from '../images/synthetic.ts';

/** What both programs are given, and what becomes of it. The keys of the differences are sections of docs/imagetools.md. */
export interface Case {
  /** `buildkit`: real builds of both architectures. */
  readonly builds: readonly SyntheticImage[] | 'buildkit';
  /** Given to both: as the input `annotations` to ours, as `--annotation` to imagetools. */
  readonly annotations?: readonly string[];
  readonly inputs?: Readonly<Record<string, string>>;
  readonly options?: readonly string[];
  /** The order of the sources on imagetools' command line; otherwise it is not that of our index. */
  readonly inOurOrder?: true;
  /** Every difference, and no other, in the words of `differencesOf`. */
  readonly differences: Readonly<Record<string, readonly string[]>>;
}

const DEFAULTS = {
  'default-annotations': [
    'ours: annotations > dev.manifold.run',
    ...['created', 'revision', 'source', 'version'].map(
      name => `ours: annotations > org.opencontainers.image.${name}`,
    ),
  ],
};
const ORDER = { order: ['order: manifests'] };

export const CASES: Readonly<Record<string, Case>> = {
  'attested builds of BuildKit': {
    builds: 'buildkit',
    annotations: ['index:org.example.title=An app, "quoted"', 'index:org.example.empty='],
    differences: { ...ORDER, ...DEFAULTS },
  },
  'builds attested by artifacts': {
    builds: bothArchitectures({ attestation: 'artifact' }),
    differences: { ...ORDER, ...DEFAULTS },
  },
  'images of several variants, and one of Windows': {
    builds: [
      imageFor('linux/arm/v7'),
      imageFor('linux/arm/v6'),
      imageFor('linux/arm64', { config: { variant: 'v8' } }),
      imageFor('linux/amd64/v3'),
      imageFor('windows/amd64', { config: { 'os.version': '10.0.20348.2113', 'os.features': ['win32k'] } }),
    ],
    differences: {
      ...ORDER,
      ...DEFAULTS,
      'windows-version': [
        'ours: manifests > windows/amd64 > platform > os.features',
        'ours: manifests > windows/amd64 > platform > os.version',
      ],
    },
  },
  'annotations of the descriptors of all images': {
    builds: bothArchitectures({ attestation: 'image' }),
    annotations: ['manifest-descriptor:org.example.b=1', 'manifest-descriptor[linux/arm64]:org.example.a=2'],
    differences: {
      ...ORDER,
      ...DEFAULTS,
      'attestation-descriptors': ['linux/amd64', 'linux/arm64'].map(
        platform => `imagetools: manifests > attestation of ${platform} > annotations > org.example.b`,
      ),
    },
  },
  'an annotation with signs of HTML': {
    builds: bothArchitectures(),
    annotations: ['index:org.example.note=a < b & c > d, é, 🚢'],
    differences: { ...ORDER, ...DEFAULTS, 'html-escapes': ['spelling: the document'] },
  },
  'one attested build': {
    builds: [imageFor('linux/amd64', { attestation: 'artifact' })],
    differences: DEFAULTS,
  },
  'one image, as an index': {
    builds: [imageFor('linux/arm/v7')],
    differences: DEFAULTS,
  },
  'one image, as it is': {
    builds: [imageFor('linux/arm/v7')],
    inputs: { 'single-platform': 'manifest' },
    options: ['--prefer-index=false'],
    differences: {},
  },
  'Docker images, in our order': {
    builds: [
      ...bothArchitectures({ mediaTypes: 'docker' }),
      imageFor('linux/arm/v6', { mediaTypes: 'docker' }),
    ],
    inputs: { 'oci-mediatypes': 'false' },
    inOurOrder: true,
    differences: {},
  },
};

/** What one of the two refuses, and what the other makes of it. */
interface Refusal extends Omit<Case, 'differences' | 'inOurOrder'> {
  readonly builds: readonly SyntheticImage[];
  /** The code of our error; undefined where imagetools is who refuses. */
  readonly code?: string;
  /** What of the document of the one that goes on tells the difference. */
  readonly made: object;
  /** A field that is not in it. */
  readonly lacks?: string;
}

const DOCKER_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const OCI_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const REFUSALS: Readonly<Record<string, Refusal>> = {
  'docker-annotations': {
    builds: bothArchitectures({ mediaTypes: 'docker' }),
    annotations: ['index:org.example.title=App'],
    inputs: { 'oci-mediatypes': 'false' },
    code: 'invalid-input',
    made: { mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json' },
    lacks: 'annotations',
  },
  'mixed-types': {
    builds: [imageFor('linux/amd64'), imageFor('linux/arm64', { mediaTypes: 'docker' })],
    code: 'mixed-media-types',
    made: {
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [{ mediaType: DOCKER_TYPE }, { mediaType: OCI_TYPE }],
    },
  },
  'wrong-platform': {
    builds: [imageFor('linux/amd64'), imageFor('linux/arm64', { config: { architecture: 'amd64' } })],
    code: 'wrong-architecture',
    made: {
      manifests: [{ platform: { architecture: 'amd64' } }, { platform: { architecture: 'amd64' } }],
    },
  },
  'missing-platform': {
    builds: [imageFor('linux/amd64')],
    inputs: { platforms: 'linux/amd64, linux/arm64' },
    code: 'missing-platform',
    made: { manifests: [{ platform: { architecture: 'amd64' } }] },
  },
  'manifest-annotations': {
    builds: bothArchitectures(),
    annotations: ['manifest:org.example.title=App'],
    made: { annotations: { 'org.example.title': 'App' } },
  },
};
