import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ArtifactStore, StoredArtifact } from './artifact-store.ts';
import { readBody } from './http.ts';

const BLOB_PATH = /^\/blobs\/(\d+)$/;

/** A link that works without a token, as Azure's shared access signatures do. */
export function signedUrl(
  base: string,
  store: ArtifactStore,
  artifact: StoredArtifact,
  kind: 'upload' | 'download',
): string {
  const url = new URL(`/blobs/${artifact.id}`, base);
  url.searchParams.set('se', new Date(Date.now() + 600_000).toISOString());
  url.searchParams.set('sp', kind === 'upload' ? 'cw' : 'r');
  url.searchParams.set('sig', store.signature(artifact, kind));
  return url.href;
}

/** The part of Azure Blob Storage that artifacts need: Put Blob, Put Block, Put Block List, Get Blob, properties. */
export async function answerBlob(
  store: ArtifactStore,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  beforeDownload: (artifact: StoredArtifact) => Promise<void>,
): Promise<void> {
  const id = Number(BLOB_PATH.exec(url.pathname)?.[1]);
  const kind = request.method === 'PUT' ? 'upload' : 'download';
  const artifact = store.signed(id, kind, url.searchParams.get('sig'));
  if (!artifact) {
    await readBody(request);
    return fail(response, 403, 'AuthenticationFailed', 'the signature is not one for this blob');
  }
  if (request.method === 'PUT') return upload(store, artifact, request, response, url);
  if (request.method === 'GET' || request.method === 'HEAD') {
    await beforeDownload(artifact);
    return download(artifact, request, response);
  }
  return fail(response, 405, 'UnsupportedHttpVerb', `${request.method} is not for blobs`);
}

async function upload(
  store: ArtifactStore,
  artifact: StoredArtifact,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const body = await readBody(request);
  switch (url.searchParams.get('comp')) {
    case 'block':
      store.putBlock(artifact, url.searchParams.get('blockid') ?? '', body);
      break;
    case 'blocklist': {
      const listed = body.toString().matchAll(/<(?:Latest|Uncommitted|Committed)>([^<]+)</g);
      if (
        !store.commit(
          artifact,
          Array.from(listed, match => match[1] ?? ''),
        )
      ) {
        return fail(response, 400, 'InvalidBlockList', 'the list names a block that was not uploaded');
      }
      break;
    }
    default:
      artifact.bytes = body;
  }
  response.writeHead(201, { etag: `"${artifact.id}"`, ...azureHeaders(request), 'content-length': 0 });
  response.end();
}

function download(artifact: StoredArtifact, request: IncomingMessage, response: ServerResponse): void {
  const file = artifact.mimeType === 'application/zip' ? `${artifact.name}.zip` : artifact.name;
  response.writeHead(200, {
    'content-type': artifact.mimeType,
    'content-disposition': `attachment; filename="${file}"; filename*=UTF-8''${encodeURIComponent(file)}`,
    'content-length': artifact.bytes.length,
    etag: `"${artifact.id}"`,
    ...azureHeaders(request),
  });
  response.end(request.method === 'HEAD' ? undefined : artifact.bytes);
}

function azureHeaders(request: IncomingMessage): Record<string, string> {
  return {
    'last-modified': new Date().toUTCString(),
    'x-ms-request-id': String(request.headers['x-ms-client-request-id'] ?? 'lab'),
    'x-ms-version': String(request.headers['x-ms-version'] ?? '2025-01-05'),
  };
}

function fail(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/xml', 'x-ms-error-code': code });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}
