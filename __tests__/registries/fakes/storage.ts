import { type Endpoint, serve } from '../../../lab/parts/http.ts';

/** What blob storage answers to a request that brings an Authorization header besides the signature in its address. */
export interface StorageRefusal {
  readonly status: number;
  readonly body: string;
}

/** The storage behind a registry, on a host of its own: addresses with a signature, good for whoever has them. */
export interface Storage extends Endpoint {
  /** The Authorization header of each request, in their order. */
  readonly authorizations: (string | undefined)[];
  /** Keeps these bytes and gives the address to fetch them from. */
  keep(digest: string, bytes: Buffer): string;
}

export async function startStorage(refusal: StorageRefusal): Promise<Storage> {
  const kept = new Map<string, Buffer>();
  const authorizations: (string | undefined)[] = [];
  const endpoint = await serve((request, response) => {
    const url = new URL(request.url ?? '/', 'http://storage');
    const { authorization } = request.headers;
    authorizations.push(authorization);
    const bytes = kept.get(url.pathname.slice(1));
    if (authorization !== undefined) {
      response.writeHead(refusal.status, { 'content-type': 'application/xml' }).end(refusal.body);
    } else if (bytes === undefined || !url.searchParams.has('signature')) {
      response.writeHead(403, { 'content-type': 'application/xml' }).end('<Error/>');
    } else {
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    }
  });
  return {
    ...endpoint,
    authorizations,
    keep: (digest, bytes) => {
      kept.set(digest, bytes);
      return `${endpoint.url}/${digest}?signature=of%2Bthe%3Dregistry`;
    },
  };
}

/**
 * Amazon S3 takes one authorization and no second one (renovatebot/renovate#3877; apptainer/singularity#1159 quotes the
 * answer).
 */
export const S3: StorageRefusal = {
  status: 400,
  body: '<?xml version="1.0"?><Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>',
};
