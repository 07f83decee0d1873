import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Contents, refuse, type StoredManifest } from '../../__tests__/servers/registry.ts';
import { type Endpoint, sendJson, serve } from '../parts/http.ts';
import { parse, referrers } from './stored.ts';

/** What a registry showed of one manifest and its signatures at one moment. */
export interface Exhibit {
  readonly digest: string;
  readonly contents: Contents;
  /** What the tags that belong to the manifest named: the list of its referrers, and its legacy signatures. */
  readonly tags: ReadonlyMap<string, string>;
  /** What the referrers API listed; undefined where there is none. */
  readonly listed: readonly string[] | undefined;
}

/** @param listsReferrers whether the registry has the referrers API; else a tag lists them */
export function exhibit(contents: Contents, digest: string, listsReferrers: boolean): Exhibit {
  const names = listsReferrers ? [legacyTag(digest)] : [fallbackTag(digest), legacyTag(digest)];
  const tags = names.flatMap((name): [string, string][] => {
    const named = contents.tags.get(name);
    return named === undefined ? [] : [[name, named]];
  });
  return {
    digest,
    contents,
    tags: new Map(tags),
    listed: listsReferrers ? referrers(contents, digest) : undefined,
  };
}

/** Tells whether two exhibits would be judged alike: the same manifest with the same signatures, wherever it is. */
export function nameOf({ digest, tags, listed }: Exhibit): string {
  return [digest, ...[...tags.values()].sort(), ...(listed ?? [])].join(' ');
}

/** Where registries without the referrers API list them (distribution-spec, "Referrers Tag Schema"). */
export const fallbackTag = (digest: string): string => digest.replace(':', '-');
/** Where signatures in the older format are (sigstore/cosign, specs/SIGNATURE_SPEC.md). */
export const legacyTag = (digest: string): string => `${fallbackTag(digest)}.sig`;

/** A registry that is only read, without logins and weather: each exhibit is in a repository of its own. */
export interface Gallery extends Endpoint {
  /** @returns the reference of the manifest */
  hang(exhibit: Exhibit): string;
  clear(): void;
}

export async function openGallery(): Promise<Gallery> {
  const exhibits = new Map<string, Exhibit>();
  const endpoint = await serve((request, response) => answer(exhibits, request, response));
  let hung = 0;
  return {
    ...endpoint,
    hang: shown => {
      const name = `exhibit-${++hung}`;
      exhibits.set(name, shown);
      return `127.0.0.1:${endpoint.port}/${name}@${shown.digest}`;
    },
    clear: () => exhibits.clear(),
  };
}

function answer(
  exhibits: ReadonlyMap<string, Exhibit>,
  { url = '', method }: IncomingMessage,
  response: ServerResponse,
): void {
  const { pathname } = new URL(url, 'http://registry');
  if (pathname === '/v2/') return sendJson(response, 200, {});
  const [, name = '', kind, reference = ''] =
    /^\/v2\/([^/]+)\/(manifests|blobs|referrers)\/(.+)$/.exec(pathname) ?? [];
  const shown = exhibits.get(name);
  if (shown === undefined) return refuse(response, 404, 'NAME_UNKNOWN');
  const found = find(shown, kind, reference);
  if (found === undefined) return refuse(response, 404, 'NOT_FOUND');
  const { bytes, mediaType } = found;
  response.writeHead(200, { 'content-type': mediaType, 'content-length': bytes.length });
  response.end(method === 'HEAD' ? undefined : bytes);
}

function find(
  { contents, tags, listed, digest }: Exhibit,
  kind: string | undefined,
  reference: string,
): StoredManifest | undefined {
  if (kind === 'manifests') return contents.manifests.get(tags.get(reference) ?? reference);
  if (kind === 'referrers') return reference === digest && listed ? listing(contents, listed) : undefined;
  const bytes = contents.blobs.get(reference);
  return bytes && { bytes, mediaType: 'application/octet-stream' };
}

function listing(contents: Contents, listed: readonly string[]): StoredManifest {
  const manifests = listed.flatMap(digest => {
    const held = contents.manifests.get(digest);
    const document = parse(contents, digest);
    if (held === undefined || document === undefined) return [];
    const { artifactType = document.config?.mediaType, annotations } = document;
    return [{ mediaType: held.mediaType, digest, size: held.bytes.length, artifactType, annotations }];
  });
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  return { bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })), mediaType };
}
