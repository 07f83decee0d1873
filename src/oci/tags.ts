import { ManifoldError, oneLine } from '../errors.ts';
import { type Digest, hexOf } from './digest.ts';
import { formatPlatform, type Platform } from './platform.ts';
import { formatRepository, parseReference, parseTag, type Repository } from './reference.ts';

/** A tag to move: in one repository, or in every one that the image goes to. */
export interface TagEntry {
  readonly tag: string;
  readonly repository?: Repository;
}

// OCI distribution-spec, "Referrers Tag Schema", and what cosign adds to it (.sig, .att, .sbom).
const REFERRERS_TAG = /^sha256-[0-9a-f]{64}(?:\.|$)/;

/**
 * Reads an entry of a list of tags: `1.2.3`, or with its repository `ghcr.io/acme/app:1.2.3`. A word without slash and
 * colon is a tag, as no tag is ever implied.
 * @throws ManifoldError `invalid-reference`
 */
export function parseTagEntry(text: string): TagEntry {
  const entry = text.trim();
  if (entry.includes('@'))
    throw invalid(
      entry,
      'it holds a digest, and a digest cannot be moved',
      'Leave out what begins with "@".',
    );
  refuseForeignForm(entry);
  if (!/[/:]/.test(entry)) return { tag: ownTag(parseTag(entry)) };
  const { repository, tag } = parseReference(entry);
  if (tag === undefined) {
    throw invalid(
      entry,
      'it names an image and no tag',
      `Write ${oneLine(entry)}:TAG, or the tag alone for every image.`,
    );
  }
  return { tag: ownTag(tag), repository };
}

/** What other tools and contexts have where a tag stands here. */
function refuseForeignForm(entry: string): void {
  const placeholder = /\{\{[^{}]*\}\}/.exec(entry)?.[0];
  if (placeholder !== undefined) {
    throw invalid(
      entry,
      `tags know no placeholders, as ${oneLine(placeholder)} is one`,
      'Let docker/metadata-action make the tags, and give its output "json" as the input "metadata".',
    );
  }
  const name = /(?:^|:)refs\/(?:heads|tags)\/(.+)$/.exec(entry)?.[1];
  if (name !== undefined) {
    throw invalid(
      entry,
      'it holds the full name of a Git reference',
      `The short one, "${oneLine(name)}", is in github.ref_name: write that in place of github.ref.`,
    );
  }
}

/** Whoever moves one of these takes the signatures from an image in a registry that lists no referrers. */
function ownTag(tag: string): string {
  if (!REFERRERS_TAG.test(tag)) return tag;
  throw invalid(tag, 'under sha256-<digest> registries keep what refers to an image', 'Choose another name.');
}

function invalid(text: string, reason: string, hint: string): ManifoldError {
  return new ManifoldError('invalid-reference', `"${oneLine(text)}" is no tag: ${reason}.`, { hint });
}

/** `ghcr.io/acme/app:1.2.3`, or the tag alone. */
export function formatTagEntry({ tag, repository }: TagEntry): string {
  return repository === undefined ? tag : `${formatRepository(repository)}:${tag}`;
}

/** Each entry once, where it stood first. */
export function uniqueTagEntries(entries: readonly TagEntry[]): TagEntry[] {
  return [...new Map(entries.map(entry => [formatTagEntry(entry), entry])).values()];
}

/**
 * What the placeholders of a template stand for on one platform. The architecture is named with its variant, as Go's
 * releases and GoReleaser name it: `amd64`, `amd64v3`, `arm64`, `armv7`, `386`.
 */
function placeholdersOf(platform: Platform): Record<string, string> {
  const { os, architecture, variant = '' } = platform;
  return { arch: `${architecture}${variant}`, os, platform: formatPlatform(platform).replaceAll('/', '-') };
}

/** @throws ManifoldError `invalid-input` for a placeholder that is none */
function fillIn(template: string, values: Readonly<Record<string, string>>, input: string): string {
  return template.replaceAll(/\{\{([^{}]*)\}\}/g, (_, inside: string) => {
    const name = inside.trim();
    if (Object.hasOwn(values, name)) return values[name] ?? '';
    throw new ManifoldError(
      'invalid-input',
      `"${input}" holds {{${oneLine(name)}}}, which is no placeholder.`,
      {
        hint: `The placeholders are ${Object.keys(values)
          .map(known => `{{${known}}}`)
          .join(', ')}.`,
      },
    );
  });
}

/**
 * What `platform-tag-suffix` gives for a platform: `-{{arch}}` is `-armv7` for linux/arm/v7. The placeholders are
 * `{{arch}}`, `{{os}}` and `{{platform}}` (`linux-arm-v7`).
 * @throws ManifoldError `invalid-input`
 */
export function suffixOf(template: string, platform: Platform): string {
  const suffix = fillIn(template, placeholdersOf(platform), 'platform-tag-suffix');
  if (/^[A-Za-z0-9._-]+$/.test(suffix)) return suffix;
  throw new ManifoldError(
    'invalid-input',
    `"platform-tag-suffix" gives "${oneLine(suffix)}" for ${formatPlatform(platform)}, which cannot end a tag.`,
    { hint: 'Letters, digits, dots, hyphens and underscores can, as in -{{arch}}.' },
  );
}

/** @throws ManifoldError `invalid-input` where two platforms would share their tags */
export function refuseEqualSuffixes(template: string, platforms: readonly Platform[]): void {
  const owners = new Map<string, Platform>();
  for (const platform of platforms) {
    const suffix = suffixOf(template, platform);
    const other = owners.get(suffix);
    if (other !== undefined) {
      throw new ManifoldError(
        'invalid-input',
        `"platform-tag-suffix" gives "${suffix}" for both ${formatPlatform(other)} and ${formatPlatform(platform)}.`,
        { hint: 'Each platform needs a tag of its own: -{{platform}} always tells them apart.' },
      );
    }
    owners.set(suffix, platform);
  }
}

/** The tag of one platform's image. */
export interface PlatformTag<Image> {
  readonly tag: string;
  /** The tag of the whole image that it goes with. */
  readonly leader: string;
  readonly image: Image;
}

/**
 * The tags of single platforms in one repository, beside the tags of the image: `1.2.3` gives `1.2.3-amd64` and so on.
 * @throws ManifoldError `invalid-input`, `invalid-reference` for a tag that gets too long; a name that two things would have
 */
export function platformTags<Image extends { readonly platform: Platform }>(
  tags: readonly string[],
  template: string,
  images: readonly Image[],
): PlatformTag<Image>[] {
  refuseEqualSuffixes(
    template,
    images.map(({ platform }) => platform),
  );
  const made = tags.flatMap(tag =>
    images.map(image => ({
      tag: parseTag(`${tag}${suffixOf(template, image.platform)}`),
      leader: tag,
      image,
    })),
  );
  const taken = new Set(tags);
  for (const { tag, image } of made) {
    if (taken.has(tag)) {
      throw new ManifoldError(
        'invalid-input',
        `With "platform-tag-suffix" the tag "${tag}" of ${formatPlatform(image.platform)} is the name of something else too.`,
        { hint: 'Choose another suffix, or take the tag out of "tags".' },
      );
    }
    taken.add(tag);
  }
  return made;
}

/** BuildKit's platform for what runs nowhere, such as an attestation manifest. */
const NOWHERE: Platform = { os: 'unknown', architecture: 'unknown' };

/**
 * The tag that keeps a child of an index from clean-up, from the template `keep-tags`. Besides the placeholders of
 * `platform-tag-suffix` it knows `{{digest}}` (64 hexadecimal digits) and `{{short}}` (the first 12), one of which must
 * be there: children of other images have the same platforms.
 * @throws ManifoldError `invalid-input`, `invalid-reference`
 */
export function keepTagOf(template: string, digest: Digest, platform: Platform = NOWHERE): string {
  const hex = hexOf(digest);
  const values = { digest: hex, short: hex.slice(0, 12), ...placeholdersOf(platform) };
  const tag = fillIn(template, values, 'keep-tags');
  if (!tag.includes(values.short)) {
    throw new ManifoldError('invalid-input', `"keep-tags" is "${oneLine(template)}" and names no digest.`, {
      hint: 'Without {{digest}} or {{short}} the next image would take the tag from this one: keep-{{short}}.',
    });
  }
  return ownTag(parseTag(tag));
}

/** @throws ManifoldError `invalid-input` for a pattern that matches no legal tag, and so would guard nothing */
export function parseTagPattern(text: string): string {
  if (/^[A-Za-z0-9._*?-]+$/.test(text)) return text;
  throw new ManifoldError('invalid-input', `"${oneLine(text)}" is no pattern for tags.`, {
    hint: 'In a pattern * stands for any characters and ? for one; the rest are letters, digits, dots, hyphens and underscores: v*.*.*',
  });
}

/**
 * Tells whether a pattern matches a whole tag. `*` stands for any characters, none included, `?` for one. Only the last
 * star is ever tried again, so that the time is at most the product of both lengths, and a tag has 128 characters.
 */
export function matchesPattern(tag: string, pattern: string): boolean {
  let [at, inPattern] = [0, 0];
  let star = -1;
  let afterStar = 0;
  while (at < tag.length) {
    const expected = pattern[inPattern];
    if (expected === '*') {
      star = inPattern++;
      afterStar = at;
    } else if (expected === '?' || expected === tag[at]) {
      at++;
      inPattern++;
    } else if (star >= 0) {
      // The star takes one character more, and the rest is tried again.
      inPattern = star + 1;
      at = ++afterStar;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(inPattern));
}
