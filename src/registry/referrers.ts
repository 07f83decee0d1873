import * as v from 'valibot';
import { checkDocument, parseDocument } from '../document.ts';
import { ManifoldError } from '../errors.ts';
import { followUrl } from '../http/url.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import {
  type Descriptor,
  descriptorOf,
  descriptorSchema,
  type ManifestContent,
  MEDIA_TYPE,
  manifestContent,
} from '../oci/manifest.ts';
import { appendTo, replaceIn } from '../oci/splice.ts';
import type { RepositoryClient } from './client.ts';
import { exclusively } from './exclusively.ts';
import { rewriteTag } from './rewrite-tag.ts';

/** A registry that lists more than this for one manifest is not read to its end. */
const MAX_PAGES = 100;
/** Ten thousand entries with annotations have some five million bytes. */
const MAX_BYTES = 16 << 20;

/**
 * All manifests that name `subject` as their subject: by the referrers API where the registry has it, else from the
 * fallback tag (distribution-spec, "Referrers Tag Schema").
 * @throws ManifoldError when a listing failed: "could not tell" is never "there are none"
 */
export async function listReferrers(client: RepositoryClient, subject: Digest): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  let page: URL | undefined;
  let bytes = 0;
  for (let count = 0; count < MAX_PAGES; count++) {
    const response = await client.referrersApi.list(subject, page);
    if (response === undefined) return ourKind(await readFallback(client, subject));
    bytes += response.body.byteLength;
    if (bytes > MAX_BYTES) break;
    const content = manifestContent(response.body, MEDIA_TYPE.ociIndex);
    found.push(...ourKind(parseListing(content, `the referrers of ${client.name}@${subject}`)));
    page = nextPage(response.headers.link, response.url);
    if (page === undefined) return found;
  }
  throw new ManifoldError(
    'registry-refused',
    `${client.name} lists more than ${MAX_PAGES} pages or ${MAX_BYTES >> 20} MiB of referrers of ${subject}.`,
    { hint: 'Nobody attaches that much: have deleted what does not belong there.' },
  );
}

/** `Link: </v2/…?n=…>; rel="next"` (RFC 8288), on the same host only. */
function nextPage(link: string | string[] | undefined, base: URL): URL | undefined {
  const header = Array.isArray(link) ? link.join(',') : (link ?? '');
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(header)?.[1];
  if (target === undefined) return undefined;
  const url = followUrl(target, base);
  if (url.origin === base.origin) return url;
  throw new ManifoldError(
    'registry-refused',
    `${base.origin} continues its list of referrers on another host, ${url.origin}.`,
  );
}

/**
 * Pushes a manifest that has a `subject` and makes sure that it is listed under it.
 * @param descriptor how a listing names it: with artifact type and annotations
 */
export function pushReferrer(
  client: RepositoryClient,
  content: ManifestContent,
  subject: Digest,
  description: Pick<Descriptor, 'artifactType' | 'annotations'>,
): Promise<void> {
  // A registry may lose one of two that come for the same subject at the same time (olareg 0.2 does).
  return exclusively(`${client.name}@${subject}`, async () => {
    const { subject: indexed } = await client.putManifest(content);
    // Some registries confirm the subject although they have no API to list it by (Amazon ECR did).
    if (indexed === subject && !client.referrersApi.isMissing) return;
    await addToFallback(client, subject, { ...descriptorOf(content), ...description });
  });
}

function fallbackTag(subject: Digest): string {
  return `sha256-${hexOf(subject)}`;
}

interface Fallback {
  readonly entries: readonly unknown[];
  /** The document as it came, so that what others wrote into it stays. */
  readonly text: string;
}

const listing = v.looseObject({ manifests: v.array(v.unknown()) });

/** The entries of a listing as they stand there: what others wrote is theirs, and may be of a kind that we do not know. */
function parseListing(content: ManifestContent, what: string): unknown[] {
  return parseDocument(listing, content.bytes, what).manifests;
}

/** A digest of another algorithm than ours (image-spec, descriptor.md, "Digests"). */
const FOREIGN_DIGEST = /^(?!sha256:)[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

/**
 * The entries that we understand. One that is named by another digest algorithm is somebody else's, and nothing that we
 * could read.
 * @throws ManifoldError `invalid-document` for one that is no descriptor at all
 */
function ourKind(entries: readonly unknown[]): Descriptor[] {
  return entries
    .filter(entry => !FOREIGN_DIGEST.test(String((entry as { digest?: unknown } | null)?.digest)))
    .map(entry => checkDocument(descriptorSchema, entry, 'an entry of a list of referrers'));
}

async function readFallback(client: RepositoryClient, subject: Digest): Promise<readonly unknown[]> {
  const content = await client.findManifest(fallbackTag(subject));
  return parseFallback(content, client, subject).entries;
}

function parseFallback(
  content: ManifestContent | undefined,
  client: RepositoryClient,
  subject: Digest,
): Fallback {
  if (content === undefined) {
    const document = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] };
    return { entries: [], text: JSON.stringify(document) };
  }
  const entries = parseListing(content, `the fallback tag ${client.name}:${fallbackTag(subject)}`);
  return { entries, text: Buffer.from(content.bytes).toString('utf8') };
}

/** Adds an entry to the fallback tag, beside those that others have put there. */
function addToFallback(client: RepositoryClient, subject: Digest, descriptor: Descriptor): Promise<void> {
  const listingOf = (text: string): ManifestContent =>
    manifestContent(Buffer.from(text), MEDIA_TYPE.ociIndex);
  return rewriteTag(client, {
    tag: fallbackTag(subject),
    change: async current => {
      const { entries, text } = parseFallback(current, client, subject);
      const holdsOurs = ourKind(entries).some(({ digest }) => digest === descriptor.digest);
      return holdsOurs ? undefined : listingOf(appendTo(text, 'manifests', [descriptor]));
    },
    mend: async current => {
      const { entries, text } = parseFallback(current, client, subject);
      const alive = await existing(client, entries);
      if (alive.length === entries.length) return undefined;
      return listingOf(replaceIn(text, 'manifests', [...alive, descriptor]));
    },
    notKept: written => notKept(client, subject, written),
  });
}

function notKept(client: RepositoryClient, subject: Digest, written: number): ManifoldError {
  const times = written === 1 ? 'once' : `${written} times`;
  return new ManifoldError(
    'registry-refused',
    `${client.name} did not keep our entry in its fallback tag ${fallbackTag(subject)}, written ${times}.`,
    {
      hint: 'Something else writes referrers of the same image at the same time. Re-run this job when it is done.',
    },
  );
}

/** Registries refuse a listing that names what was deleted meanwhile: such entries are left out. */
async function existing(client: RepositoryClient, entries: readonly unknown[]): Promise<unknown[]> {
  const found = await Promise.all(
    entries.map(async entry => {
      const [known] = ourKind([entry]);
      return known === undefined || (await client.findManifest(known.digest)) !== undefined;
    }),
  );
  return entries.filter((_, position) => found[position]);
}
