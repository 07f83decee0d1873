import { ManifoldError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import {
  type Descriptor,
  isManifestType,
  type Layer,
  type ManifestContent,
  parseManifest,
  requireDescribed,
} from '../oci/manifest.ts';
import { Gate } from '../parallel.ts';
import type { Arrival } from './blobs.ts';
import { confirmManifest } from './confirm.ts';
import type { RepositoryClient } from './repository-client.ts';

export interface CopyOptions {
  /** Told of each blob and manifest that has arrived, and of each layer that was left behind, one sentence. */
  readonly onProgress?: (line: string) => void;
}

/** A blob that is longer passes with few others: it lasts, and its registry reads it again. Bytes. */
const BIG = 4 * 1024 * 1024;
const BIG_AT_A_TIME = 4;
const SMALL_AT_A_TIME = 12;

/**
 * Copies image manifests and attestation manifests, with all that they consist of, to another repository, byte for byte:
 * the target then holds each under its digest, with everything in it. What the target has is not copied, be it a manifest
 * or a blob, but each is asked for: a registry's clean-up may have left a manifest without its layers. An index is no
 * manifest here. What is copied was pushed by builds a moment ago: a source that does not show it yet is asked again.
 * @param sources repositories that hold them, the preferred one first: what one does not have is looked for in the next
 * @param manifests each as the index describes it; doubled ones are copied once
 * @throws ManifoldError `registry-…`; `digest-mismatch`, `invalid-document` when a source holds something else than the
 *   descriptors say
 */
export async function copyManifests(
  sources: readonly RepositoryClient[],
  target: RepositoryClient,
  manifests: readonly Descriptor[],
  options: CopyOptions = {},
): Promise<void> {
  const copy = new Copy(sources, target, options);
  const wanted = new Map(manifests.map(descriptor => [descriptor.digest, descriptor]));
  await Promise.all([...wanted.values()].map(descriptor => copy.manifest(descriptor)));
}

/** One copy under way. */
class Copy {
  readonly #sources: readonly RepositoryClient[];
  readonly #target: RepositoryClient;
  readonly #options: CopyOptions;
  readonly #manifests = new Map<Digest, Promise<void>>();
  readonly #arrivals = new Map<Digest, Promise<void>>();
  readonly #big = new Gate(BIG_AT_A_TIME);
  readonly #small = new Gate(SMALL_AT_A_TIME);

  constructor(sources: readonly RepositoryClient[], target: RepositoryClient, options: CopyOptions) {
    this.#sources = sources;
    this.#target = target;
    this.#options = options;
  }

  manifest(descriptor: Descriptor): Promise<void> {
    // Begun later than noted: what is about another manifest of the same copy finds that one here.
    const copied = Promise.resolve().then(() => this.#copyManifest(descriptor));
    this.#manifests.set(descriptor.digest, copied);
    return copied;
  }

  async #copyManifest(descriptor: Descriptor): Promise<void> {
    const { digest } = descriptor;
    const present = (await this.#small.run(() => this.#target.headManifest(digest))) !== undefined;
    const { content, where } = await this.#small.run(() => this.#read(digest));
    requireManifest(content, where);
    requireDescribed(content, descriptor, where);
    const { config, layers, subject } = parseManifest(content, where);
    await Promise.all([config, ...layers].map(blob => this.#blob(blob)));
    if (present) return;
    // Docker Hub refuses a manifest about another one that it does not hold yet.
    if (subject !== undefined) await this.#manifests.get(subject.digest);
    await this.#target.putManifest(content, digest, { justPushed: true });
    await this.#small.run(() => confirmManifest(this.#target, digest));
    this.#tell(`copied the manifest ${digest} to ${this.#target.name}`);
  }

  #read(digest: Digest): Promise<{ content: ManifestContent; where: string }> {
    return this.#fromAny(async source => ({
      content: await source.getManifest(digest, { justPushed: true }),
      where: `${source.name}@${digest}`,
    }));
  }

  /** Lets one source after the other try, until one has it. */
  async #fromAny<T>(work: (source: RepositoryClient) => Promise<T>): Promise<T> {
    let absent: unknown;
    for (const source of this.#sources) {
      try {
        return await work(source);
      } catch (error) {
        if (!(error instanceof ManifoldError) || error.code !== 'registry-not-found') throw error;
        absent ??= error;
      }
    }
    throw absent;
  }

  /** Once, however many manifests name it. */
  #blob(blob: Layer): Promise<void> {
    const known = this.#arrivals.get(blob.digest);
    const arrival = known ?? this.#copyBlob(blob);
    this.#arrivals.set(blob.digest, arrival);
    return arrival;
  }

  async #copyBlob(blob: Layer): Promise<void> {
    const { digest, size } = blob;
    if (staysWhereItIs(blob)) {
      this.#tell(`left ${digest} where it is: its layer is not to be distributed`);
      return;
    }
    const pass = size > BIG ? this.#big : this.#small;
    const arrival = await pass.run(() => this.#fromAny(source => this.#target.copyBlob(blob, source)));
    this.#tell(`${SAID[arrival]} ${digest} (${size} bytes) in ${this.#target.name}`);
  }

  #tell(line: string): void {
    this.#options.onProgress?.(line);
  }
}

const SAID: Readonly<Record<Arrival, string>> = {
  present: 'found',
  mounted: 'mounted',
  uploaded: 'uploaded',
};

function requireManifest({ mediaType }: ManifestContent, where: string): void {
  if (isManifestType(mediaType)) return;
  throw new ManifoldError(
    'invalid-document',
    `${where} is no image manifest, but ${mediaType}: only manifests are copied.`,
  );
}

/** Image-spec, layer.md, "Non-Distributable Layers", and Docker's name for the same. */
function staysWhereItIs({ mediaType, urls }: Layer): boolean {
  return (urls ?? []).length > 0 && /\.nondistributable\.|\.foreign\./.test(mediaType);
}
