import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { ManifoldError, oneLine } from '../errors.ts';
import type { Transport } from '../http/transport.ts';
import { readInputFile } from './input-file.ts';
import type { Origin, ServiceList } from './services.ts';

/** Where a Sigstore is described; absent means the public one. */
export interface TrustSource {
  /** File of a trusted root (JSON, protobuf-specs TrustedRoot). */
  readonly trustedRoot: string | undefined;
  /** File of a signing config (JSON, protobuf-specs SigningConfig 0.2). */
  readonly signingConfig: string | undefined;
  /** Tells where the TUF repository of the public Sigstore is mirrored, and where its metadata may be kept. */
  readonly env: NodeJS.ProcessEnv;
  /** Fetches from there; absent: one that is made for it. */
  readonly transport?: Transport | undefined;
}

/**
 * Whom to believe: certificate authorities, logs and timestamp authorities with their keys.
 * @throws ManifoldError `signing-config`, `invalid-input`, `service-unreachable`
 */
export async function loadTrustedRoot(source: TrustSource): Promise<TrustedRoot> {
  const { text, origin } =
    source.trustedRoot === undefined
      ? await publicFile('trusted_root.json', source)
      : await readText('trusted-root', source.trustedRoot);
  const what = `The trusted root ${origin.name}`;
  const root = decode(what, text, origin, json => TrustedRoot.fromJSON(json));
  if (root.certificateAuthorities.length > 0 && root.tlogs.length > 0) return root;
  const lacking = root.certificateAuthorities.length === 0 ? 'certificate authority' : 'transparency log';
  throw new ManifoldError('signing-config', `${what} names no ${lacking}.`, { hint: origin.remedy });
}

/**
 * Which services to sign with.
 * @throws ManifoldError `signing-config`, `invalid-input`, `service-unreachable`
 */
export async function loadSigningConfig(source: TrustSource): Promise<ServiceList> {
  const { text, origin } =
    source.signingConfig === undefined
      ? await publicFile('signing_config.v0.2.json', source)
      : await readText('signing-config', source.signingConfig);
  const what = `The signing config ${origin.name}`;
  return { ...decode(what, text, origin, json => SigningConfig.fromJSON(json)), origin };
}

/** A text, and where it comes from. */
interface Described {
  readonly text: string;
  readonly origin: Origin;
}

async function readText(input: 'trusted-root' | 'signing-config', file: string): Promise<Described> {
  const remedy = `The input "${input}" takes the file that "cosign ${input} create" writes.`;
  const origin = { name: `"${oneLine(file)}"`, remedy };
  return { text: await readInputFile(input, file), origin };
}

/** What the parser says shows how the text begins, and the text may be a key. */
function decode<T>(what: string, text: string, { remedy: hint }: Origin, fromJSON: (json: unknown) => T): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ManifoldError('signing-config', `${what} is no JSON.`, { hint });
  }
  try {
    return fromJSON(json);
  } catch (error) {
    throw new ManifoldError('signing-config', `${what} is JSON of another kind.`, { hint, cause: error });
  }
}

/** The update framework's library is loaded only by who needs it. */
async function publicFile(name: string, source: TrustSource): Promise<Described> {
  const { publicTarget } = await import('./public-sigstore.ts');
  const text = await publicTarget(name, source);
  return { text, origin: source.env.TUF_MIRROR ? originAtMirror(name) : originAtPublic(name) };
}

function originAtMirror(name: string): Origin {
  const remedy = 'Ask who keeps the TUF repository that the variable TUF_MIRROR names.';
  return { name: `${name} of TUF_MIRROR`, remedy };
}

function originAtPublic(name: string): Origin {
  const own = '"trusted-root" (and to sign "signing-config")';
  const remedy = `A newer version of Manifold may know it. Or describe a Sigstore of your own by ${own}.`;
  return { name: `${name} of the public Sigstore`, remedy };
}
