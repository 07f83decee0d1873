import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../parts/fault-proxy.ts';
import { seededRandom } from '../parts/random.ts';
import { buildBoth, merge, startMerge } from '../pipeline.ts';
import { manifestsOf, mergeJson } from './oracles.ts';
import { openSite, prepareUpgrade, type Site, TAG, type Upgrade } from './upgrade.ts';

// SIGKILL in the middle: whatever had been done, the tag either points at the earlier image, or at a complete, signed one.

const MOMENTS = 10;
const seed = Number(process.env.MANIFOLD_SEED ?? Date.now() % 1_000_000);

type Service = 'registry' | 'artifacts' | 'oidc' | 'fulcio' | 'rekor' | 'tsa';

let site: Site;
let proxies: Record<Service, FaultProxy>;
let signingConfig: string;

beforeAll(async () => {
  site = await openSite();
  const { lab, registry } = site;
  const { fulcio, rekor, tsa } = lab.sigstore.urls;
  const inFrontOf = (target: string): Promise<FaultProxy> => startFaultProxy({ target });
  proxies = {
    registry,
    artifacts: await inFrontOf(lab.artifacts.url),
    oidc: await inFrontOf(lab.issuer.url),
    fulcio: await inFrontOf(fulcio),
    rekor: await inFrontOf(rekor),
    tsa: await inFrontOf(tsa),
  };
  const urls = { fulcio: proxies.fulcio.url, rekor: proxies.rekor.url, tsa: proxies.tsa.url };
  signingConfig = await lab.sigstore.signingConfigFor('killed', urls);
});

afterAll(async () => {
  for (const proxy of Object.values(proxies ?? {})) await proxy.close();
  await site?.close();
});

const jobChanges = () => ({
  with: { 'signing-config': signingConfig },
  job: { through: { artifacts: proxies.artifacts.url, oidc: proxies.oidc.url } },
});

async function builtUpgrade(name: string): Promise<Upgrade> {
  const upgrade = await prepareUpgrade(site, name);
  await buildBoth(upgrade.release);
  for (const proxy of Object.values(proxies)) proxy.reset();
  return upgrade;
}

test(`killed at ${MOMENTS} random requests (MANIFOLD_SEED=${seed}), no tag points at an unfinished image, and a re-run ends it`, async () => {
  const { oracles } = site;
  const whole = await builtUpgrade('whole');
  const { exitCode, log } = await merge(whole.release, jobChanges());
  expect(exitCode, log).toBe(0);
  const moments = randomMoments();
  expect(moments).toHaveLength(MOMENTS);

  for (const [position, { service, nth }] of moments.entries()) {
    const at = `killed at request ${nth} to ${service}`;
    const { release, image, earlier } = await builtUpgrade(`killed-${position}`);
    const hold = proxies[service].hold(nth);
    const running = await startMerge(release, jobChanges());
    await hold.arrived;
    running.kill();
    expect((await running.finished).signal, at).toBe('SIGKILL');
    // The server never sees the request that was under way; those before it were answered.
    hold.discard();
    const tagged = proxies.registry.count({ method: 'PUT', path: /\/manifests\/1\.2\.3$/ }) > 0;
    for (const proxy of Object.values(proxies)) proxy.reset();

    const found = await oracles.digestOf(`${image}:${TAG}`);
    if (!tagged) expect(found, at).toBe(earlier);
    if (found !== earlier) await expectComplete(image, found as string);

    const again = await merge(release);
    expect(again.exitCode, `${at}: ${again.log}`).toBe(0);
    expect(await oracles.digestOf(`${image}:${TAG}`)).toBe(again.outputs.digest);
    const json = mergeJson(again.outputs);
    await Promise.all(manifestsOf(json).map(digest => oracles.verify(`${image}@${digest}`)));
  }
});

/** An image under a tag: all of its manifests are there and signed. */
async function expectComplete(image: string, digest: string): Promise<void> {
  const { oracles } = site;
  await oracles.verify(`${image}@${digest}`);
  const index = JSON.parse(await oracles.manifest(`${image}@${digest}`)) as {
    manifests: { digest: string }[];
  };
  expect(index.manifests).toHaveLength(4);
  await Promise.all(index.manifests.map(child => oracles.verify(`${image}@${child.digest}`)));
}

/**
 * Distinct requests of the merge that just ran, each by its service and its number there; the one that moves the tag and
 * the last of all are always among them.
 */
function randomMoments(): { service: Service; nth: number }[] {
  const all = (Object.keys(proxies) as Service[]).flatMap(service =>
    proxies[service].log.map(({ method, path, at }, position) => ({
      service,
      nth: position + 1,
      method,
      path,
      at,
    })),
  );
  const last = all.reduce((a, b) => (b.at >= a.at ? b : a));
  const tag = all.find(({ method, path }) => method === 'PUT' && path.endsWith(`/manifests/${TAG}`));
  const chosen = new Set([last, tag as typeof last]);
  const random = seededRandom(seed);
  while (chosen.size < Math.min(MOMENTS, all.length))
    chosen.add(all[Math.floor(random() * all.length)] as typeof last);
  return [...chosen];
}
