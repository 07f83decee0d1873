import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { describe, expect, it } from 'vitest';
import type { MergeInputs } from '../../src/inputs.ts';
import { parseDigest } from '../../src/oci/digest.ts';
import type { SignatureFormat } from '../../src/sign/finding.ts';
import { nameOf } from '../../src/sign/identity.ts';
import { parsePublicKey } from '../../src/sign/public-key.ts';
import { searchSignatures } from '../../src/sign/search.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { clientOf, failureOf, opened, temporaryFolder } from '../servers/clients.ts';
import { fakeCosign } from '../servers/cosign.ts';
import { startRun, type Told } from '../servers/run.ts';
import { startTuf } from '../servers/tuf.ts';

const OLD = `sha256:${'0'.repeat(64)}`;
const JOB = 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main';
/** No Sigstore is described: the public one would be meant. */
const NO_FILES = { trustedRoot: undefined, signingConfig: undefined };

const p256 = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const rsa = (): KeyObject => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

/** A run with two builds in two registries, whose merge job has cosign and a key. Its tag "latest" is of an earlier release. */
async function built(privateKey = p256()) {
  const run = await startRun({ referrers: 'api' }, {});
  for (const platform of ['linux/amd64', 'linux/arm64']) await run.build(platform);
  for (const registry of run.registries) registry.repository('acme/app').tags.set('latest', OLD);
  const { sigstore } = run;
  // Stands in for the public Sigstore, and notes what is fetched of it.
  const tuf = await opened(
    startTuf({
      'trusted_root.json': JSON.stringify(TrustedRoot.toJSON(sigstore.root)),
      'signing_config.v0.2.json': JSON.stringify(SigningConfig.toJSON(sigstore.config)),
    }),
  );
  const cosign = fakeCosign({}, privateKey);
  const job = { ...tuf.env, RUNNER_TEMP: temporaryFolder(), PATH: `${cosign.bin}:/usr/bin:/bin` };
  const merge = (inputs: Partial<MergeInputs> = {}, env: NodeJS.ProcessEnv = {}): Promise<Told> =>
    run.merge({ sign: ['key'], key: cosign.key, ...inputs }, 1, { ...job, ...env });
  /** A signing config with logs of another version, or without any. */
  const configWith = (version: 1 | 2 | undefined): string => {
    const rekorTlogUrls = sigstore.config.rekorTlogUrls.flatMap(log =>
      version === undefined ? [] : [{ ...log, majorApiVersion: version }],
    );
    const file = path.join(temporaryFolder(), 'signing_config.json');
    writeFileSync(file, JSON.stringify(SigningConfig.toJSON({ ...sigstore.config, rekorTlogUrls })));
    return file;
  };
  const pem = createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }).toString();
  const key = parsePublicKey(pem, 'the key');
  /** Of each manifest in each registry: who has signed it validly in this format. */
  const signers = async (told: Told, format: SignatureFormat, requireLog: boolean): Promise<string[][]> => {
    const verifier = new SignatureVerifier({ root: sigstore.root, keys: [key], requireLog });
    const searches = run.registries.flatMap(registry =>
      manifestsOf(told).map(digest =>
        searchSignatures(clientOf(registry), parseDigest(digest), verifier, { formats: [format] }),
      ),
    );
    return (await Promise.all(searches)).map(findings =>
      findings
        .flatMap(({ fault, signatory }) => (fault === undefined && signatory ? [nameOf(signatory)] : []))
        .sort(),
    );
  };
  return { ...run, tuf, cosign, merge, configWith, signers, keyName: `the key ${key.fingerprint}` };
}

interface App {
  readonly platforms: readonly { readonly digest: string; readonly attestations: readonly string[] }[];
  readonly signed: { readonly attached: number };
}

const appOf = ({ outputs }: Told): App => JSON.parse(outputs.json ?? '').components.app;
const attachedBy = (told: Told): number => appOf(told).signed.attached;
const manifestsOf = (told: Told): string[] => [
  told.outputs.digest ?? '',
  ...appOf(told).platforms.flatMap(({ digest, attestations }) => [digest, ...attestations]),
];
/** Five manifests in two registries have these signatures. */
const everywhere = (...names: string[]): string[][] => Array.from({ length: 2 * 5 }, () => names.toSorted());
/** The commands for consumers, without what says whom they are for. */
const checksOf = ({ lines }: Told): string[] =>
  lines.flatMap(line => /^Check app by [^\n]*\n(.*)$/s.exec(line)?.[1] ?? []);
const entriesIn = ({ sigstore }: Pick<Awaited<ReturnType<typeof startRun>>, 'sigstore'>): number =>
  sigstore.log.filter(entry => entry.includes('/log/entries')).length;

const HANDS = [['key'], ['keyless', 'key']] as const;
const FORMATS = [['bundle'], ['legacy'], ['bundle', 'legacy']] as const;

describe.each(HANDS.flatMap(sign => FORMATS.map(formats => ({ sign, formats }))))(
  'a merge that signs by $sign as $formats',
  ({ sign, formats }) => {
    it('signs every manifest in every registry, and a second time nothing', async () => {
      const run = await built();
      const inputs = { sign, signatureFormats: formats };
      const told = await run.merge(inputs);
      const { digest } = told.outputs;
      for (const position of [0, 1]) expect(run.tags(position)).toEqual({ '1.0': digest, latest: digest });
      const names = sign.map(hand => (hand === 'key' ? run.keyName : JOB));
      for (const format of ['bundle', 'legacy'] as const) {
        const isMade = (formats as readonly string[]).includes(format);
        expect(await run.signers(told, format, true)).toEqual(everywhere(...(isMade ? names : [])));
      }
      const signatures = 2 * 5 * sign.length * formats.length;
      expect(appOf(told).signed).toMatchObject({ formats, manifests: 5, signatures, attached: signatures });

      const before = [run.cosign.calls('sign-blob').length, run.sigstore.log.length];
      const again = await run.merge(inputs);
      expect([again.outputs.digest, attachedBy(again)]).toEqual([digest, 0]);
      expect([run.cosign.calls('sign-blob').length, run.sigstore.log.length]).toEqual(before);
    });
  },
);

describe('a merge that signs with a key', () => {
  it.each([
    ['there is no cosign', p256, { env: { PATH: '/nowhere' } }, 'cosign-unusable', 'needs cosign'],
    ['a log of version 2 would get RSA', rsa, { version: 2 }, 'key-unusable', 'of the kind rsa'],
    ['a log would get Ed25519 in the older format', ed25519, { format: 'legacy' }, 'key-unusable', 'ed25519'],
  ] as const)('ends before anything is pushed where %s', async (_, makeKey, how, code, words) => {
    const { env = {}, version = 1, format = 'bundle' }: How = how;
    const run = await built(makeKey());
    const inputs = { signatureFormats: [format], signingConfig: run.configWith(version) };
    const error = await failureOf(() => run.merge(inputs, env));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    expect(run.registries.flatMap(({ log }) => log.filter(({ method }) => !isReading(method)))).toEqual([]);
    for (const position of [0, 1]) expect(run.tags(position)).toEqual({ latest: OLD });
    expect([run.cosign.calls('sign-blob'), run.sigstore.log]).toEqual([[], []]);
  });

  it.each([
    ['RSA', 'bundle', rsa],
    ['RSA', 'legacy', rsa],
    ['Ed25519', 'bundle', ed25519],
  ] as const)('of the kind %s goes with a log of version 1, as %s', async (_, format, makeKey) => {
    const run = await built(makeKey());
    expect(attachedBy(await run.merge({ signatureFormats: [format] }))).toBe(10);
  });

  it('takes no signature for its own that the log of its Sigstore has not', async () => {
    const run = await built();
    const unlogged = await run.merge({ signingConfig: run.configWith(undefined) });
    expect([attachedBy(unlogged), entriesIn(run)]).toEqual([10, 0]);
    // The config names a log now: what was signed without it does not count any more.
    const logged = await run.merge();
    expect([attachedBy(logged), entriesIn(run)]).toEqual([10, 5]);
    expect(await run.signers(logged, 'bundle', true)).toEqual(everywhere(run.keyName));
    expect(attachedBy(await run.merge())).toBe(0);
  });

  it('takes an unlogged signature for its own where its Sigstore has no log', async () => {
    const run = await built();
    const inputs = {
      signingConfig: run.configWith(undefined),
      signatureFormats: ['bundle', 'legacy'],
    } as const;
    expect(attachedBy(await run.merge(inputs))).toBe(20);
    const again = await run.merge(inputs);
    expect(attachedBy(again)).toBe(0);
    expect(run.sigstore.log).toEqual([]);
    for (const format of ['bundle', 'legacy'] as const) {
      expect(await run.signers(again, format, false)).toEqual(everywhere(run.keyName));
    }
  });
});

describe('a merge to which no Sigstore is described', () => {
  it('signs with a key: nothing is logged, and nothing of the public Sigstore is fetched', async () => {
    const run = await built();
    const told = await run.merge({ ...NO_FILES, signatureFormats: ['bundle', 'legacy'] });
    expect(attachedBy(told)).toBe(20);
    expect([run.tuf.log, run.sigstore.log, run.issuer.given]).toEqual([[], [], []]);
    expect(await run.signers(told, 'bundle', false)).toEqual(everywhere(run.keyName));
    // Every call keeps cosign from its own services, too.
    for (const { args } of run.cosign.calls('sign-blob')) {
      expect(args).toEqual(expect.arrayContaining(['--tlog-upload=false', '--use-signing-config=false']));
    }
  });

  it('logs what the identity of the job signs, and not what the key does', async () => {
    const run = await built();
    const told = await run.merge({ ...NO_FILES, sign: ['keyless', 'key'] });
    expect([attachedBy(told), entriesIn(run)]).toEqual([20, 5]);
    expect(await run.signers(told, 'bundle', true)).toEqual(everywhere(JOB));
    expect(await run.signers(told, 'bundle', false)).toEqual(everywhere(JOB, run.keyName));
    expect(attachedBy(await run.merge({ ...NO_FILES, sign: ['keyless', 'key'] }))).toBe(0);
  });
});

describe('the command that a merge prints for what a key has signed', () => {
  it.each([
    ['has a log', 1, []],
    ['has none, ignores it', undefined, ['--insecure-ignore-tlog']],
  ] as const)('where its own Sigstore %s', async (_, version, ignoring) => {
    const run = await built();
    const trustedRoot = path.join(temporaryFolder(), 'root.json');
    writeFileSync(trustedRoot, JSON.stringify(TrustedRoot.toJSON(run.sigstore.root)));
    const told = await run.merge({ signingConfig: run.configWith(version), trustedRoot });
    const flags = [`--trusted-root ${trustedRoot}`, ...ignoring, '--key cosign.pub'];
    expect(checksOf(told)).toEqual([verifying(told, run, flags)]);
  });

  it('where no Sigstore is described ignores the log, unlike that for what the job has signed', async () => {
    const run = await built();
    const told = await run.merge({ ...NO_FILES, sign: ['keyless', 'key'] });
    expect(checksOf(told)).toEqual([
      verifying(told, run, [`--certificate-identity ${JOB}`, `--certificate-oidc-issuer ${run.issuer.url}`]),
      verifying(told, run, ['--insecure-ignore-tlog', '--key cosign.pub']),
    ]);
    expect(told.pages.join()).toContain('--insecure-ignore-tlog');
  });
});

/** `cosign verify` of the index in the first registry. */
function verifying({ outputs }: Told, { images }: { images: readonly string[] }, flags: string[]): string {
  return ['cosign verify', ...flags.map(flag => `  ${flag}`), `  ${images[0]}@${outputs.digest}`].join(
    ' \\\n',
  );
}

interface How {
  readonly env?: NodeJS.ProcessEnv;
  readonly version?: 1 | 2;
  readonly format?: SignatureFormat;
}

const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD';
