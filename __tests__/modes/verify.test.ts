import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { describe, expect, it } from 'vitest';
import { readInputs, type VerifyInputs } from '../../src/inputs.ts';
import { verify } from '../../src/modes/verify.ts';
import type { Runner } from '../../src/runner/actions.ts';
import { step } from '../inputs/step.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';
import { NAME } from '../servers/signatures.ts';
import { attach, digestOf, type ReleaseOptions, startRelease } from '../verify/released.ts';
import { SOURCE } from '../verify/statements.ts';

/** A step of this mode in a repository's workflow, and what it says. */
async function startStep(options: ReleaseOptions = {}) {
  const release = await startRelease(options);
  const folder = temporaryFolder();
  const trustedRoot = path.join(folder, 'root.json');
  writeFileSync(trustedRoot, JSON.stringify(TrustedRoot.toJSON(release.foundry.root)));
  const told = {
    lines: [] as string[],
    warnings: [] as string[],
    outputs: {} as Record<string, string>,
    pages: [] as string[],
  };
  const runner: Runner = {
    info: message => void told.lines.push(message),
    notice: message => void told.lines.push(message),
    warning: message => void told.warnings.push(message),
    mask: () => {},
    output: (name, value) => {
      told.outputs[name] = value;
    },
    summary: async markdown => void told.pages.push(markdown),
    group: (_, work) => work(),
  };
  const name = `${release.registry.host}/acme/app:1.0`;
  const run = (inputs: Record<string, string> = {}, env: NodeJS.ProcessEnv = {}): Promise<void> => {
    const given = {
      mode: 'verify',
      images: name,
      'trusted-root': trustedRoot,
      'retry-budget': '1',
      ...inputs,
    };
    const job = {
      DOCKER_CONFIG: folder,
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'acme/app',
      GITHUB_SHA: 'c0ffee',
      GITHUB_RUN_ID: '1',
      ...env,
    };
    return verify(readInputs(step(given)) as VerifyInputs, runner, job);
  };
  return { ...release, name, folder, told, run };
}

describe('a verification', () => {
  it('of what this repository has signed says so in the log, on the page and in the outputs', async () => {
    const { told, run, signAll, index, all, name } = await startStep();
    signAll();
    await run({
      platforms: 'linux/amd64,linux/arm64',
      require: 'signatures, provenance, sbom',
      source: 'acme/app',
    });
    const digest = digestOf(index);
    expect(told.outputs.digest).toBe(digest);
    const json = JSON.parse(told.outputs.json ?? '');
    expect(json).toMatchObject({
      verified: true,
      asked: { source: SOURCE, platforms: ['linux/amd64', 'linux/arm64'] },
      images: [{ image: name, digest, verdict: 'verified', problems: [] }],
    });
    expect(json.images[0].manifests).toHaveLength(all.length);
    expect(json.images[0].manifests[0]).toMatchObject({
      digest,
      role: 'index',
      signed: true,
      signatures: [
        { format: 'bundle', outcome: 'accepted', by: { identity: NAME }, annotations: { by: 'hand' } },
      ],
    });
    const log = told.lines.join('\n');
    expect(log).toContain(`5 of 5 manifests signed by ${NAME}`);
    expect(log).toContain('the attestation manifest of linux/arm64');
    expect(log).toMatch(/ {2}verified$/);
    expect(told.pages.join()).toContain('| linux/amd64 |');
    expect(told.warnings).toEqual([]);
  });

  it('tells everything that is wrong with all images before it fails', async () => {
    const { told, run, sign, index, images, name, registry } = await startStep();
    sign(digestOf(index));
    const missing = `${registry.host}/acme/app:2.0`;
    const plain = `${registry.host}/acme/app@${digestOf(images.amd64)}`;
    const error = await failureOf(() => run({ images: `${name},${missing},${plain}` }));
    expect(error.code).toBe('verification-failed');
    expect(error.message).toContain('3 of 3 images are not what was asked for:');
    expect(error.message).toContain(`${name}: linux/arm64: it has no signature.`);
    expect(error.message).toContain(`${missing}: the image: it is not in the registry.`);
    expect(error.hint).toContain('cosign sign --recursive');
    // Of several images none is "the" digest.
    expect(told.outputs.digest).toBeUndefined();
    const verdicts = JSON.parse(told.outputs.json ?? '').images.map(
      ({ verdict }: { verdict: string }) => verdict,
    );
    expect(verdicts).toEqual(['failed', 'failed', 'failed']);
    expect(told.pages.join()).toContain('What is wrong');
  });

  it('that could not be made is another failure than one that found something', async () => {
    const { run, signAll, registry, name, told } = await startStep();
    signAll();
    registry.on({ path: /referrers/, answer: (_, response) => void response.writeHead(403).end() });
    const error = await failureOf(() => run());
    expect(error.code).toBe('verification-incomplete');
    expect(error.message).toContain('could not tell');
    expect(told.lines.join()).toContain('COULD NOT TELL');
    // Where something is wrong beside it, that is what counts.
    const both = await failureOf(() => run({ images: `${name},${registry.host}/acme/app:2.0` }));
    expect(both.code).toBe('verification-failed');
  });

  it('without signatures warns that BuildKit’s attestations may be anybody’s', async () => {
    const { run, told } = await startStep();
    await run({ require: 'provenance' });
    expect(told.warnings.join()).toContain('whoever may push');
    // Whoever names a signer means it.
    for (const named of [{ 'certificate-identity': NAME }, { 'source-repository': 'acme/app' }])
      expect((await failureOf(() => run({ require: 'provenance', ...named }))).message).toContain(
        'its provenance does not count',
      );
    expect(told.warnings).toHaveLength(1);
  });

  it('by another identity names it, and the one that was asked for', async () => {
    const { run, signAll, told } = await startStep();
    signAll();
    const error = await failureOf(() => run({ 'certificate-identity': NAME.replace('v1', 'v2') }));
    expect(error.message).toContain(`its identity is ${NAME}`);
    expect(told.lines[0]).toContain(NAME.replace('v1', 'v2'));
    await run({ 'certificate-identity': NAME });
    await run({ 'certificate-identity-regexp': 'https://github\\.com/acme/.*' });
    expect(told.lines.join('\n')).toContain('^(?:https://github\\.com/acme/.*)$');
  });

  it('asks for a Sigstore of its own server, and not for that of another forge', async () => {
    const { run, signAll } = await startStep();
    signAll();
    const enterprise = await failureOf(() => run({}, { GITHUB_SERVER_URL: 'https://git.acme.example' }));
    expect(enterprise.code).toBe('verification-failed');
    const forgejo = { GITHUB_SERVER_URL: 'https://forge.acme.example', FORGEJO_ACTIONS: 'true' };
    expect(await failureOf(() => run({}, forgejo))).toMatchObject({ code: 'missing-input' });
  });

  it('refuses an expression that is none before anything is asked for', async () => {
    const { run, registry } = await startStep();
    const error = await failureOf(() => run({ 'certificate-identity-regexp': '(' }));
    expect(error.code).toBe('invalid-input');
    expect(registry.log).toEqual([]);
  });
});

describe('a verification by a key', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();

  /** An image that is signed with the key, without any log. */
  async function signedByKey() {
    const started = await startStep({ layers: () => [] });
    for (const digest of started.all) started.sign(digest, { keys: pair, isLogged: false });
    writeFileSync(path.join(started.folder, 'cosign.pub'), pem);
    return { ...started, key: path.join(started.folder, 'cosign.pub') };
  }

  it('needs nothing but the key, from a file or a variable', async () => {
    const { run, key, told } = await signedByKey();
    await run({ key, 'trusted-root': '' });
    await run({ key: 'env://PUBLIC', 'trusted-root': '' }, { PUBLIC: pem });
    expect(told.lines[0]).toContain('the key alone');
    expect(JSON.parse(told.outputs.json ?? '').images[0].manifests[0].signatures[0].by.key).toMatch(/=$/);
  });

  it('asks for a log where a trusted root names one', async () => {
    const { run, key, all, sign } = await signedByKey();
    expect((await failureOf(() => run({ key }))).message).toContain('no transparency log has it');
    for (const digest of all) sign(digest, { keys: pair });
    await run({ key });
  });

  it('does not take another key, or an identity', async () => {
    const { run, all, sign, folder } = await signedByKey();
    const other = path.join(folder, 'other.pub');
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(other, publicKey.export({ type: 'spki', format: 'pem' }));
    expect((await failureOf(() => run({ key: other, 'trusted-root': '' }))).code).toBe('verification-failed');
    for (const digest of all) sign(digest);
    // A good signature of an identity is none of the key.
    expect((await failureOf(() => run({ key: other }))).message).toContain('not with the key');
    await run();
  });

  it.each([
    ['a private key', pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'invalid-input'],
    ['nothing', '', 'missing-input'],
    ['something else', 'key', 'key-unusable'],
  ])('refuses %s with words', async (_, content, code) => {
    const { run, folder } = await signedByKey();
    const file = path.join(folder, 'given.pub');
    writeFileSync(file, content);
    const error = await failureOf(() => run({ key: file }));
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/.{10,}/) });
    if (content.length > 10) expect(`${error.message}${error.hint}`).not.toContain(content.split('\n')[1]);
    expect((await failureOf(() => run({ key: path.join(folder, 'absent.pub') }))).code).toBe('invalid-input');
    expect((await failureOf(() => run({ key: 'env://ABSENT' }))).code).toBe('missing-input');
  });
});

describe('what stands in a registry', () => {
  it('writes no command into the log and no markup onto the page', async () => {
    const { run, told, images, contents, foundry } = await startStep({ layers: () => [] });
    const evil = 'https://x.example/\n::set-output name=x::y\n| <img src=x> `a` |\u001b[31m';
    const amd64 = digestOf(images.amd64);
    attach(contents, amd64, foundry.bundle(amd64, { certified: { name: evil } }), {
      annotations: { 'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1' },
    });
    attach(contents, amd64, 'x', { annotations: { 'dev.sigstore.bundle.predicateType': evil } });
    const error = await failureOf(() => run());
    const log = [...told.lines, error.message].join('\n');
    expect(log).not.toMatch(/^\s*::/m);
    expect(log).not.toContain('\u001b');
    const page = told.pages.join('\n');
    expect(page).not.toMatch(/(?<!\\)<img/);
    for (const table of page.split(/\n\n/).filter(part => part.startsWith('|'))) {
      const columns = table.split('\n').map(row => row.match(/(?<!\\)\|/g)?.length);
      expect(new Set(columns).size, table).toBe(1);
    }
  });
});
