import { describe, expect, it } from 'vitest';
import { BUILD_ONLY, MERGE_ONLY } from '../../src/inputs/foreign.ts';
import { readInputs, type VerifyInputs } from '../../src/inputs.ts';
import { formatReference } from '../../src/oci/reference.ts';
import { failureOf } from '../servers/clients.ts';
import { BUILD, MERGE, step } from './step.ts';

const COMMIT = 'c0ffee00'.repeat(5);
const IMAGE = 'ghcr.io/acme/app:1.2.3';
const verify = (inputs: Record<string, string> = {}): VerifyInputs =>
  readInputs(step({ mode: 'verify', images: IMAGE, ...inputs })) as VerifyInputs;

describe('the inputs of verify', () => {
  it('have defaults', () => {
    expect(verify()).toEqual({
      mode: 'verify',
      retryBudget: 120_000,
      insecureRegistries: new Set(),
      images: [{ repository: { registry: 'ghcr.io', path: 'acme/app' }, tag: '1.2.3' }],
      identity: undefined,
      issuer: undefined,
      sourceRepository: undefined,
      key: undefined,
      trustedRoot: undefined,
      platforms: undefined,
      requirements: new Set(['signatures']),
      scope: 'all',
      source: undefined,
      revision: undefined,
    });
  });

  it.each([
    [{ 'certificate-identity': 'a.b' }, { identity: { exact: 'a.b' } }],
    [{ 'certificate-identity-regexp': 'a.b' }, { identity: { expression: 'a.b' } }],
    [{ 'certificate-oidc-issuer': 'a.b' }, { issuer: { exact: 'a.b' } }],
    [{ 'certificate-oidc-issuer-regexp': 'a.b' }, { issuer: { expression: 'a.b' } }],
    [{ 'source-repository': 'acme/app' }, { sourceRepository: 'acme/app' }],
    [{ key: 'cosign.pub' }, { key: { file: 'cosign.pub' } }],
    [{ key: 'env://COSIGN_PUBLIC_KEY' }, { key: { variable: 'COSIGN_PUBLIC_KEY' } }],
    [{ 'trusted-root': 'root.json' }, { trustedRoot: 'root.json' }],
    [
      { platforms: 'linux/amd64, linux/arm64\namd64' },
      {
        platforms: [
          { os: 'linux', architecture: 'amd64' },
          { os: 'linux', architecture: 'arm64' },
        ],
      },
    ],
    [{ require: 'sbom, provenance' }, { requirements: new Set(['sbom', 'provenance']) }],
    [{ scope: 'index' }, { scope: 'index' }],
    [{ source: 'acme/app' }, { source: 'acme/app', requirements: new Set(['signatures', 'provenance']) }],
    [
      { revision: COMMIT.toUpperCase() },
      { revision: COMMIT, requirements: new Set(['signatures', 'provenance']) },
    ],
    [{ revision: COMMIT, require: 'sbom' }, { requirements: new Set(['sbom', 'provenance']) }],
  ])('%j', (inputs, expected) => {
    expect(verify(inputs as unknown as Record<string, string>)).toMatchObject(expected);
  });

  it('name images by tag, by digest or by both, each once', () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const images = `${IMAGE}, alpine:3\n# not this\nalpine@${digest}\ndocker.io/library/alpine:3\nalpine:3@${digest}`;
    expect(verify({ images }).images.map(formatReference)).toEqual([
      IMAGE,
      'docker.io/library/alpine:3',
      `docker.io/library/alpine@${digest}`,
      `docker.io/library/alpine:3@${digest}`,
    ]);
  });

  it.each([
    [{ images: '' }, 'missing-input', 'images'],
    [{ images: 'ghcr.io/acme/app' }, 'invalid-reference', 'neither a tag nor a digest'],
    [{ images: `${IMAGE},ghcr.io/acme/api` }, 'invalid-reference', 'ghcr.io/acme/api'],
    [{ images: 'ghcr.io/acme/app@sha256:0' }, 'invalid-digest', 'digest'],
    [{ images: 'name=ghcr.io/acme/app' }, 'invalid-reference', 'name='],
    [{ 'certificate-identity': 'a', 'certificate-identity-regexp': 'a' }, 'invalid-input', 'both given'],
    [
      { 'certificate-oidc-issuer': 'a', 'certificate-oidc-issuer-regexp': 'a' },
      'invalid-input',
      'both given',
    ],
    [{ key: 'cosign.pub', 'certificate-identity': 'a' }, 'invalid-input', 'and so is an identity'],
    [{ key: 'cosign.pub', 'certificate-oidc-issuer': 'a' }, 'invalid-input', 'and so is an identity'],
    [{ key: 'cosign.pub', 'source-repository': 'a/b' }, 'invalid-input', 'and so is an identity'],
    [{ key: 'awskms:///alias/release' }, 'invalid-input', 'awskms'],
    [{ key: 'k8s://namespace/secret' }, 'invalid-input', 'k8s'],
    [{ key: 'pkcs11:token=a' }, 'invalid-input', 'pkcs11'],
    [{ key: 'env://' }, 'invalid-input', 'env://'],
    [{ key: 'env://A B' }, 'invalid-input', 'env://A B'],
    [{ require: 'everything' }, 'invalid-input', 'everything'],
    [{ require: '# nothing' }, 'missing-input', 'require'],
    [{ require: ',' }, 'missing-input', 'require'],
    [{ scope: 'children' }, 'invalid-input', 'children'],
    [{ revision: 'main' }, 'invalid-input', 'main'],
    [{ revision: COMMIT.slice(0, 12) }, 'invalid-input', COMMIT.slice(0, 12)],
    [{ platforms: 'linux' }, 'invalid-platform', 'linux'],
  ])('%j is refused with words', async (inputs, code, word) => {
    const error = await failureOf(() => verify(inputs));
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/.{10,}/) });
    expect(error.message).toContain(word);
  });

  it('never show a key that was written into them', async () => {
    const key =
      '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----';
    const error = await failureOf(() => verify({ key }));
    expect(`${error.message} ${error.hint}`).not.toContain('c2VjcmV0');
    expect(error.hint).toContain('env://');
  });

  it.each([...BUILD_ONLY, ...MERGE_ONLY, 'component', 'records', 'oci-mediatypes'])(
    'do not know %s, and say whose it is',
    async name => {
      const error = await failureOf(() => verify({ [name]: 'x' }));
      expect(error).toMatchObject({
        code: 'invalid-input',
        message: expect.stringContaining('means nothing in "mode: verify"'),
      });
      expect(error.hint).toBeTruthy();
    },
  );

  it.each([
    [BUILD, 'scope', '"mode: verify"'],
    [MERGE, 'require', '"mode: verify"'],
    [BUILD, 'key', '"mode: merge" or "mode: verify"'],
  ])('mean nothing elsewhere: %j with %s', async (base, name, modes) => {
    const error = await failureOf(() => readInputs(step({ ...base, [name]: 'x' })));
    expect(error.message).toContain('means nothing in');
    expect(error.hint).toContain(modes);
  });
});
