import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandResult, run } from '../parts/command.ts';
import { type FaultProxy, startFaultProxy } from '../parts/fault-proxy.ts';
import { type JobChanges, merge, type Release } from '../pipeline.ts';
import type { RunResult } from '../runner.ts';
import { publishEarlier } from '../synthetic-release.ts';
import { toolPath } from '../tools/catalog.ts';
import { COSIGNS, type CosignVersion, signBundle } from './cosigns.ts';
import { IDENTITY, mergeJson, Oracles } from './oracles.ts';
import { refused, succeeded } from './refusing.ts';
import {
  behindProxies,
  expectationOf,
  openSigningSite,
  publishedAs,
  REGISTRIES,
  type SigningSite,
  tally,
  writesOf,
} from './signing-site.ts';
import { TAG } from './upgrade.ts';

// Two who sign one image, in both formats and in two registries at once, with words of their own; and then the same again.

let site: SigningSite;
let fulcio: FaultProxy;
let rekor: FaultProxy;
let release: Release;
let changes: JobChanges;
let first: RunResult;
/** What cosign was called for, one command a line. */
let calls: string;

beforeAll(async () => {
  site = await openSigningSite();
  const { lab, key } = site;
  [fulcio, rekor] = await Promise.all([
    startFaultProxy({ target: lab.sigstore.urls.fulcio }),
    startFaultProxy({ target: lab.sigstore.urls.rekorV1 }),
  ]);
  const urls = { fulcio: fulcio.url, rekorV1: rekor.url };
  const config = await lab.sigstore.signingConfigFor('counted', urls, { logs: [1] });
  release = await behindProxies(site, 'twice');
  const tools = await lab.folder('tools');
  calls = join(tools, 'calls');
  await writeFile(
    join(tools, 'cosign'),
    `#!/bin/sh\necho "$1" >> ${calls}\nexec ${toolPath('cosign')} "$@"\n`,
  );
  await chmod(join(tools, 'cosign'), 0o755);
  changes = {
    with: {
      sign: 'keyless, key',
      key: key.privateKey,
      'signature-format': 'both',
      'signature-annotations': 'team=release\norg.example.note=two words',
      'signing-config': config,
    },
    env: { COSIGN_PASSWORD: key.password, PATH: `${tools}:/usr/bin:/bin` },
  };
  first = await succeeded(merge(release, changes));
});

afterAll(async () => {
  await Promise.all([fulcio?.close(), rekor?.close()]);
  await site?.close();
});

const callsSoFar = async (): Promise<string[]> => (await readFile(calls, 'utf8')).trim().split('\n');

test('every cosign accepts every manifest in both registries, of the one who signed and of the other', async () => {
  for (const image of publishedAs(site, 'twice', first)) {
    for (const hand of ['keyless', 'key'] as const) {
      const expected = expectationOf(site, { log: 1, hand });
      for (const cosign of COSIGNS) {
        const { said, ...found } = await tally(site, cosign, image, expected);
        expect(found, said).toEqual({ cosign, accepted: 5, of: 5, tag: true });
      }
    }
  }
});

test('one certificate serves all, and each signature is logged once', async () => {
  const { by, manifests, attached } = mergeJson(first.outputs).signed as unknown as Record<string, unknown>;
  expect(by).toEqual([{ identity: IDENTITY, issuer: site.lab.issuer.url }, { key: expect.any(String) }]);
  // Two hands, two formats, two registries.
  expect({ manifests, attached }).toEqual({ manifests: 5, attached: 5 * 2 * 2 * 2 });
  expect(fulcio.count({ method: 'POST' })).toBe(1);
  expect(site.lab.issuer.given).toHaveLength(1);
  // A bundle is the same in all registries; a legacy signature holds the name of its repository.
  const made = 5 * 2 * (1 + REGISTRIES.length);
  expect(rekor.count({ method: 'POST' })).toBe(made);
  expect((await callsSoFar()).filter(call => call === 'sign-blob')).toHaveLength(made / 2);
});

describe('the words that were to be added', () => {
  /** @returns status and standard error */
  const ask = (cosign: CosignVersion, reference: string, pair: string): Promise<CommandResult> => {
    const { lab, key } = site;
    const root = cosign === '2.5' ? [] : ['--trusted-root', lab.sigstore.trustedRoot];
    const args = ['verify', '--key', key.publicKey, ...root, '-a', pair, reference];
    const env = { ...lab.environment(), ...lab.sigstore.legacyEnvironment };
    return run(toolPath(cosign === '3.1' ? 'cosign' : `cosign-${cosign}`), args, { env });
  };
  const reference = (): string => `${publishedAs(site, 'twice', first)[0]?.image}:${TAG}`;

  test.each(COSIGNS)('are there for cosign %s', async cosign => {
    for (const pair of ['team=release', 'org.example.note=two words']) {
      const { status, stderr } = await ask(cosign, reference(), pair);
      expect(status, stderr).toBe(0);
    }
  });

  // The first finds the bundle, the other the legacy signature.
  test.each(['3.1', '2.5'] as const)('and no others, says cosign %s', async cosign => {
    for (const pair of ['team=other', 'other=release']) {
      const { status, stderr } = await ask(cosign, reference(), pair);
      expect(status, stderr).not.toBe(0);
      expect(stderr).toContain('missing or incorrect annotation');
    }
  });

  test('while cosign 2.6 takes any of a bundle, also of one that cosign made', async () => {
    const { lab, key, configs } = site;
    const image = `${lab.registry('plain').host}/acme/annotated`;
    const theirs = `${image}@${await publishEarlier(lab, image, TAG)}`;
    await signBundle(lab, theirs, configs[1], { key: key.privateKey, flags: ['-a', 'team=release'] });
    for (const each of [reference(), theirs]) {
      const { status, stderr } = await ask('2.6', each, 'team=other');
      expect(status, stderr).toBe(0);
    }
  });
});

test('a second merge writes nothing and signs nothing', async () => {
  const before = await callsSoFar();
  for (const proxy of [...site.proxies, fulcio, rekor]) proxy.reset();
  const again = await succeeded(merge(release, changes));
  expect(again.outputs.digest).toBe(first.outputs.digest);
  expect(mergeJson(again.outputs).signed).toMatchObject({ manifests: 5, attached: 0 });
  for (const proxy of site.proxies) {
    expect(proxy.count()).toBeGreaterThan(0);
    expect(writesOf(proxy)).toEqual([]);
  }
  expect(fulcio.count()).toBe(0);
  expect(rekor.count()).toBe(0);
  expect((await callsSoFar()).slice(before.length)).not.toContain('sign-blob');
});

test('a third one that wants other words signs anew, and leaves what there is', async () => {
  const { key: _, ...inputs } = changes.with ?? {};
  const other = { sign: 'keyless', 'signature-format': 'bundle', 'signature-annotations': 'team=other' };
  const third = await succeeded(merge(release, { with: { ...inputs, ...other } }));
  expect(mergeJson(third.outputs).signed).toMatchObject({ manifests: 5, attached: 5 * 2 });
  for (const image of publishedAs(site, 'twice', first)) {
    for (const hand of ['keyless', 'key'] as const) {
      const { accepted, tag } = await tally(site, '3.1', image, expectationOf(site, { log: 1, hand }));
      expect({ accepted, tag }).toEqual({ accepted: 5, tag: true });
    }
  }
});

test('without cosign a merge that is to sign with a key is refused before it pushes anything', async () => {
  const refusal = await behindProxies(site, 'without-cosign');
  const env = { ...changes.env, PATH: await site.lab.folder('no-tools') };
  const error = await refused(merge(refusal, { ...changes, env }));
  expect(error).toContain('cosign-unusable');
  expect(error).toContain('Signing with a key needs cosign, which is not on this runner.');
  expect(error).toContain('uses: sigstore/cosign-installer');
  for (const proxy of site.proxies) expect(writesOf(proxy)).toEqual([]);
  const oracles = new Oracles(site.lab);
  for (const image of refusal.images) expect(await oracles.tags(image)).toEqual([]);
});
