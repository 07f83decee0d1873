import { ManifoldError, oneLine } from '../errors.ts';
import { type Digest, parseDigest } from './digest.ts';

/** A repository in a registry: `ghcr.io` + `acme/app`. Docker Hub's short names are written out. */
export interface Repository {
  /** Host, with the port if one was given, as credentials and users know it: `docker.io`, `127.0.0.1:5000`. */
  readonly registry: string;
  /** The path in the registry: `library/alpine`. */
  readonly path: string;
}

/** What an image reference points at: a tag, a digest, or both (then the digest decides). */
export interface Reference {
  readonly repository: Repository;
  readonly tag?: string;
  readonly digest?: Digest;
}

// OCI distribution-spec, "Pulling manifests": <name> and <reference> as tag.
/** One part of a repository's path, as the source of a regular expression. */
export const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const DOCKER_HUB = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);

/**
 * Reads an image name without tag and digest: `ghcr.io/acme/app`, `alpine`.
 * @throws ManifoldError `invalid-reference`
 */
export function parseRepository(text: string): Repository {
  const name = text.trim();
  const reference = parseReference(name);
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw invalid(name, 'an image name stands here without tag and digest', 'Tags go into the input "tags".');
  }
  return reference.repository;
}

/**
 * Splits a line of a list of images: names stand with commas, but in docker/metadata-action's form the commas part the
 * attributes of one.
 */
export function splitImageLine(line: string): string[] {
  const fields = line.split(',').map(field => field.trim());
  return fields.some(field => field.includes('=')) ? [line.trim()] : fields.filter(field => field !== '');
}

const IMAGE_ATTRIBUTES = ['name', 'enable'];

/**
 * Reads an entry of a list of images: a name, or docker/metadata-action's `name=ghcr.io/acme/app,enable=true`. In that
 * form a name is written in lower case for its author, as that action does, since it often comes from a context; and
 * the name of an image that is not enabled may be anything, as it may be made from a secret that is not there.
 * @returns undefined for an image that is not enabled
 * @throws ManifoldError `invalid-reference`, `invalid-input` for an attribute that is none
 */
export function parseImageEntry(text: string): Repository | undefined {
  if (!/[=,]/.test(text)) return parseRepository(text);
  const attributes = new Map<string, string>();
  for (const field of text.split(',').map(part => part.trim())) {
    if (field === '') continue;
    const equals = field.indexOf('=');
    const key = equals < 0 ? 'name' : field.slice(0, equals).trim().toLowerCase();
    if (!IMAGE_ATTRIBUTES.includes(key))
      throw invalidImage(text, `"${oneLine(key)}" is no attribute of an image`);
    if (attributes.has(key)) throw invalidImage(text, `"${key}" is there twice`);
    attributes.set(key, field.slice(equals + 1).trim());
  }
  const name = attributes.get('name') ?? '';
  const enable = attributes.get('enable') ?? 'true';
  if (name === '') throw invalidImage(text, 'its name is empty');
  if (enable !== 'true' && enable !== 'false')
    throw invalidImage(text, `"enable" is "${oneLine(enable)}" and neither true nor false`);
  return enable === 'true' ? parseRepository(name.toLowerCase()) : undefined;
}

function invalidImage(text: string, reason: string): ManifoldError {
  return new ManifoldError('invalid-input', `"${oneLine(text)}" is no image: ${reason}.`, {
    hint: `Write a name as in ghcr.io/acme/app, or one a line with attributes: name=ghcr.io/acme/app,enable=true. The attributes are ${IMAGE_ATTRIBUTES.join(' and ')}.`,
  });
}

/**
 * Reads an image reference; a missing tag stays missing (`latest` is never implied).
 * @throws ManifoldError `invalid-reference`, `invalid-digest`
 */
export function parseReference(text: string): Reference {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1));
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? parseTag(named.slice(colon + 1)) : undefined;
  const repository = splitName(hasTag ? named.slice(0, colon) : named, text);
  return { repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** @throws ManifoldError `invalid-reference` */
export function parseTag(text: string): string {
  if (TAG.test(text)) return text;
  const illegal = /[^A-Za-z0-9._-]/.exec(text)?.[0];
  const reason =
    illegal === undefined
      ? text.length > 128
        ? 'it is longer than 128 characters'
        : 'it begins with a dot or a hyphen'
      : `it holds "${oneLine(illegal) || ' '}"`;
  throw new ManifoldError('invalid-reference', `"${oneLine(text)}" is no tag: ${reason}.`, {
    hint: 'A tag is what follows the colon of an image name: at most 128 letters, digits, dots, hyphens and underscores. Several tags stand one a line or with commas.',
  });
}

function splitName(name: string, whole: string): Repository {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(name)?.[0];
  if (scheme !== undefined) throw invalid(whole, 'it is an address', `Leave out ${oneLine(scheme)}.`);
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  // The first part is a host if it cannot be the first part of a path on Docker Hub (as every client decides).
  const isHost = /[.:]/.test(first) || first.toLowerCase() === 'localhost';
  // Hosts are the same however they are written (RFC 3986, section 3.2.2); logins and tokens are kept by them.
  const host = isHost ? first.toLowerCase() : 'docker.io';
  const registry = DOCKER_HUB.has(host) ? 'docker.io' : host;
  let path = isHost ? name.slice(slash + 1) : name;
  if (registry === 'docker.io' && path !== '' && !path.includes('/')) path = `library/${path}`;

  // Ports above 65535 and numbers that are no IPv4 address have the form of a host and are none.
  if (!HOST.test(registry) || !URL.canParse(`https://${registry}`))
    throw invalid(whole, `"${oneLine(registry)}" is not a registry host`);
  if (/[A-Z]/.test(path)) {
    throw invalid(
      whole,
      'a repository name has no capital letters',
      `Write ${oneLine(whole.replace(name, () => name.toLowerCase()))}.`,
    );
  }
  if (!PATH.test(path)) throw invalid(whole, `"${oneLine(path)}" is not a repository name`);
  if (registry.length + path.length + 1 > 255) throw invalid(whole, 'it is longer than 255 characters');
  return { registry, path };
}

function invalid(text: string, reason: string, hint?: string): ManifoldError {
  return new ManifoldError('invalid-reference', `"${oneLine(text)}" is no image name: ${reason}.`, {
    hint: hint ?? 'An image name looks like ghcr.io/acme/app.',
  });
}

/** `docker.io/library/alpine`: the full name, the same for all ways to write it. */
export function formatRepository(repository: Repository): string {
  return `${repository.registry}/${repository.path}`;
}

export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${formatRepository(reference.repository)}${tag}${digest}`;
}
