/**
 * The table of the lab's tools: which, in which version, built from what.
 *
 * Small ones stand first, and that is the order in which they are built. A tool has a folder of its own under
 * `go/` with a committed go.mod and go.sum, so that the dependencies of one never decide those of another.
 */

export interface GoTool {
  readonly kind: 'go';
  /** What the person types and reads; also the folder under `go/`, where `directory` does not say otherwise. */
  readonly name: string;
  readonly version: string;
  readonly directory?: string;
  /** Name of each binary, and the package it is built from. */
  readonly binaries: Readonly<Record<string, string>>;
  /** Beside `-s -w`; mostly the version, which a build outside the project's own Makefile does not know. */
  readonly ldflags?: string;
  readonly tags?: string;
  /** Platforms to cross-compile for; each binary's name then ends in `-linux-arm64` and the like. */
  readonly platforms?: readonly string[];
  /** Files that the binaries' users need beside them: the name of each, and where its module has it. */
  readonly files?: Readonly<Record<string, ModuleFile>>;
}

export interface ModuleFile {
  /** The module's path, whose version is that of go.mod. */
  readonly module: string;
  readonly path: string;
}

/** A program from a Python wheel: `pip install` into a virtual environment. */
export interface PythonTool {
  readonly kind: 'python';
  readonly name: string;
  readonly version: string;
  readonly binaries: Readonly<Record<string, string>>;
  /** The committed file with the hashes of every wheel, under `python/`. */
  readonly requirements: string;
}

export type Tool = GoTool | PythonTool;

/** The version variable of Sigstore's Go programs. */
const sigstoreVersion = '-X sigs.k8s.io/release-utils/version.gitVersion';

export const catalog: readonly Tool[] = [
  {
    // The shell of the lab's test images. It stands for busybox, which would have to come from packages of
    // foreign architectures.
    kind: 'go',
    name: 'box',
    version: '1.0.0',
    binaries: { box: '.' },
    platforms: ['linux/amd64', 'linux/arm64'],
  },
  {
    // No referrers API: proves the fallback tag, which GHCR and Docker Hub need too.
    kind: 'go',
    name: 'distribution',
    version: '3.1.1',
    binaries: { registry: 'github.com/distribution/distribution/v3/cmd/registry' },
    ldflags: '-X github.com/distribution/distribution/v3/version.version=v3.1.1',
  },
  {
    // With the referrers API.
    kind: 'go',
    name: 'olareg',
    version: '0.2.2',
    binaries: { olareg: 'github.com/olareg/olareg/cmd/olareg' },
  },
  {
    // An independent reader of what we publish, and a third registry (`crane registry serve`).
    kind: 'go',
    name: 'crane',
    version: '0.21.9',
    binaries: { crane: 'github.com/google/go-containerregistry/cmd/crane' },
    ldflags: '-X github.com/google/go-containerregistry/cmd/crane/cmd.Version=0.21.9',
  },
  {
    kind: 'go',
    name: 'regctl',
    version: '0.11.5',
    binaries: { regctl: 'github.com/regclient/regclient/cmd/regctl' },
  },
  {
    kind: 'go',
    name: 'actionlint',
    version: '1.7.12',
    binaries: { actionlint: 'github.com/rhysd/actionlint/cmd/actionlint' },
    ldflags: '-X github.com/rhysd/actionlint.version=1.7.12',
  },
  {
    kind: 'python',
    name: 'zizmor',
    version: '1.32.0',
    binaries: { zizmor: 'zizmor' },
    requirements: 'zizmor.txt',
  },
  {
    // WITHOUT_DOCKER: workflows run in host mode, and most of the dependencies stay away.
    kind: 'go',
    name: 'act',
    version: '0.2.87',
    binaries: { act: 'github.com/nektos/act' },
    ldflags: '-X main.version=0.2.87',
    tags: 'WITHOUT_DOCKER',
  },
  {
    kind: 'go',
    name: 'buildkit',
    version: '0.32.2',
    binaries: {
      buildkitd: 'github.com/moby/buildkit/cmd/buildkitd',
      buildctl: 'github.com/moby/buildkit/cmd/buildctl',
    },
    ldflags: '-X github.com/moby/buildkit/version.Version=v0.32.2',
  },
  {
    // Without its version it calls itself 0.0.0, and every check of the version fails.
    kind: 'go',
    name: 'buildx',
    version: '0.36.1',
    binaries: { buildx: 'github.com/docker/buildx/cmd/buildx' },
    ldflags: '-X github.com/docker/buildx/version.Version=v0.36.1',
  },
  {
    // Our own command on its packages: the published one takes a fixed port. See go/timestamp-authority/main.go.
    kind: 'go',
    name: 'timestamp-authority',
    version: '2.1.3',
    binaries: { 'timestamp-server': '.' },
  },
  {
    // Our own command on the packages of tesseract, whose version this is: see go/ctlog/main.go.
    kind: 'go',
    name: 'ctlog',
    version: '0.1.2',
    binaries: { ctlog: '.' },
  },
  {
    // Rekor v2 on plain files.
    kind: 'go',
    name: 'rekor-tiles',
    version: '2.3.0',
    binaries: { 'rekor-server': 'github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix' },
    ldflags: `${sigstoreVersion}=v2.3.0`,
  },
  {
    // What Rekor v1 keeps its log in.
    kind: 'go',
    name: 'trillian',
    version: '1.8.0',
    binaries: {
      trillian_log_server: 'github.com/google/trillian/cmd/trillian_log_server',
      trillian_log_signer: 'github.com/google/trillian/cmd/trillian_log_signer',
      createtree: 'github.com/google/trillian/cmd/createtree',
    },
    files: {
      'trillian.sql': {
        module: 'github.com/google/trillian',
        path: 'storage/postgresql/schema/storage.sql',
      },
    },
  },
  {
    // Rekor v1, the log of the public Sigstore. 1.5.5 wants a newer Go.
    kind: 'go',
    name: 'rekor',
    version: '1.5.3',
    binaries: { 'rekor-server-v1': 'github.com/sigstore/rekor/cmd/rekor-server' },
    ldflags: `${sigstoreVersion}=v1.5.3`,
  },
  {
    // `go mod tidy` fails on a dependency of its tests alone; a build needs no such thing.
    kind: 'go',
    name: 'fulcio',
    version: '1.8.8',
    binaries: { fulcio: 'github.com/sigstore/fulcio' },
    ldflags: `${sigstoreVersion}=v1.8.8`,
  },
  {
    kind: 'go',
    name: 'cosign',
    version: '3.1.3',
    binaries: { cosign: 'github.com/sigstore/cosign/v3/cmd/cosign' },
    ldflags: `${sigstoreVersion}=v3.1.3`,
  },
  {
    // The last cosign before version 3: it reads bundles and legacy signatures, and prefers bundles.
    kind: 'go',
    name: 'cosign-2.6',
    version: '2.6.5',
    binaries: { 'cosign-2.6': 'github.com/sigstore/cosign/v2/cmd/cosign' },
    ldflags: `${sigstoreVersion}=v2.6.5`,
  },
  {
    // It stands for all verifiers that know nothing of bundles in a registry.
    kind: 'go',
    name: 'cosign-2.5',
    version: '2.5.0',
    binaries: { 'cosign-2.5': 'github.com/sigstore/cosign/v2/cmd/cosign' },
    ldflags: `${sigstoreVersion}=v2.5.0`,
  },
  {
    // Makes the SBOMs of the lab's scanner image.
    kind: 'go',
    name: 'syft',
    version: '1.52.0',
    binaries: { syft: 'github.com/anchore/syft/cmd/syft' },
    ldflags: '-X main.version=1.52.0',
  },
  {
    // Apart from box, because a demonstration needs the first two platforms only.
    kind: 'go',
    name: 'box-more',
    version: '1.0.0',
    directory: 'box',
    binaries: { box: '.' },
    platforms: ['linux/arm/v7', 'linux/386', 'linux/ppc64le', 'linux/riscv64', 'linux/s390x'],
  },
];
