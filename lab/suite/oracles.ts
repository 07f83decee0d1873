import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../lab.ts';
import { type CommandResult, check, run } from '../parts/command.ts';
import type { Registry } from '../parts/registries.ts';
import { toolPath } from '../tools/catalog.ts';

/** Programs that are not ours, asked what they think of what we published. */
export class Oracles {
  readonly #lab: Lab;
  readonly #env: Record<string, string>;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#env = lab.environment();
  }

  /** The digest that a tag points at, or undefined where there is no such tag. */
  async digestOf(reference: string): Promise<string | undefined> {
    const { status, stdout, stderr } = await run(toolPath('crane'), ['digest', reference], {
      env: this.#env,
    });
    if (status === 0) return stdout.trim();
    // crane asks with HEAD first, whose 404 has no body to name the reason in.
    if (/MANIFEST_UNKNOWN|NAME_UNKNOWN|404|not found/i.test(stderr)) return undefined;
    throw new Error(`crane could not tell about ${reference}: ${stderr}`);
  }

  /** All tags of a repository but those that hold referrers. */
  async tags(repository: string): Promise<string[]> {
    const { status, stdout, stderr } = await run(toolPath('crane'), ['ls', repository], { env: this.#env });
    if (status !== 0 && /NAME_UNKNOWN|404/.test(stderr)) return [];
    if (status !== 0) throw new Error(`crane could not list ${repository}: ${stderr}`);
    return stdout.split('\n').filter(tag => tag !== '' && !/^sha256-[0-9a-f]{64}/.test(tag));
  }

  /** A manifest as crane reads it. */
  manifest(reference: string): Promise<string> {
    return check(toolPath('crane'), ['manifest', reference], { env: this.#env });
  }

  /** Every layer, config and manifest is there and has the digest that it is named by. */
  async validate(reference: string): Promise<void> {
    await check(toolPath('crane'), ['validate', '--remote', reference], { env: this.#env });
  }

  /** The raw index as four programs read it; all must be the same bytes. */
  async readIndex(registry: Registry, reference: string): Promise<Record<string, string>> {
    const plain = registry.ca === undefined;
    const tls = plain ? 'tls=disabled' : `regcert=${registry.ca}`;
    const [crane, regctl, skopeo, imagetools] = await Promise.all([
      check(toolPath('crane'), ['manifest', reference], { env: this.#env }),
      check(
        toolPath('regctl'),
        ['--host', `reg=${registry.host},${tls}`, 'manifest', 'get', '--format', 'raw-body', reference],
        { env: this.#env },
      ),
      check('skopeo', ['inspect', '--raw', ...this.#skopeo(registry), `docker://${reference}`], {
        env: this.#env,
      }),
      check(toolPath('buildx'), ['imagetools', 'inspect', '--raw', reference], { env: this.#env }),
    ]);
    return { crane, regctl, skopeo, imagetools };
  }

  /** The digest of the child that crane and regctl take for a platform; undefined where they find none. */
  async childFor(
    reference: string,
    platform: string,
    osVersion?: string,
  ): Promise<Record<'crane' | 'regctl', string | undefined>> {
    const cranePlatform = osVersion ? `${platform}:${osVersion}` : platform;
    const regctlPlatform = osVersion ? `${platform},osver=${osVersion}` : platform;
    const [crane, regctl] = await Promise.all([
      this.#digest('crane', ['digest', '--platform', cranePlatform, reference]),
      this.#digest('regctl', ['image', 'digest', '--platform', regctlPlatform, reference]),
    ]);
    return { crane, regctl };
  }

  async #digest(tool: 'crane' | 'regctl', args: readonly string[]): Promise<string | undefined> {
    const { status, stdout, stderr } = await run(toolPath(tool), args, { env: this.#env });
    if (status === 0) return stdout.trim();
    if (/no child with platform|platform not found/.test(stderr)) return undefined;
    throw new Error(`${tool} ${args.join(' ')}: ${stderr}`);
  }

  /** The platform in the config of the image that skopeo takes for this one. */
  async configFor(registry: Registry, reference: string, platform: string): Promise<string> {
    const [os = '', architecture = '', variant] = platform.split('/');
    const wanted = ['--override-os', os, '--override-arch', architecture];
    if (variant !== undefined) wanted.push('--override-variant', variant);
    const args = ['inspect', '--config', ...wanted, ...this.#skopeo(registry), `docker://${reference}`];
    const config = JSON.parse(await check('skopeo', args, { env: this.#env })) as Record<string, string>;
    return [config.os, config.architecture, config.variant].filter(part => part !== undefined).join('/');
  }

  /** The annotations of an index as two programs have parsed them. */
  async annotations(reference: string): Promise<Record<string, Record<string, string>>> {
    const [regctl, imagetools] = await Promise.all([
      check(toolPath('regctl'), ['manifest', 'get', '--format', '{{json .GetAnnotations}}', reference], {
        env: this.#env,
      }),
      check(
        toolPath('buildx'),
        ['imagetools', 'inspect', '--format', '{{json .Manifest.Annotations}}', reference],
        { env: this.#env },
      ),
    ]);
    return { regctl: JSON.parse(regctl), imagetools: JSON.parse(imagetools) };
  }

  /** What skopeo must be told of a registry: it reads none of the lab's settings by itself. */
  #skopeo({ ca }: Registry): string[] {
    const authfile = join(this.#env.DOCKER_CONFIG as string, 'config.json');
    return [`--tls-verify=${ca !== undefined}`, '--authfile', authfile];
  }

  /** Makes an index by buildx, from builds of one image, as its documentation has it done. */
  createIndex(
    image: string,
    tag: string,
    digests: readonly string[],
    options: readonly string[] = [],
  ): Promise<CommandResult> {
    const sources = digests.map(digest => `${image}@${digest}`);
    const args = ['imagetools', 'create', ...options, '--tag', `${image}:${tag}`, ...sources];
    return run(toolPath('buildx'), args, { env: this.#env });
  }

  /** Whether cosign accepts the signature of one manifest by the lab's identity; throws with what it says if not. */
  async verify(reference: string, identity = IDENTITY): Promise<void> {
    await check(
      toolPath('cosign'),
      [
        'verify',
        '--trusted-root',
        this.#lab.sigstore.trustedRoot,
        '--certificate-identity',
        identity,
        '--certificate-oidc-issuer',
        this.#lab.issuer.url,
        reference,
      ],
      { env: this.#env },
    );
  }

  async labels(reference: string, platform: string): Promise<Record<string, string> | undefined> {
    const config = await check(toolPath('crane'), ['config', '--platform', platform, reference], {
      env: this.#env,
    });
    return (JSON.parse(config) as { config: { Labels?: Record<string, string> } }).config.Labels;
  }

  /** Unpacks the image of one platform and runs what it starts; the kernel calls QEMU where it must. */
  async runImage(reference: string, platform: string): Promise<{ output: string; builtOn: string }> {
    const folder = await this.#lab.folder('image');
    await mkdir(folder, { recursive: true });
    const tar = join(folder, 'image.tar');
    await check(toolPath('crane'), ['export', '--platform', platform, reference, tar], { env: this.#env });
    await check('tar', ['-xf', tar, '-C', folder]);
    const config = await check(toolPath('crane'), ['config', '--platform', platform, reference], {
      env: this.#env,
    });
    const [program, ...args] = (JSON.parse(config) as { config: { Entrypoint: string[] } }).config.Entrypoint;
    const output = await check(join(folder, program as string), args, { env: {} });
    const builtOn = await check('cat', [join(folder, 'built-on')]);
    return { output: output.trim(), builtOn: builtOn.trim() };
  }
}

/** Whom the lab's certificates name: the workflow of the token that the issuer gives. */
export const IDENTITY = 'https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main';

/** What the merge says in its output `json` of one component. */
export interface MergeJson {
  readonly digest: string;
  readonly images: readonly string[];
  readonly tags: readonly string[];
  readonly platforms: readonly { platform: string; digest: string; attestations: readonly string[] }[];
  readonly signed: {
    /** A certificate's identity, or the fingerprint of a key. */
    by: readonly { identity?: string; issuer?: string; key?: string }[];
    formats: readonly string[];
    manifests: number;
    signatures: number;
    attached: number;
  } | null;
}

/** What the output `json` says of a component; of the only one without its name. */
export function mergeJson(outputs: Readonly<Record<string, string>>, component?: string): MergeJson {
  const { components } = JSON.parse(outputs.json ?? '') as { components: Record<string, MergeJson> };
  const names = Object.keys(components);
  const name = component ?? (names.length === 1 ? names[0] : undefined);
  const found = name === undefined ? undefined : components[name];
  if (found === undefined) throw new Error(`the merge tells of ${names.join(', ')}, not of ${component}`);
  return found;
}

/** The digests of everything in a published image, the index last. */
export function manifestsOf(json: MergeJson): string[] {
  return [...json.platforms.flatMap(({ digest, attestations }) => [digest, ...attestations]), json.digest];
}
