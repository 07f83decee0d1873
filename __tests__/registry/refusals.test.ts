import { describe, expect, it } from 'vitest';
import { manifestContent } from '../../src/oci/manifest.ts';
import { registryFailure } from '../../src/registry/failure.ts';
import { clientOf, failureOf, SHORT } from '../servers/clients.ts';
import { TYPES } from '../servers/images.ts';
import type { Answer } from '../servers/registry.ts';
import { setUp } from '../servers/repository.ts';

const refusing =
  (status: number, code: string, message: string): Answer =>
  (_, response) =>
    void response.writeHead(status).end(JSON.stringify({ errors: [{ code, message }] }));

/** Each as that registry words it; where each was read stands in src/registry/failure.ts. */
const IMMUTABLE: [string, number, string, string][] = [
  ['Harbor', 412, 'PRECONDITION', 'the tag 1.0 configured as immutable, cannot be updated'],
  [
    'Amazon ECR, the tag',
    400,
    'TAG_INVALID',
    "The image tag '1.0' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.",
  ],
  [
    'Amazon ECR, the repository',
    400,
    'TAG_INVALID',
    "The image tag '1.0' already exists in the 'app' repository and cannot be overwritten because the repository is immutable.",
  ],
  ['Amazon ECR, the exception', 409, 'ImageTagAlreadyExistsException', 'no'],
  ['Google', 400, 'MANIFEST_INVALID', 'cannot update tag 1.0. The repository has enabled tag immutability'],
  [
    'Docker Hub',
    403,
    'DENIED',
    'requested access to the resource is denied - This tag is already assigned to an image in this repository and cannot be updated due to immutability settings. To push this image, use a different tag.',
  ],
  [
    'Azure',
    405,
    'REGISTRY_DISALLOWED_OPERATION',
    'The operation is disallowed on this registry, repository or image.',
  ],
  ['Quay', 409, 'TAG_IMMUTABLE', 'tag is immutable and cannot be overwritten'],
  ['Alibaba Cloud', 400, 'DENIED', 'The requested tag already exists and cannot be overwritten.'],
];

describe('a tag that nobody may move', () => {
  it.each(IMMUTABLE)('is told apart from a lack of rights: %s', async (_, status, code, message) => {
    const { registry, client, image } = await setUp();
    registry.on({ method: 'PUT', answer: refusing(status, code, message) });
    const content = manifestContent(image.manifest.bytes, TYPES.manifest);
    const error = await failureOf(() => client.putManifest(content, '1.0'));
    expect(error.code).toBe('tag-immutable');
    expect(error.message).toContain(message.slice(0, 30));
    expect(error.hint).toContain('1.0');
    expect(registry.count('PUT', /./)).toBe(1);
  });

  it.each(IMMUTABLE)('is as good as moved when it is there already: %s', async (_, status, code, message) => {
    const { registry, client, image, contents } = await setUp();
    contents.tags.set('1.0', image.manifest.descriptor.digest);
    registry.on({ method: 'PUT', answer: refusing(status, code, message) });
    await client.putManifest(manifestContent(image.manifest.bytes, TYPES.manifest), '1.0');
  });

  it('is not as good as moved when it is another image', async () => {
    const { registry, client, image, contents } = await setUp();
    contents.tags.set('1.0', image.root.descriptor.digest);
    registry.on({ method: 'PUT', answer: refusing(412, 'PRECONDITION', 'configured as immutable') });
    const content = manifestContent(image.manifest.bytes, TYPES.manifest);
    expect((await failureOf(() => client.putManifest(content, '1.0'))).code).toBe('tag-immutable');
  });

  it('is no tag where a manifest is pushed by its digest', async () => {
    const { registry, client, image } = await setUp();
    registry.on({ method: 'PUT', answer: refusing(405, 'REGISTRY_DISALLOWED_OPERATION', 'disallowed') });
    const content = manifestContent(image.manifest.bytes, TYPES.manifest);
    expect((await failureOf(() => client.putManifest(content))).code).toBe('registry-refused');
  });

  it.each([
    ['403', 403, 'DENIED', 'requested access to the resource is denied'],
    ['401', 401, 'UNAUTHORIZED', 'authentication required'],
    ['a manifest that is refused', 400, 'MANIFEST_INVALID', 'manifest invalid'],
  ])('is not what every refusal is: %s', async (_, status, code, message) => {
    const { registry, client, image } = await setUp();
    registry.on({ method: 'PUT', answer: refusing(status, code, message) });
    const content = manifestContent(image.manifest.bytes, TYPES.manifest);
    expect((await failureOf(() => client.putManifest(content, '1.0'))).code).not.toBe('tag-immutable');
  });
});

describe('a refusal says what to do about', () => {
  it.each([
    [
      'a repository that Amazon ECR does not know',
      [404, 'NAME_UNKNOWN', "The repository with name 'app' does not exist in the registry with id '1'"],
      'registry-not-found',
      'created before the first push',
    ],
    [
      'a project that Harbor does not know',
      [401, 'UNAUTHORIZED', 'project acme not found'],
      'registry-not-found',
      'created before the first push',
    ],
    [
      'rights that GHCR misses',
      [403, 'DENIED', 'permission_denied: write_package'],
      'registry-forbidden',
      'packages: write',
    ],
    [
      'a full project of Harbor',
      [
        403,
        'DENIED',
        'adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the configured upper limit of 10.0 MiB.',
      ],
      'registry-refused',
      'raise its quota',
    ],
    ['a full disk', [507, 'UNKNOWN', 'insufficient storage'], 'registry-refused', 'no room left'],
    [
      'a manifest that Quay does not take',
      [400, 'MANIFEST_INVALID', 'manifest invalid'],
      'registry-refused',
      'oci-mediatypes=true',
    ],
    ['a body that a proxy does not take', [413, '', ''], 'registry-refused', 'larger'],
  ] as const)('%s', async (_, [status, code, message], expected, remedy) => {
    const { registry } = await setUp();
    registry.on({ method: 'POST', answer: refusing(status, code, message) });
    const error = await failureOf(() => clientOf(registry, 'acme/app', SHORT).putBlob(Buffer.from('x')));
    expect(error.code).toBe(expected);
    expect(error.hint).toContain(remedy);
    expect(error.message).toContain(message);
  });

  it.each([
    ['Go', 'registry.internal:5000', 'Client sent an HTTP request to an HTTPS server.\n'],
    ['nginx', 'registry.internal:5000', '<center>The plain HTTP request was sent to HTTPS port</center>'],
  ])('plain HTTP where TLS is spoken, in the words of %s', (_, host, text) => {
    const response = { status: 400, headers: {}, body: Buffer.from(text), url: new URL(`http://${host}/`) };
    const error = registryFailure(response, 'Reading', `${host}/acme/app`);
    expect(error.code).toBe('registry-refused');
    expect(error.hint).toBe(`${host} speaks TLS: take it out of "insecure-registries".`);
  });

  it('plain HTTP where TLS is spoken on loopback, which nobody has named', async () => {
    const { registry, client } = await setUp();
    const text = 'Client sent an HTTP request to an HTTPS server.\n';
    registry.on({ answer: (_, response) => void response.writeHead(400).end(text) });
    const error = await failureOf(() => client.findManifest('1.0'));
    expect(error.hint).toContain(`install its certificate as certs.d/${registry.host}/ca.crt`);
  });

  it('Docker Hub, whose refusals say the same of wrong rights and of no repository', () => {
    const body = Buffer.from(
      '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}',
    );
    const response = { status: 403, headers: {}, body, url: new URL('https://registry-1.docker.io/') };
    const error = registryFailure(response, 'Pushing', 'docker.io/acme/app', { isLoggedIn: true });
    expect(error.code).toBe('registry-forbidden');
    expect(error.hint).toContain('no such repository');
    expect(error.hint).not.toContain('ghcr.io');
  });
});
