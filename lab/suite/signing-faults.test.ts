import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../parts/fault-proxy.ts';
import type { FaultAction } from '../parts/fault-rules.ts';
import { type JobChanges, merge, type Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { publishEarlier, syntheticRelease } from '../synthetic-release.ts';
import { Oracles } from './oracles.ts';
import { refused, succeeded } from './refusing.ts';
import {
  expectationOf,
  type Hand,
  type Manner,
  openSigningSite,
  publishedAs,
  type SigningSite,
  signingChanges,
  tally,
} from './signing-site.ts';
import { TAG } from './upgrade.ts';

// Something between the merge and Sigstore goes wrong once: the image is signed in full all the same. Or for good: then no
// tag moves, and a merge afterwards goes on.

type Service = 'fulcio' | 'rekor' | 'rekorV1' | 'tsa' | 'issuer';

let site: SigningSite;
let proxies: Readonly<Record<Service, FaultProxy>>;
let names = 0;

beforeAll(async () => {
  const opened = await openSigningSite();
  const { sigstore, issuer } = opened.lab;
  const front = (target: string): Promise<FaultProxy> => startFaultProxy({ target });
  const [fulcio, rekor, rekorV1, tsa, issuerProxy] = await Promise.all([
    front(sigstore.urls.fulcio),
    front(sigstore.urls.rekor),
    front(sigstore.urls.rekorV1),
    front(sigstore.urls.tsa),
    front(issuer.url),
  ]);
  proxies = { fulcio, rekor, rekorV1, tsa, issuer: issuerProxy };
  const urls = { fulcio: fulcio.url, rekor: rekor.url, rekorV1: rekorV1.url, tsa: tsa.url };
  const [v1, v2] = await Promise.all([
    sigstore.signingConfigFor('broken-v1', urls, { logs: [1] }),
    sigstore.signingConfigFor('broken-v2', urls, { logs: [2] }),
  ]);
  site = { ...opened, configs: { 1: v1, 2: v2 } };
});

afterEach(() => {
  for (const proxy of Object.values(proxies)) proxy.reset();
});

afterAll(async () => {
  await Promise.all(Object.values(proxies ?? {}).map(proxy => proxy.close()));
  await site?.close();
});

interface Trial {
  readonly name: string;
  /** Without tag. */
  readonly image: string;
  /** What the tag points at before. */
  readonly earlier: string;
  readonly release: Release;
}

/** An image of an earlier release under the tag, and a run that is to move it. */
async function newTrial(): Promise<Trial> {
  names++;
  const name = `fault-${names}`;
  const image = `${site.lab.registry('plain').host}/acme/${name}`;
  const earlier = await publishEarlier(site.lab, image, TAG);
  return { name, image, earlier, release: await syntheticRelease(site.lab, [image], 2) };
}

function changesFor(manner: Manner): JobChanges {
  return { ...signingChanges(site, manner), job: { through: { oidc: proxies.issuer.url } } };
}

/** The tag has moved, and cosign accepts everything. */
async function expectSigned({ name, image }: Trial, manner: Manner, merged: RunResult): Promise<void> {
  const [published] = publishedAs(site, name, merged);
  if (published === undefined) throw new Error('nothing was published');
  expect(await new Oracles(site.lab).digestOf(`${image}:${TAG}`)).toBe(merged.outputs.digest);
  const { said, ...found } = await tally(site, '3.1', published, expectationOf(site, manner));
  expect(found, said).toMatchObject({ accepted: 5, of: 5, tag: true });
}

/** How often a proxy gave each answer to requests of a method; 0 stands for none. */
function answers(proxy: FaultProxy, method: string): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status = 0 } of proxy.log.filter(request => request.method === method))
    counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe('an entry that was made, and whose answer was lost', () => {
  test.each<Hand>(['keyless', 'key'])('is fetched from Rekor v1: %s', async hand => {
    const manner: Manner = { log: 1, format: 'bundle', hand };
    const trial = await newTrial();
    const { rekorV1 } = proxies;
    const rule = rekorV1.fail({ method: 'POST', on: 1, action: { reset: 'after' } });
    await expectSigned(trial, manner, await succeeded(merge(trial.release, changesFor(manner))));
    expect(rule.applied).toBe(1);
    // The repeated one is refused as a double, and the entry read from where the refusal says; nothing is logged twice.
    expect(answers(rekorV1, 'POST')).toEqual({ 0: 1, 409: 1, 201: 4 });
    expect(answers(rekorV1, 'GET')).toEqual({ 200: 1 });
  });

  test.each<Hand>(['keyless', 'key'])('gives place to another signature in Rekor v2: %s', async hand => {
    const manner: Manner = { log: 2, format: 'bundle', hand };
    const trial = await newTrial();
    const { rekor } = proxies;
    const rule = rekor.fail({ method: 'POST', on: 1, action: { reset: 'after' } });
    await expectSigned(trial, manner, await succeeded(merge(trial.release, changesFor(manner))));
    expect(rule.applied).toBe(1);
    // Rekor v2 keeps no double, and gives nothing out again.
    expect(answers(rekor, 'POST')).toEqual({ 0: 1, 409: 1, 201: 5 });
  });
});

describe('what passes is waited for', () => {
  const faults: readonly (readonly [string, Service, Manner['log'], FaultAction])[] = [
    ['Fulcio limits the rate', 'fulcio', 1, { status: 429, headers: { 'retry-after': '1' } }],
    ['Fulcio breaks the connection', 'fulcio', 2, { reset: 'before' }],
    ['the timestamp authority is unavailable', 'tsa', 2, { status: 503 }],
    ['the timestamp authority answers half', 'tsa', 1, { truncate: 100 }],
    ['Rekor v1 is overloaded', 'rekorV1', 1, { status: 503 }],
    ['Rekor v2 has a bad gateway', 'rekor', 2, { status: 502 }],
    ['the issuer of tokens fails', 'issuer', 2, { status: 500 }],
  ];

  test.each(faults)('%s', async (_, service, log, action) => {
    const manner: Manner = { log, format: 'bundle', hand: 'keyless' };
    const trial = await newTrial();
    const rule = proxies[service].fail({ on: 1, action });
    await expectSigned(trial, manner, await succeeded(merge(trial.release, changesFor(manner))));
    expect(rule.applied).toBe(1);
    // What was asked again is the one that failed, and still one certificate serves all.
    expect(answers(proxies.fulcio, 'POST')[200]).toBe(1);
  });
});

test('a token that has run out is replaced by a new one', async () => {
  const manner: Manner = { log: 2, format: 'bundle', hand: 'keyless' };
  const trial = await newTrial();
  const value = site.lab.issuer.issueBad('expired', 'sigstore');
  const expired = (): Buffer => Buffer.from(JSON.stringify({ value }));
  const rule = proxies.issuer.fail({ on: 1, path: /token/, action: { rewrite: expired } });
  await expectSigned(trial, manner, await succeeded(merge(trial.release, changesFor(manner))));
  expect(rule.applied).toBe(1);
});

describe('what does not pass', () => {
  const services: readonly (readonly [string, Service, Manner['log']])[] = [
    ['Fulcio', 'fulcio', 1],
    ['Rekor', 'rekorV1', 1],
    ['Rekor', 'rekor', 2],
    ['time', 'tsa', 2],
    ['issuer', 'issuer', 2],
  ];

  test.each(services)(
    '%s down for good (%s, Rekor v%s): no tag moves, and a re-run goes on',
    async (name, service, log) => {
      const manner: Manner = { log, format: 'bundle', hand: 'keyless' };
      const trial = await newTrial();
      const changes = changesFor(manner);
      const down = { ...changes, with: { ...changes.with, 'retry-budget': '1' } };
      const rule = proxies[service].fail({ action: { status: 503, body: 'closed for the winter' } });
      const error = await refused(merge(trial.release, down));
      expect(error).toMatch(new RegExp(name, 'i'));
      expect(error).toContain('503');
      expect(error).toContain('closed for the winter');
      expect(error).toContain('No tag was moved');
      expect(error).toMatch(/re-run/i);
      const oracles = new Oracles(site.lab);
      expect(await oracles.tags(trial.image)).toEqual([TAG]);
      expect(await oracles.digestOf(`${trial.image}:${TAG}`)).toBe(trial.earlier);
      rule.remove();
      await expectSigned(trial, manner, await succeeded(merge(trial.release, changes)));
    },
  );

  test('a re-run signs only what was not signed when the registry broke off', async () => {
    const manner: Manner = { log: 1, format: 'bundle', hand: 'keyless' };
    names++;
    const name = `broken-off-${names}`;
    const [registry] = site.proxies;
    const image = `${registry?.host}/acme/${name}`;
    const release = await syntheticRelease(site.lab, [image], 2);
    // The fallback tag of the third child, and of all after it.
    const rule = registry?.fail({
      method: 'PUT',
      path: /manifests\/sha256-[0-9a-f]{64}$/,
      on: n => n > 2,
      action: { status: 403, body: JSON.stringify({ errors: [{ code: 'DENIED', message: 'enough' }] }) },
    });
    const error = await refused(merge(release, changesFor(manner)));
    expect(error).toContain('enough');
    rule?.remove();
    const merged = await succeeded(merge(release, changesFor(manner)));
    expect(JSON.parse(merged.outputs.json ?? '').components.app.signed).toMatchObject({
      manifests: 5,
      signatures: 5,
      attached: 3,
    });
    await expectSigned({ name, image, earlier: '', release }, manner, merged);
  });
});
