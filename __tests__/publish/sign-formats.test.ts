import { describe, expect, it } from 'vitest';
import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { descriptorOf } from '../../src/oci/manifest.ts';
import { childrenOf } from '../../src/publish/index-image.ts';
import type { Hand } from '../../src/publish/sign.ts';
import type { SignatureFormat } from '../../src/sign/finding.ts';
import { sameSignatory } from '../../src/sign/identity.ts';
import { legacyTag } from '../../src/sign/legacy-signature.ts';
import { searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { FAST, opened, transport } from '../servers/clients.ts';
import { cameEarly, hold } from '../servers/held.ts';
import { newKeySigner } from '../servers/key.ts';
import { handOf, makerOf, signEverywhere } from '../servers/keyless.ts';
import type { SeenRequest, TestRegistry } from '../servers/registry.ts';
import { startSigstore } from '../servers/sigstore.ts';
import { publish, setUp as startBuilt } from './built.ts';

const BOTH: readonly SignatureFormat[] = ['bundle', 'legacy'];

/** An image of two platforms in two registries, a job that may sign, and somebody with a key. */
async function setUp() {
  const built = await startBuilt({ registries: [{ referrers: 'api' }, {}] });
  const { publication } = await publish(built);
  const { image } = publication;
  const clients = publication.targets.map(({ client }) => client);
  await Promise.all(clients.map(client => client.putManifest(image.content)));
  const root = descriptorOf(image.content);
  const subject = { component: 'app', children: childrenOf(image), root, repositories: clients };
  const [issuer, sigstore] = await Promise.all([opened(startOidcIssuer()), opened(startSigstore())]);
  const signer = newKeySigner();
  const verifier = new SignatureVerifier({ root: sigstore.root, keys: [signer.publicKey] });
  const opens: string[] = [];
  const told = (name: string, open: Hand['open']) => (): ReturnType<Hand['open']> => {
    opens.push(name);
    return open();
  };
  const job = async (annotations = {}): Promise<Hand> => {
    const identify = handOf(issuer.jobEnvironment(), sigstore, { retry: FAST, annotations });
    const hand = await identify();
    return { expected: hand.expected, open: told('job', hand.open) };
  };
  const holder = (annotations = {}): Hand => ({
    expected: signer.signatory,
    open: told('key', async () => makerOf(signer, sigstore, transport(), annotations)),
  });
  const sign = (hands: readonly Hand[], formats = BOTH, annotations = {}) =>
    signEverywhere([subject], { hands, formats, annotations, verifier, retry: FAST });
  /** Of every manifest in every registry: who has signed it validly in this format, and with what. */
  const all = [...subject.children, root];
  const found = async (format: SignatureFormat) => {
    const searches = clients.flatMap(client =>
      all.map(({ digest }) => searchSignatures(client, digest, verifier, { formats: [format] })),
    );
    return (await Promise.all(searches)).map(findings => findings.filter(({ fault }) => fault === undefined));
  };
  const { registries } = built;
  const pushes = () => registries.reduce((sum, registry) => sum + registry.count('PUT', /./), 0);
  return { registries, sigstore, signer, job, holder, sign, found, pushes, opens, all, root };
}

describe('an image that is signed', () => {
  it.each([[['bundle']], [['legacy']], [BOTH]] as const)(
    'as %j is signed so in full, in every registry, and a second time costs nothing',
    async formats => {
      const { sigstore, job, sign, found, pushes } = await setUp();
      const report = await sign([await job()], formats);
      expect(report.subjects.get('app')).toEqual({
        manifests: 5,
        signatures: 10 * formats.length,
        attached: 10 * formats.length,
      });
      for (const format of BOTH) {
        const count = (formats as readonly string[]).includes(format) ? 1 : 0;
        for (const signatures of await found(format)) expect(signatures).toHaveLength(count);
      }
      const before = [pushes(), sigstore.log.length];
      expect((await sign([await job()], formats)).subjects.get('app')?.attached).toBe(0);
      expect([pushes(), sigstore.log.length]).toEqual(before);
    },
  );

  it('in both formats has one certificate for all', async () => {
    const { sigstore, job, sign } = await setUp();
    await sign([await job()]);
    expect(sigstore.log.filter(path => path.includes('signingCert'))).toHaveLength(1);
    // A bundle is the same everywhere; the older format holds the name of the repository.
    expect(sigstore.log.filter(path => path.includes('entries'))).toHaveLength(5 + 10);
  });

  it('gets the other format later without a second of the first', async () => {
    const { job, sign, found } = await setUp();
    await sign([await job()], ['bundle']);
    expect((await sign([await job()], BOTH)).subjects.get('app')?.attached).toBe(10);
    for (const format of BOTH) {
      for (const signatures of await found(format)) expect(signatures).toHaveLength(1);
    }
  });

  it('by the job and by a key has both, and only who lacks is opened', async () => {
    const { signer, job, holder, sign, found, opens } = await setUp();
    await sign([holder()], ['bundle']);
    const report = await sign([await job(), holder()], ['bundle']);
    expect(opens).toEqual(['key', 'job']);
    expect(report.signatories.map(({ kind }) => kind)).toEqual(['certificate', 'key']);
    expect(report.subjects.get('app')).toEqual({ manifests: 5, signatures: 20, attached: 10 });
    for (const signatures of await found('bundle')) {
      expect(signatures).toHaveLength(2);
      const ofKey = ({ signatory }: (typeof signatures)[0]): boolean =>
        signatory !== undefined && sameSignatory(signatory, signer.signatory);
      expect(signatures.filter(ofKey)).toHaveLength(1);
    }
  });

  it('carries annotations in each format, and one without them is not enough', async () => {
    const { job, sign, found } = await setUp();
    await sign([await job()]);
    const annotations = { env: 'prod', note: 'a=b' };
    const report = await sign([await job(annotations)], BOTH, annotations);
    expect(report.subjects.get('app')?.attached).toBe(20);
    for (const format of BOTH) {
      for (const signatures of await found(format)) {
        expect(signatures.map(signature => signature.annotations)).toContainEqual(annotations);
      }
    }
    // One that carries more than is asked for is enough.
    expect(
      (await sign([await job({ env: 'prod' })], BOTH, { env: 'prod' })).subjects.get('app')?.attached,
    ).toBe(0);
  });

  it('in the older format gets its index signed last', async () => {
    const { registries, job, sign, all, root } = await setUp();
    const isTagOf = (digest: Digest) => (request: SeenRequest) =>
      request.method === 'PUT' && request.path.endsWith(`/${legacyTag(digest)}`);
    const children = all.filter(({ digest }) => digest !== root.digest);
    const signing = sign([await job()], ['legacy']);
    const ofRoot = ({ log }: TestRegistry) => log.filter(isTagOf(root.digest));
    const early = registries.map(server => {
      const held = children.map(({ digest }) => hold(server, isTagOf(digest)));
      return cameEarly(held, signing, { server, look: () => ofRoot(server) });
    });
    expect(await Promise.all(early)).toEqual([[], []]);
    expect((await signing).subjects.get('app')?.attached).toBe(10);
    expect(registries.map(registry => ofRoot(registry).length)).toEqual([1, 1]);
  });
});
