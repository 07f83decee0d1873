import { describe, expect, it } from 'vitest';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { descriptorOf, manifestContent } from '../../src/oci/manifest.ts';
import { childrenOf } from '../../src/publish/index-image.ts';
import { moveTags } from '../../src/publish/move-tags.ts';
import type { SubjectReport } from '../../src/publish/sign.ts';
import { sameIdentity } from '../../src/sign/identity.ts';
import { searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { publish, setUp as startBuilt, tagEntries } from '../publish/built.ts';
import { TAG_OPTIONS, tagOf } from '../publish/tagging.ts';
import { clientOf, FAST, failureOf, opened, SHORT } from '../servers/clients.ts';
import { cameEarly, hold } from '../servers/held.ts';
import { made, ORIGIN, pushImage, storeManifest, TYPES } from '../servers/images.ts';
import { handOf, identitiesOf, signEverywhere, validOf } from '../servers/keyless.ts';
import { type SeenRequest, sha256, startRegistry, type TestRegistry } from '../servers/registry.ts';
import { startRun } from '../servers/run.ts';
import { startSigstore } from '../servers/sigstore.ts';

const OLD = `sha256:${'0'.repeat(64)}`;
const OTHER_WORKFLOW = 'acme/widget/.github/workflows/other.yml@refs/heads/main';
const EVIL = 'evil/evil/.github/workflows/x.yml@refs/heads/evil';

/** The subject that a pushed manifest names, if any. */
const subjectOf = ({ body }: SeenRequest): string | undefined => JSON.parse(body.toString()).subject?.digest;
const isManifestPut = ({ method, path }: SeenRequest): boolean =>
  method === 'PUT' && path.includes('/manifests/');
const attachedTo = ({ log }: TestRegistry): SeenRequest[] =>
  log.filter(request => isManifestPut(request) && subjectOf(request) !== undefined);

/** Pushes an index by its digest, as no signature and no list of signatures is pushed. */
const isIndexPut = (request: SeenRequest): boolean =>
  isManifestPut(request) && request.path.includes('/manifests/sha256:') && subjectOf(request) === undefined;

/** A run with two builds in two registries, whose tag "latest" is of an earlier release. */
async function built() {
  const run = await startRun({ referrers: 'api' }, {});
  await run.build('linux/amd64');
  await run.build('linux/arm64');
  for (const registry of run.registries) registry.repository('acme/app').tags.set('latest', OLD);
  return run;
}

describe('the index of a merge', () => {
  it('is in every registry, by its digest, before the first signature is attached', async () => {
    const run = await built();
    const held = run.registries.map(registry => hold(registry, isIndexPut));
    const signed = Promise.withResolvers<void>();
    // By the last of four entries in the log the children's signatures are made, while no registry has taken the index yet.
    const entered = '/api/v1/log/entries';
    run.sigstore.on(entered, () => {
      if (run.sigstore.log.filter(path => path === entered).length === 4) signed.resolve();
    });
    const merging = run.merge();
    await Promise.race([signed.promise, merging]);
    const look = () => run.registries.flatMap(attachedTo);
    expect(await cameEarly(held, merging, { server: run.sigstore, look })).toEqual([]);
    const digest = (await merging).outputs.digest ?? '';
    for (const { log } of run.registries) {
      expect(log.filter(isIndexPut).map(({ path }) => path)).toEqual([`/v2/acme/app/manifests/${digest}`]);
    }
    expect(run.registries.map(registry => attachedTo(registry).length)).toEqual([5, 5]);
  });

  it.each([
    ['signed', {}],
    ['by digest only', { tags: [], pushByDigestOnly: true, sign: [] }],
    ['where all tags stay', { tags: tagEntries('latest'), tagPolicy: 'never-move', sign: [] }],
  ] as const)('that a registry says it took and has not is missed: %s', async (_, inputs) => {
    const run = await built();
    const before = run.registries.map((registry, position) => {
      const { manifests, tags } = registry.repository('acme/app');
      tags.set('latest', manifests.keys().next().value ?? '');
      return run.tags(position);
    });
    run.registries[1]?.on({
      method: 'PUT',
      path: /\/manifests\/sha256:/,
      answer: ({ body }, response) => {
        const { manifests } = JSON.parse(body.toString());
        if (manifests === undefined) return;
        response.writeHead(201, { 'docker-content-digest': sha256(body) }).end();
      },
    });
    const error = await failureOf(() => run.merge(inputs));
    expect(error.code).toBe('registry-not-found');
    expect(run.registries.map((_registry, position) => run.tags(position))).toEqual(before);
  });

  it.each([0, 1])('that registry %d refuses is signed in no registry', async position => {
    const run = await built();
    run.registries[position]?.on({
      method: 'PUT',
      path: /\/manifests\/sha256:/,
      answer: (_, response) => void response.writeHead(403).end('{}'),
    });
    expect((await failureOf(() => run.merge())).code).toBe('registry-forbidden');
    // Of the four children signatures may be made meanwhile; of the index none is, as it is not everywhere.
    expect(run.sigstore.log.filter(path => path.endsWith('/log/entries')).length).toBeLessThanOrEqual(4);
    expect(run.registries.flatMap(attachedTo)).toEqual([]);
    for (const index of [0, 1]) expect(run.tags(index)).toEqual({ latest: OLD });
  });
});

/** An image of one platform in a registry, and a Sigstore that certifies for several issuers. */
async function signing() {
  const started = await startBuilt({ registries: [{ referrers: 'api' }], platforms: ['linux/amd64'] });
  const { publication } = await publish(started);
  const { image } = publication;
  const registry = started.registries[0] as TestRegistry;
  const client = clientOf(registry);
  await client.putManifest(image.content);
  const root = descriptorOf(image.content);
  const subject = { component: 'app', children: childrenOf(image), root, repositories: [client] };
  const [issuer, another, sigstore] = await Promise.all([
    opened(startOidcIssuer()),
    opened(startOidcIssuer()),
    opened(startSigstore()),
  ]);
  const verifier = new SignatureVerifier({ root: sigstore.root, keys: [] });
  const sign = async (from = issuer, claims = {}, retry = FAST) => {
    const identify = handOf(from.jobEnvironment(claims), sigstore, { retry: FAST });
    const options = {
      hands: [await identify()],
      formats: ['bundle'],
      annotations: {},
      verifier,
      retry,
    } as const;
    const { signatories, subjects } = await signEverywhere([subject], options);
    return { identity: identitiesOf(signatories)[0], ...(subjects.get('app') as SubjectReport) };
  };
  const signers = async () =>
    validOf(await searchSignatures(client, image.content.digest, verifier, { formats: ['bundle'] }));
  return { registry, issuer, another, sign, signers };
}

describe('a signature', () => {
  it('that the registry swallows is missed, also where another identity has signed the same', async () => {
    const { registry, issuer, sign, signers } = await signing();
    await sign();
    registry.on({
      method: 'PUT',
      path: /\/manifests\//,
      answer: (request, response) => {
        const subject = subjectOf(request);
        if (subject !== undefined) response.writeHead(201, { 'oci-subject': subject }).end();
      },
    });
    const error = await failureOf(() => sign(issuer, { job_workflow_ref: OTHER_WORKFLOW }, SHORT));
    expect(error.code).toBe('signature-unverified');
    expect(error.hint).toContain('No tag was moved');
    // What the other one signed is there, and valid.
    expect(await signers()).toHaveLength(1);
  });

  it('by the same name from another issuer is not taken for ours', async () => {
    const { issuer, another, sign, signers } = await signing();
    const first = await sign();
    const second = await sign(another);
    expect(second.attached).toBe(first.attached);
    expect(second.attached).toBe(second.manifests);
    expect(second.identity).toEqual({ name: first.identity?.name, issuer: another.url });
    expect((await signers()).map(signer => signer.issuer).sort()).toEqual([issuer.url, another.url].sort());
    expect((await sign(another)).attached).toBe(0);
  });
});

describe('two identities', () => {
  const one = { name: 'https://github.com/acme/app', issuer: 'https://one.example' };

  it.each([
    [{}, true],
    [{ issuer: 'https://two.example' }, false],
    [{ name: 'https://github.com/acme/other' }, false],
  ])('that differ by %j are the same: %s', (change, same) => {
    expect(sameIdentity(one, { ...one, ...change })).toBe(same);
  });
});

describe('a certificate for somebody else than the identity token is of', () => {
  it.each(['another workflow', 'another issuer'])('(%s) signs nothing', async kind => {
    const run = await built();
    const another = await opened(startOidcIssuer());
    const foreign =
      kind === 'another issuer'
        ? another.issue('sigstore')
        : run.issuer.issue('sigstore', { job_workflow_ref: EVIL });
    run.sigstore.on('/api/v2/signingCert', body => {
      // The authority certifies our key, but for the holder of this token.
      (body as unknown as { credentials: { oidcIdentityToken: string } }).credentials.oidcIdentityToken =
        foreign;
    });
    const error = await failureOf(() => run.merge());
    expect(error.code).toBe('signing-failed');
    expect(run.sigstore.log).not.toContain('/api/v1/log/entries');
    expect(run.registries.flatMap(attachedTo)).toEqual([]);
    for (const position of [0, 1]) expect(run.tags(position)).toEqual({ latest: OLD });
  });
});

describe('a tag', () => {
  it('is looked at anew where pushing the index took its time', async () => {
    const run = await built();
    const [registry] = run.registries;
    const contents = registry?.repository('acme/app');
    if (registry === undefined || contents === undefined) throw new Error('no registry');
    const newer = made(TYPES.index, {
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [],
      annotations: {
        'org.opencontainers.image.source': `https://github.com/${ORIGIN.repository}`,
        'dev.manifold.run': `https://github.com/${ORIGIN.repository}/actions/runs/${'9'.repeat(20)}`,
      },
    });
    storeManifest(contents, newer);
    registry.on({
      method: 'PUT',
      path: /\/manifests\/sha256:/,
      times: 1,
      answer: (_, response) => {
        contents.tags.set('main', newer.descriptor.digest);
        response.writeHead(503, { 'retry-after': '1' }).end();
      },
    });
    const told = await run.merge({ sign: [], tags: tagEntries('main'), retryBudget: 60_000 });
    expect(run.tags(0).main).toBe(newer.descriptor.digest);
    expect(told.outputs['unmoved-tags']).toBe(`${run.images[0]}:main`);
  });

  it.each([
    ['shows as ours has moved', true],
    ['does not show may have moved, and is called so', false],
  ])('that the registry took by another digest than ours and %s', async (_end, shows) => {
    const registry = await opened(startRegistry());
    const contents = registry.repository('acme/app');
    const { manifest } = pushImage(contents);
    const index = made(TYPES.index, {
      schemaVersion: 2,
      mediaType: TYPES.index,
      manifests: [manifest.descriptor],
    });
    storeManifest(contents, index);
    contents.tags.set('1', manifest.descriptor.digest);
    registry.on({
      method: 'PUT',
      path: /\/manifests\/1$/,
      answer: (_, response) => {
        if (shows) contents.tags.set('1', index.descriptor.digest);
        response.writeHead(201, { 'docker-content-digest': OLD }).end();
      },
    });
    const client = clientOf(registry, 'acme/app', SHORT);
    const content = manifestContent(index.bytes, TYPES.index);
    const tag = tagOf(client, '1', content);
    const move = () => moveTags([tag], new Map(), { ...TAG_OPTIONS, retry: SHORT });
    if (shows) return expect((await move()).set.map(({ name }) => name)).toEqual([tag.name]);
    const error = await failureOf(move);
    expect(error.message).toContain(`Not confirmed, may have moved: ${client.name}:1.`);
    expect(error.message).not.toContain('Not moved');
  });
});
