import { type Contents, sha256 } from '../../__tests__/servers/registry.ts';
import { fallbackEntries, referrers, type SignatureJudge } from './signatures.ts';
import type { Expected, Site } from './site.ts';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** One repository of one registry, and what is to be found there. */
interface Place {
  readonly name: string;
  readonly contents: Contents;
  readonly listsReferrers: boolean;
  readonly expected: readonly Expected[];
  readonly signs: boolean;
}

/** Asks the registries themselves what the merges of a run left, and never the action's own code. */
export class Judge {
  readonly #site: Site;
  readonly #signatures: SignatureJudge;

  constructor(site: Site, signatures: SignatureJudge) {
    this.#site = site;
    this.#signatures = signatures;
  }

  /** The promise that must hold at every moment. @returns what is wrong, a sentence each */
  faults(): string[] {
    return this.#site.world.components.flatMap(component => {
      const places = this.#places(component);
      const moved = new Set(places.flatMap(place => [...this.#movedTags(place, component).values()]));
      return [
        ...places.flatMap(place => this.#strangeTags(place)),
        ...this.#latestTooEarly(places, component),
        ...(moved.size > 1 ? [`the tags of ${component} point at ${moved.size} different images`] : []),
        // A tag has moved: then all registries hold the image, complete and signed.
        ...[...moved].flatMap(digest => places.flatMap(place => this.#faultsOfImage(place, digest))),
        ...places.flatMap(place => [...this.#doubledSignatures(place), ...lostReferrers(place)]),
      ];
    });
  }

  /** What a merge that succeeded must have done. */
  unfinished(component: string): string[] {
    const { tags } = this.#site.world;
    return this.#places(component).flatMap(place => {
      const moved = this.#movedTags(place, component);
      return tags.filter(tag => !moved.has(tag)).map(tag => `${place.name}:${tag} was not moved`);
    });
  }

  /** What a merge that can never succeed must not have done. */
  movedAnyway(component: string): string[] {
    return this.#places(component).flatMap(place =>
      [...this.#movedTags(place, component).keys()].map(tag => `${place.name}:${tag} was moved`),
    );
  }

  /** All that is stored, to tell whether a merge changed anything. */
  fingerprint(): string {
    const { registries, world } = this.#site;
    const parts = registries.flatMap((_, registry) =>
      world.components.flatMap(component => {
        const { manifests, tags, blobs } = this.#site.repository(registry, component);
        return [...manifests.keys(), ...blobs.keys(), ...[...tags].map(tag => tag.join(' '))].sort();
      }),
    );
    return sha256(Buffer.from(parts.join('\n')));
  }

  #places(component: string): Place[] {
    const { world, registries } = this.#site;
    const expected = world.builds
      .filter(build => build.component === component)
      .map(build => this.#site.expected.get(build) as Expected);
    return registries.map(({ host }, registry) => ({
      name: `${host}/acme/${component}`,
      contents: this.#site.repository(registry, component),
      listsReferrers: world.registries[registry]?.referrers === 'api',
      expected,
      signs: world.signs,
    }));
  }

  /** The tags of people that do not point at the earlier image. */
  #movedTags({ contents }: Place, component: string): Map<string, string> {
    const earlier = this.#site.earlier.get(component);
    return new Map([...contents.tags].filter(([tag, digest]) => !isFallback(tag) && digest !== earlier));
  }

  /** "latest" is the last to move, when all other names show the image in every registry. */
  #latestTooEarly(places: readonly Place[], component: string): string[] {
    const { tags } = this.#site.world;
    const moved = places.map(place => ({ place, tags: this.#movedTags(place, component) }));
    if (!moved.some(each => each.tags.has('latest'))) return [];
    return moved.flatMap(({ place, tags: there }) =>
      tags
        .filter(tag => tag !== 'latest' && !there.has(tag))
        .map(tag => `"latest" was moved before ${place.name}:${tag}`),
    );
  }

  #strangeTags({ name, contents }: Place): string[] {
    const { tags, earlier } = this.#site.world;
    return [
      ...[...contents.tags.keys()]
        .filter(tag => !isFallback(tag) && !tags.includes(tag))
        .map(tag => `${name}:${tag} is no tag that anybody asked for`),
      ...earlier.filter(tag => !contents.tags.has(tag)).map(tag => `${name}:${tag} is gone`),
    ];
  }

  /** Whether the image is exactly what was built, complete and, where it is to be, signed. */
  #faultsOfImage(place: Place, digest: string): string[] {
    const held = place.contents.manifests.get(digest);
    if (held === undefined) return [`${place.name} does not hold ${digest}, to which a tag points`];
    const { manifests } = JSON.parse(held.bytes.toString()) as { manifests?: Descriptor[] };
    if (manifests === undefined) return [`${place.name}@${digest} is no index`];
    const faults = [
      ...(sha256(held.bytes) === digest ? [] : [`${place.name}@${digest} has other bytes`]),
      ...faultsOfChildren(place, manifests),
      ...manifests.flatMap(child => faultsOfContent(place, child)),
    ];
    const unsigned = place.signs
      ? [digest, ...manifests.map(child => child.digest)].flatMap(each =>
          this.#faultsOfSignature(place, each),
        )
      : [];
    return [...faults, ...unsigned];
  }

  #faultsOfSignature({ name, contents, listsReferrers }: Place, digest: string): string[] {
    const { valid, faults } = this.#signatures.signaturesOf(contents, digest, listsReferrers);
    return valid > 0 ? [] : [`${name}@${digest} is not signed${faults.map(fault => `; ${fault}`).join('')}`];
  }

  #doubledSignatures({ name, contents, listsReferrers }: Place): string[] {
    return [...contents.manifests.keys()].flatMap(digest => {
      const { valid } = this.#signatures.signaturesOf(contents, digest, listsReferrers);
      return valid > 1 ? [`${name}@${digest} is signed ${valid} times`] : [];
    });
  }
}

const isFallback = (tag: string): boolean => tag.startsWith('sha256-');

/** Exactly the platforms that were built, from their newest attempt, each followed by its attestation manifest. */
function faultsOfChildren({ name, expected }: Place, children: readonly Descriptor[]): string[] {
  const found = children.map(child => `${platformOf(child)} ${child.digest}`);
  const wanted = expected.map(({ build, image }) => [
    `${build.platform} ${image.manifest.descriptor.digest}`,
    ...(image.attestation === undefined ? [] : [`unknown/unknown ${image.attestation.descriptor.digest}`]),
  ]);
  const faults = wanted.flatMap(([first = '', ...attestations]) => {
    const at = found.indexOf(first);
    if (at < 0) return [`${name}: the index lacks ${first}`];
    return attestations
      .filter((entry, n) => found[at + n + 1] !== entry)
      .map(entry => `${name}: ${entry} does not follow ${first}`);
  });
  const strange = found
    .filter(entry => !wanted.flat().includes(entry))
    .map(entry => `${name}: the index holds ${entry}`);
  const doubled = found.length === new Set(found).size ? [] : [`${name}: the index names a manifest twice`];
  return [...faults, ...strange, ...doubled];
}

function platformOf({ platform }: Descriptor): string {
  if (platform === undefined) return 'no platform';
  const { os, architecture, variant } = platform;
  return [os, architecture, variant].filter(part => part !== undefined).join('/');
}

/** Whether a child of the index is there with all that it names, and its config is for its platform. */
function faultsOfContent({ name, contents }: Place, child: Descriptor): string[] {
  const held = contents.manifests.get(child.digest);
  if (held === undefined) return [`${name}@${child.digest} is missing`];
  const { config, layers } = JSON.parse(held.bytes.toString()) as {
    config: Descriptor;
    layers: Descriptor[];
  };
  const broken = [config, ...layers]
    .filter(({ digest }) => sha256(contents.blobs.get(digest) ?? Buffer.alloc(0)) !== digest)
    .map(({ digest }) => `${name}@${child.digest} lacks the blob ${digest}, or its bytes are others`);
  if (broken.length > 0) return broken;
  const isDifferent = held.bytes.length !== child.size || held.mediaType !== child.mediaType;
  const inside = platformInside(contents, config);
  return [
    ...(isDifferent ? [`${name}@${child.digest} has another size or type than the index says`] : []),
    ...(inside === platformOf(child)
      ? []
      : [`${name}@${child.digest} is for ${inside}, not for ${platformOf(child)}`]),
  ];
}

function platformInside(contents: Contents, config: Descriptor): string {
  const text = contents.blobs.get(config.digest)?.toString() ?? '';
  const platform = JSON.parse(text) as NonNullable<Descriptor['platform']>;
  // "v8" is what every arm64 is.
  const isBasic = platform.architecture === 'arm64' && platform.variant === 'v8';
  const { os, architecture, variant } = platform;
  return [os, architecture, isBasic ? undefined : variant].filter(part => part !== undefined).join('/');
}

/** What others attached stays listed. */
function lostReferrers({ name, contents, listsReferrers }: Place): string[] {
  if (listsReferrers) return [];
  const subjects = [...contents.tags.keys()].filter(isFallback).map(tag => tag.replace('-', ':'));
  return subjects.flatMap(subject => {
    const listed = fallbackEntries(contents, subject);
    return referrers(contents, subject)
      .filter(
        digest =>
          contents.manifests.get(digest)?.bytes.includes('vnd.example.scan') && !listed.includes(digest),
      )
      .map(
        digest => `${name}: ${digest}, which somebody else attached to ${subject}, is not listed any more`,
      );
  });
}
