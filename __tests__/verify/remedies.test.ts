import { describe, expect, it } from 'vitest';
import { sendJson } from '../../lab/parts/http.ts';
import { claim } from '../servers/certification.ts';
import { type Making, NAME, newFoundry } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';
import { KEYS, startNegative, startUnsignedPlatform, UNSIGNED, WANTED } from './negative.ts';
import { attach } from './released.ts';
import { inToto, PROVENANCE_1, SOURCE, statements, WORKFLOW_PROVENANCE } from './statements.ts';

/* What `mode: verify` tells a person to do. Whoever does it is better off. */

type Inputs = Record<string, string>;

const ALARM = 'find out who has attached such a signature';
const BUILD = 'provenance: mode=max';
const BY_KEY = { key: 'env://PUBLIC_KEY' };
const THEIRS = 'https://github.com/other/app/.github/workflows/release.yml@refs/tags/v1';
const CALLED = 'https://github.com/other/tools/.github/workflows/publish.yml@refs/heads/main';
const runOf = (repository: string) => ({ extensions: [claim(12, `https://github.com/${repository}`)] });

describe('what was done, and not asked for, is told with the input that asks for it', () => {
  interface Row {
    readonly done: Making;
    readonly asked: Inputs;
    readonly remedy: string;
    /** What is no remedy here. */
    readonly never?: readonly string[];
    /** What is asked once the remedy was followed, which verifies the image. */
    readonly followed: Inputs;
  }
  const rows: Record<string, Row> = {
    'a key has signed, and none is given': {
      done: { keys: KEYS },
      asked: {},
      remedy: 'give its public half by "key"',
      followed: BY_KEY,
    },
    'an identity has signed, and a key is given': {
      done: {},
      asked: BY_KEY,
      remedy: 'leave "key" out',
      never: ['certificate-identity'],
      followed: {},
    },
    'an identity has signed, and a key is given without a trusted root': {
      done: {},
      asked: { ...BY_KEY, 'trusted-root': '' },
      remedy: 'leave "key" out',
      never: ['certificate-identity'],
      followed: {},
    },
    'a key has signed without a log, and a trusted root is given': {
      done: { keys: KEYS, isLogged: false },
      asked: BY_KEY,
      remedy: 'leave "trusted-root" out, if signatures with this key are not logged',
      followed: { ...BY_KEY, 'trusted-root': '' },
    },
    'a reusable workflow of somebody else has signed': {
      done: { certified: { name: CALLED, ...runOf('acme/app') } },
      asked: {},
      remedy: `a reusable workflow signs for ${SOURCE}, say "source-repository: ${SOURCE}"`,
      followed: { 'source-repository': SOURCE },
    },
    'a reusable workflow has signed, and a certain one is asked for': {
      done: { certified: { name: CALLED, ...runOf('acme/app') } },
      asked: { 'certificate-identity': NAME },
      remedy: 'name whom by "certificate-identity"',
      never: ['source-repository'],
      followed: { 'certificate-identity': CALLED },
    },
    'a workflow of another repository has signed': {
      done: { certified: { name: THEIRS, ...runOf('other/app') } },
      asked: {},
      remedy: 'name whom by "certificate-identity"',
      never: ['source-repository', 'issuer'],
      followed: { 'certificate-identity': THEIRS },
    },
    'a run of another repository has signed': {
      done: { certified: runOf('acme/app') },
      asked: { 'source-repository': 'acme/nope' },
      remedy: 'name it by "source-repository"',
      never: ['certificate-identity'],
      followed: { 'source-repository': 'acme/app' },
    },
    'a certificate names no repository, and one is asked for': {
      done: {},
      asked: { 'source-repository': 'acme/app' },
      remedy: 'leave "source-repository" out',
      followed: { 'certificate-identity': NAME },
    },
    'another issuer has vouched': {
      done: { certified: { issuer: 'https://issuer.example' } },
      asked: {},
      remedy: 'name it by "certificate-oidc-issuer"',
      never: ['certificate-identity'],
      followed: { 'certificate-oidc-issuer': 'https://issuer.example' },
    },
  };
  const cases = Object.entries(rows).flatMap(([title, row]) =>
    (['bundle', 'legacy'] as const).map(format => [`${title} (${format})`, format, row] as const),
  );
  it.each(cases)('%s', async (_, format, { done, asked, remedy, never = [], followed }) => {
    const release = await startNegative();
    for (const digest of release.all) release.sign(digest, format, done);
    const told = await release.verify(asked);
    expect(told.code).toBe('verification-failed');
    expect(told.hint).toContain(remedy);
    for (const other of [ALARM, ...never]) expect(told.hint).not.toContain(other);
    expect((await release.verify(followed)).code).toBe('verified');
  });
});

describe('what no input would make good is an alarm', () => {
  const stranger = newFoundry();
  it.each<[string, Making, Inputs, typeof stranger | undefined]>([
    ['a certificate of another authority', {}, {}, stranger],
    ['a certificate of another authority, and a key is asked for', {}, BY_KEY, stranger],
    ['an identity that no log has seen', { isLogged: false }, {}, undefined],
    ['an identity that no log has seen, and a key is asked for', { isLogged: false }, BY_KEY, undefined],
    ['a signature with another key', { keys: newKeys() }, BY_KEY, undefined],
    ['a signature of something else', { keys: KEYS, payload: 'nothing' }, BY_KEY, undefined],
  ])('%s', async (_, making, inputs, foundry) => {
    const release = await startNegative();
    for (const digest of release.all)
      attach(release.contents, digest, (foundry ?? release.foundry).bundle(digest, making));
    const { hint } = await release.verify(inputs);
    expect(hint).toContain(ALARM);
    for (const word of ['"key"', 'trusted-root', 'source-repository']) expect(hint).not.toContain(word);
  });
});

describe('provenance', () => {
  const named = { require: 'provenance', 'certificate-identity': NAME };

  it('in an image that nobody has signed asks for a signature', async () => {
    const release = await startNegative('identity', { layers: statements });
    const told = await release.verify(named);
    expect(told.hint).toContain('sign the image');
    expect(told.hint).not.toContain(BUILD);
    release.signAll();
    expect((await release.verify(named)).code).toBe('verified');
  });

  it('in an image that somebody else has signed asks whether that is right', async () => {
    const release = await startNegative('identity', { layers: statements });
    release.signAll({ certified: { name: THEIRS } });
    const told = await release.verify(named);
    expect(told.hint).toContain('name whom by "certificate-identity"');
    expect(told.hint).not.toContain('sign the image');
    expect((await release.verify({ ...named, 'certificate-identity': THEIRS })).code).toBe('verified');
  });

  it.each([{ source: 'acme/app' }, { revision: 'c0ffee'.repeat(7).slice(0, 40) }])(
    'that does not tell %j is built from Git',
    async asked => {
      const predicate = { buildDefinition: { buildType: 'x', externalParameters: {} } };
      const release = await startNegative('identity', {
        layers: subject => [{ content: inToto(subject, PROVENANCE_1, predicate) }],
      });
      release.signAll();
      const told = await release.verify(asked);
      expect(told.hint).toContain('from a Git context, or after actions/checkout with "context: ."');
      expect(told.hint).not.toContain(BUILD);
    },
  );

  it.each(['BuildKit', 'a workflow'])('of %s that tells another source is no lack of any', async whose => {
    const release = await startNegative('identity', {
      layers: whose === 'BuildKit' ? statements : () => [],
    });
    release.signAll();
    if (whose !== 'BuildKit')
      release.attest(release.root, inToto(release.root, PROVENANCE_1, WORKFLOW_PROVENANCE, 'v1'));
    const told = await release.verify({ source: 'acme/nope' });
    expect(told.hint).toContain('correct "source"');
    expect(told.hint).not.toContain(BUILD);
    expect((await release.verify({ source: 'acme/app' })).code).toBe('verified');
  });

  it('that somebody else has attested asks whether that is right', async () => {
    const release = await startNegative();
    release.signAll();
    const statement = inToto(release.root, PROVENANCE_1, WORKFLOW_PROVENANCE, 'v1');
    release.attest(release.root, statement, { certified: { name: THEIRS } });
    const told = await release.verify({ require: 'signatures, provenance' });
    expect(told.problems[0]).toContain(`its identity is ${THEIRS}, and ${WANTED} is wanted`);
    expect(told.hint).toContain('name whom by "certificate-identity"');
    expect(told.hint).not.toContain(BUILD);
  });

  it('that is not there is built or attested', async () => {
    const release = await startNegative();
    release.signAll();
    expect((await release.verify({ require: 'signatures, provenance' })).hint).toContain(BUILD);
  });
});

describe('a problem of all manifests', () => {
  it('is one line of the error, the log and the page, and stands in the JSON for each', async () => {
    const release = await startNegative('identity', { layers: statements });
    const told = await release.verify();
    const line = `the index and all 4 manifests in it: ${UNSIGNED}`;
    expect(told.problems).toEqual([`${line}.`]);
    expect(told.log.match(/it has no signature/g)).toHaveLength(1);
    expect(told.log).toContain(line);
    expect(told.page.match(/do not use it before it was published/g)).toHaveLength(1);
    expect(told.page).toContain('| the index and all 4 manifests in it |');
    expect(told.json.images[0].problems).toHaveLength(5);
  });

  it('of one image is told of that image', async () => {
    const release = await startNegative();
    const images = release.name.replace(':1.0', `@${release.arm64}`);
    expect((await release.verify({ images })).problems).toEqual([
      expect.stringMatching(/linux\/arm64: it has no signature\.$/),
    ]);
  });

  it('in an index of one image is told of both', async () => {
    const release = await startNegative('identity', { entries: given => given.slice(0, 1) });
    expect((await release.verify()).problems).toEqual([`the index and the manifest in it: ${UNSIGNED}.`]);
  });

  it('but one, or in other words, is told of each, in their order', async () => {
    const release = await startUnsignedPlatform({ layers: statements });
    const all = [
      'the attestation manifest of linux/amd64',
      'linux/arm64',
      'the attestation manifest of linux/arm64',
    ];
    expect((await release.verify()).problems).toEqual(all.map(title => `${title}: ${UNSIGNED}.`));
    const other = await startNegative();
    other.sign(other.amd64, 'bundle', { certified: { name: THEIRS } });
    expect((await other.verify()).problems).toEqual([
      `the index: ${UNSIGNED}.`,
      `linux/amd64: its signature does not count: its identity is ${THEIRS}, and ${WANTED} is wanted.`,
      `linux/arm64: ${UNSIGNED}.`,
    ]);
  });
});

describe('the output "digest"', () => {
  it('is there only where the image is verified', async () => {
    const release = await startUnsignedPlatform();
    expect((await release.verify()).digest).toBeUndefined();
    release.registry.on({
      path: new RegExp(`referrers/${release.arm64}`),
      times: 1,
      answer: (_, response) => sendJson(response, 403, {}),
    });
    expect(await release.verify()).toMatchObject({ code: 'verification-incomplete', digest: undefined });
    release.sign(release.arm64);
    expect((await release.verify()).digest).toBe(release.root);
  });
});

describe.each(['certificate-identity', 'certificate-oidc-issuer'])('the input "%s"', input => {
  it.each([
    ['with a glob', 'https://github.com/acme/*', /takes the exact text: "\*" stands for nothing else/],
    ['of several lines', `${NAME}\n${THEIRS}`, /has several lines, and takes one text/],
    ['of several lines as Windows writes them', `${NAME}\r${THEIRS}`, /has several lines/],
  ])('%s is refused, before anything is asked for', async (_, text, message) => {
    const release = await startNegative();
    const told = await release.verify({ [input]: text });
    expect(told.code).toBe('invalid-input');
    expect(told.message).toMatch(message);
    expect(told.hint).toContain(`"${input}-regexp"`);
    expect(release.registry.log).toEqual([]);
  });
});

describe('the referrers of a manifest', () => {
  const listings = ({ registry }: Awaited<ReturnType<typeof startNegative>>): number =>
    registry.count('GET', /referrers/);

  it('are listed once', async () => {
    const release = await startNegative('identity', { layers: statements });
    release.signAll();
    expect((await release.verify({ require: 'signatures, provenance, sbom' })).code).toBe('verified');
    expect(listings(release)).toBe(release.all.length);
    // Of an attestation manifest that need not be signed nothing is asked.
    await release.verify({ scope: 'index' });
    expect(listings(release)).toBe(release.all.length + 3);
  });

  it('that could not be listed are one failure', async () => {
    const release = await startUnsignedPlatform();
    let count = 0;
    release.registry.on({
      path: new RegExp(`referrers/${release.arm64}`),
      answer: (_, response) =>
        sendJson(response, 403, { errors: [{ code: 'DENIED', message: `no. ${count++}` }] }),
    });
    const told = await release.verify();
    expect(told.problems).toEqual([expect.stringMatching(/^linux\/arm64: could not tell: .*no\. 0/)]);
    expect(told.code).toBe('verification-incomplete');
    expect((await release.verify({ scope: 'index' })).problems).toHaveLength(1);
  });
});
