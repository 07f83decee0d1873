import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/sign/finding.ts';
import { type SearchOptions, searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { attach, attachLegacy } from '../servers/attached.ts';
import { clientOf, failureOf, opened } from '../servers/clients.ts';
import { pushImage } from '../servers/images.ts';
import { type RegistryOptions, startRegistry } from '../servers/registry.ts';
import { newFoundry } from '../servers/signatures.ts';

const foundry = newFoundry();
const verifier = new SignatureVerifier({ root: foundry.root, keys: [] });
const isValid = ({ fault }: Finding): boolean => fault === undefined;
const MOST = 256;

async function setUp(options: RegistryOptions = { referrers: 'api' }) {
  const registry = await opened(startRegistry(options));
  const contents = registry.repository('acme/app');
  const image = pushImage(contents).root.descriptor;
  const client = clientOf(registry);
  const signed = () => attach(contents, image, JSON.stringify(foundry.bundle(image.digest)));
  /** Attaches so many different manifests. */
  const litter = (count: number, artifactType?: string) => {
    for (let number = 0; number < count; number++) {
      const annotations = { number: String(number) };
      attach(
        contents,
        image,
        '{}',
        artifactType === undefined ? { annotations } : { annotations, artifactType },
      );
    }
  };
  const search = (changes: Partial<SearchOptions> = {}) =>
    searchSignatures(client, image.digest, verifier, { formats: ['bundle', 'legacy'], ...changes });
  const reads = () => registry.count('GET', /manifests\/sha256:/);
  return { registry, contents, image, signed, litter, search, reads };
}

describe('a search', () => {
  it('costs a list of 10,000 other referrers, and nothing more', async () => {
    const { registry, signed, litter, search, reads } = await setUp({ referrers: 'api', pageSize: 500 });
    litter(5_000, 'application/vnd.example.sbom');
    signed();
    litter(5_000, 'application/vnd.example.report');
    expect(await search()).toMatchObject([{ fault: undefined }]);
    expect(registry.count('GET', /referrers/)).toBe(21);
    expect(reads()).toBe(1);
  });

  it('reads no attestation that the list calls one', async () => {
    const { contents, image, signed, search, reads } = await setUp();
    const annotations = { 'dev.sigstore.bundle.predicateType': 'https://slsa.dev/provenance/v1' };
    attach(contents, image, JSON.stringify(foundry.bundle(image.digest)), { annotations });
    signed();
    expect(await search()).toHaveLength(1);
    expect(reads()).toBe(1);
  });

  it('ends with the first signature that will do', async () => {
    const { litter, signed, search, reads } = await setUp();
    litter(100);
    signed();
    const found = await search({ until: isValid });
    expect(found.filter(isValid)).toHaveLength(1);
    expect(reads()).toBeLessThan(50);
  });

  it('goes on while none will do', async () => {
    const { litter, signed, search, reads } = await setUp();
    litter(20);
    signed();
    expect(await search({ until: () => false })).toHaveLength(21);
    expect(reads()).toBe(21);
  });

  it('reads eight at a time', async () => {
    const { registry, litter, search } = await setUp();
    litter(24);
    let most = 0;
    const waiting: (() => void)[] = [];
    registry.on({
      method: 'GET',
      path: /manifests\/sha256:/,
      answer: () =>
        new Promise(resolve => {
          waiting.push(resolve);
          most = Math.max(most, waiting.length);
          // Fewer at a time would wait for ever.
          if (waiting.length === 8) for (const release of waiting.splice(0)) release();
        }),
    });
    await search({ formats: ['bundle'] });
    expect(most).toBe(8);
  });

  it('reads the last listed of too many', async () => {
    const { litter, signed, search, reads } = await setUp();
    litter(MOST);
    const { descriptor } = signed();
    const found = await search();
    expect(found[0]).toMatchObject({ digest: descriptor.digest, fault: undefined });
    expect(found).toHaveLength(MOST);
    expect(reads()).toBe(MOST);
  });

  it('cannot tell where none of those will do and there are more', async () => {
    const { litter, signed, search } = await setUp();
    signed();
    litter(MOST);
    const error = await failureOf(search);
    expect(error.message).toContain('more than 256');
    expect(error.message).toContain('cannot be told');
  });

  it('cannot tell, although one is valid, where that is not the wanted one', async () => {
    const { litter, signed, search } = await setUp();
    litter(MOST);
    signed();
    expect((await failureOf(() => search({ until: () => false }))).message).toContain('cannot be told');
  });

  it('does the same with legacy signatures', async () => {
    const { contents, image, search, registry } = await setUp();
    const good = foundry.legacy(image.digest);
    const bad = { ...good, annotations: {} };
    const bads = Array.from({ length: MOST }, () => bad);
    attachLegacy(contents, image.digest, [good, ...bads]);
    expect((await failureOf(search)).message).toContain('cannot be told');
    attachLegacy(contents, image.digest, [...bads, good]);
    const found = await search();
    expect(found).toHaveLength(MOST);
    expect(found.filter(isValid)).toHaveLength(1);
    expect(registry.count('GET', /blobs/)).toBe(2);
  });
});
