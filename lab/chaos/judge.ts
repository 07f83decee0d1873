import { sha256 } from '../../__tests__/servers/registry.ts';
import { expectedAnnotations, faultsOfAnnotations } from './annotations.ts';
import { type Descriptor, faultsOfChildren, faultsOfContent, type Repository } from './contents.ts';
import { type Duty, dutiesOf, isFallback, isKeepTag } from './duties.ts';
import { isKeptBy, keepTag } from './platform-tags.ts';
import type { SignedJudge } from './signed.ts';
import type { Expected, Site } from './site.ts';
import { allPlaces, type Place, samePlace } from './world.ts';

/** One of the repositories that a component is published to, and what is to be found there. */
interface Target extends Repository {
  readonly duties: readonly Duty[];
}

/** Asks the registries themselves what the merges of a run left, and never the action's own code. */
export class Judge {
  readonly #site: Site;
  readonly #signed: SignedJudge;

  constructor(site: Site, signed: SignedJudge) {
    this.#site = site;
    this.#signed = signed;
  }

  /**
   * The promise that must hold at every moment.
   * @param lost whether a registry has lost what it said that it took
   * @returns what is wrong, a sentence each
   */
  faults(lost = false): string[] {
    return this.#site.world.components.flatMap(component => {
      const targets = this.#targets(component);
      const images = new Set(
        targets.flatMap(target =>
          movedDuties(target)
            .filter(({ single }) => single === undefined)
            .map(({ tag }) => target.contents.tags.get(tag) ?? ''),
        ),
      );
      return [
        ...targets.flatMap(target => [...this.#strangeTags(target), ...tagsThatStay(target)]),
        ...movedTooEarly(targets),
        ...(images.size > 1 ? [`the tags of ${component} point at ${images.size} different images`] : []),
        // A tag has moved: then all registries hold the image, complete and signed.
        ...[...images].flatMap(digest =>
          targets.flatMap(target => this.#faultsOfImage(target, component, digest)),
        ),
        ...targets.flatMap(target => this.#faultsOfSingles(target, targets)),
        ...this.#untaggedPlaces(component),
        ...this.#repositories(component).flatMap(each => [
          ...this.#signed.faults(each),
          ...(lost ? [] : this.#signed.signedTooEarly(each)),
        ]),
      ];
    });
  }

  /** What a merge that succeeded must have done. */
  unfinished(component: string): string[] {
    return this.#targets(component).flatMap(target => {
      const moved = new Set(movedDuties(target));
      const left = target.duties.filter(duty => !duty.stays && !moved.has(duty));
      return [
        ...left.map(({ tag }) => `${target.name}:${tag} was not moved`),
        ...this.#missingKeepTags(target, component),
      ];
    });
  }

  /** What a merge that can never succeed must not have done. */
  movedAnyway(component: string): string[] {
    return this.#targets(component).flatMap(target =>
      movedDuties(target).map(({ tag }) => `${target.name}:${tag} was moved`),
    );
  }

  /** All that is stored, to tell whether a merge changed anything. */
  fingerprint(): string {
    const { world } = this.#site;
    const parts = allPlaces(world).flatMap(place =>
      world.components.flatMap(component => {
        const { manifests, tags, blobs } = this.#site.repository(place, component);
        return [...manifests.keys(), ...blobs.keys(), ...[...tags].map(tag => tag.join(' '))].sort();
      }),
    );
    return sha256(Buffer.from(parts.join('\n')));
  }

  #repository(place: Place, component: string): Repository {
    const { world, registries } = this.#site;
    return {
      name: `${registries[place.registry]?.host}/${place.owner}/${component}`,
      contents: this.#site.repository(place, component),
      listsReferrers: world.registries[place.registry]?.referrers === 'api',
    };
  }

  #repositories(component: string): Repository[] {
    return allPlaces(this.#site.world).map(place => this.#repository(place, component));
  }

  #targets(component: string): Target[] {
    return this.#site.world.targets.map((place, position) => ({
      ...this.#repository(place, component),
      duties: dutiesOf(this.#site, position, component),
    }));
  }

  #expected(component: string): Expected[] {
    const builds = this.#site.world.builds.filter(build => build.component === component);
    return builds.map(build => this.#site.expected.get(build) as Expected);
  }

  #strangeTags({ name, contents, duties }: Target): string[] {
    const known = new Set(duties.map(({ tag }) => tag));
    const { keepTags } = this.#site.world;
    return [...contents.tags].flatMap(([tag, digest]) => {
      if (isFallback(tag) || known.has(tag)) return [];
      if (keepTags === undefined || !isKeepTag(tag))
        return [`${name}:${tag} is no tag that anybody asked for`];
      return isKeptBy(keepTags, tag, digest) ? [] : [`${name}:${tag} names ${digest}`];
    });
  }

  /** Where the builds push and nobody publishes, there are no tags. */
  #untaggedPlaces(component: string): string[] {
    const { sources, targets } = this.#site.world;
    const others = sources.filter(source => !targets.some(target => samePlace(source, target)));
    return others.flatMap(place => {
      const { name, contents } = this.#repository(place, component);
      const tags = [...contents.tags.keys()].filter(tag => !isFallback(tag));
      return tags.map(tag => `${name}:${tag} is where nothing is published`);
    });
  }

  /** Whether the image is exactly what was built, complete and, where it is to be, signed. */
  #faultsOfImage(target: Target, component: string, digest: string): string[] {
    const held = target.contents.manifests.get(digest);
    if (held === undefined) return [`${target.name} does not hold ${digest}, to which a tag points`];
    const { manifests, annotations } = JSON.parse(held.bytes.toString()) as {
      manifests?: Descriptor[];
      annotations?: Record<string, string>;
    };
    if (manifests === undefined) return [`${target.name}@${digest} is no index`];
    return [
      ...(sha256(held.bytes) === digest ? [] : [`${target.name}@${digest} has other bytes`]),
      ...faultsOfChildren(target.name, this.#expected(component), manifests),
      ...faultsOfAnnotations(target.name, annotations, expectedAnnotations(this.#site, component)),
      ...manifests.flatMap(child => faultsOfContent(target, child)),
      ...[digest, ...manifests.map(child => child.digest)].flatMap(each =>
        this.#signed.faultsOf(target, each),
      ),
    ];
  }

  /** Tags of single platforms: each names what was built for it, which is complete and signed everywhere. */
  #faultsOfSingles(target: Target, targets: readonly Target[]): string[] {
    return movedDuties(target).flatMap(({ tag, single }) => {
      if (single === undefined) return [];
      const { image, build } = single;
      const found = target.contents.tags.get(tag);
      const { descriptor } = image.manifest;
      if (found !== descriptor.digest)
        return [`${target.name}:${tag} names ${found}, not ${descriptor.digest}`];
      const [os = '', architecture = '', variant] = build.platform.split('/');
      const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
      return targets.flatMap(each => [
        ...faultsOfContent(each, { ...descriptor, platform }),
        ...this.#signed.faultsOf(each, descriptor.digest),
      ]);
    });
  }

  #missingKeepTags({ name, contents }: Target, component: string): string[] {
    const { keepTags } = this.#site.world;
    if (keepTags === undefined) return [];
    const children = this.#expected(component).flatMap(({ build, image: { manifest, attestation } }) => [
      { platform: build.platform, digest: manifest.descriptor.digest },
      ...(attestation === undefined
        ? []
        : [{ platform: 'unknown/unknown', digest: attestation.descriptor.digest }]),
    ]);
    return children.flatMap(({ platform, digest }) => {
      const tag = keepTag(keepTags, digest, platform);
      return contents.tags.get(tag) === digest ? [] : [`${name}:${tag} does not keep ${digest}`];
    });
  }
}

/** The tags that point at something else than before the run. */
function movedDuties({ contents, duties }: Target): Duty[] {
  return duties.filter(({ tag, earlier }) => contents.tags.has(tag) && contents.tags.get(tag) !== earlier);
}

function tagsThatStay({ name, contents, duties }: Target): string[] {
  return duties.flatMap(({ tag, earlier, stays }) => {
    if (earlier !== undefined && !contents.tags.has(tag)) return [`${name}:${tag} is gone`];
    return stays && contents.tags.get(tag) !== earlier ? [`${name}:${tag} was moved, and was to stay`] : [];
  });
}

/** A tag moves when all of the ranks before it show the image, in every registry. */
function movedTooEarly(targets: readonly Target[]): string[] {
  const highest = Math.max(-1, ...targets.flatMap(movedDuties).map(({ rank }) => rank));
  return targets.flatMap(target => {
    const moved = new Set(movedDuties(target));
    return target.duties
      .filter(duty => duty.rank < highest && !duty.stays && !moved.has(duty))
      .map(({ tag }) => `${target.name}:${tag} was not moved, but tags that come after it were`);
  });
}
