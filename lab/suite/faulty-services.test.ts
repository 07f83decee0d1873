import { expect, test } from 'vitest';
import { startFaultProxy } from '../parts/fault-proxy.ts';
import { buildBoth, merge, newRelease } from '../pipeline.ts';
import { expectPublished, expectUnmoved, refused, succeeded, trialOfEachTest } from './refusing.ts';

// The builds are done and good; what the merge needs to sign and to publish them is missing, down, or says no.

const trial = trialOfEachTest();

test('without "id-token: write" the merge says so before it pushes anything', async () => {
  const { registry, release } = trial;
  await buildBoth(release);
  registry.reset();
  const error = await refused(merge(release, { job: { idToken: false } }));
  expect(error).toContain('no-id-token');
  expect(error).toContain('id-token: write');
  expect(registry.count({ method: 'PUT' })).toBe(0);
  await expectUnmoved(trial);
  await expectPublished(trial, merge(release));
});

test('a public Sigstore that cannot be reached is found before anything is pushed', async () => {
  const { registry, release } = trial;
  await buildBoth(release);
  registry.reset();
  // The way goes through a proxy that nobody listens at: the same on a machine with and without a network.
  const env = { HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: '' };
  const error = await refused(
    merge(release, { env, with: { sign: 'keyless', 'trusted-root': '', 'signing-config': '' } }),
  );
  expect(error).toContain('service-unreachable');
  expect(error).toMatch(
    /trusted_root\.json of the public Sigstore \(.*\) could not be fetched: .* got no answer/,
  );
  expect(registry.count({ method: 'PUT' })).toBe(0);
});

test.each([
  ['Fulcio', 'fulcio'],
  ['Rekor', 'rekor'],
] as const)('with %s down no tag moves, and the merge goes on when it is up again', async (_, service) => {
  const { lab, release } = trial;
  await buildBoth(release);
  const program = lab.sigstore.programs[service];
  await program.stop();
  const error = await refused(merge(release));
  expect(error).toContain('service-unreachable');
  expect(error).toContain(lab.sigstore.urls[service]);
  await expectUnmoved(trial);
  await program.start();
  await expectPublished(trial, merge(release));
});

test('a Fulcio that answers 503 for a while is waited for', async () => {
  const { lab, release } = trial;
  await buildBoth(release);
  const fulcio = await startFaultProxy({ target: lab.sigstore.urls.fulcio });
  try {
    const rule = fulcio.fail({ on: [1, 2], action: { status: 503 } });
    const config = await lab.sigstore.signingConfigFor('flaky-fulcio', { fulcio: fulcio.url });
    await expectPublished(trial, merge(release, { with: { 'signing-config': config } }));
    expect(rule.applied).toBe(2);
  } finally {
    await fulcio.close();
  }
});

test.each([
  [401, 'UNAUTHORIZED', 'registry-unauthorized', 'docker/login-action'],
  [403, 'DENIED', 'registry-forbidden', 'packages: write'],
  [404, 'NAME_UNKNOWN', 'registry-not-found', 'spelling'],
  [429, 'TOOMANYREQUESTS', 'registry-rate-limited', 'Wait a while'],
  [503, 'UNAVAILABLE', 'registry-unavailable', 'later'],
])(
  'a registry that answers %i to the push of the index is told apart',
  async (status, code, expected, remedy) => {
    const { registry, release } = trial;
    await buildBoth(release);
    const body = JSON.stringify({ errors: [{ code, message: 'the lab says no' }] });
    registry.fail({ method: 'PUT', path: /\/manifests\//, action: { status, body } });
    const error = await refused(merge(release, { with: { 'retry-budget': '1' } }));
    expect(error).toContain(expected);
    expect(error).toContain(`${status} ${code}: the lab says no`);
    expect(error).toContain(remedy);
    registry.reset();
    await expectUnmoved(trial);
    await expectPublished(trial, merge(release));
  },
);

test('when one of two registries refuses its tag, the message says what moved, and a re-run ends it', async () => {
  const { lab, oracles, registry, image } = trial;
  const other = `${lab.registry('plain').host}/acme/other`;
  const release = newRelease(lab, [image, other]);
  await buildBoth(release);
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'the lab says no' }] });
  registry.fail({ method: 'PUT', path: /manifests\/latest$/, action: { status: 403, body } });
  const error = await refused(merge(release, { with: { tags: '1.2.3,latest' } }));
  expect(error).toContain(
    `1 of 4 tags were not set. Moved: ${image}:1.2.3, ${other}:1.2.3, ${other}:latest. Not moved: ${image}:latest.`,
  );
  expect(error).toContain(`${image}:latest`);
  registry.reset();
  const { outputs } = await succeeded(merge(release, { with: { tags: '1.2.3,latest' } }));
  expect(await oracles.digestOf(`${image}:latest`)).toBe(outputs.digest);
});

test('an unsigned merge publishes without any token', async () => {
  const { oracles, image, release } = trial;
  await buildBoth(release);
  const { outputs, summary } = await succeeded(
    merge(release, { with: { sign: 'none' }, job: { idToken: false } }),
  );
  expect(await oracles.digestOf(`${image}:1.2.3`)).toBe(outputs.digest);
  expect(summary).toContain('not signed');
  await expect(oracles.verify(`${image}:1.2.3`)).rejects.toThrow(/no signatures found/);
});
