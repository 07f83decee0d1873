import { readFile } from 'node:fs/promises';
import seeds from '@sigstore/tuf/seeds.json' with { type: 'json' };
import { ManifoldError, messageOf, oneLine } from '../errors.ts';
import { Transport } from '../http/transport.ts';
import { TufClient } from './tuf-client.ts';

const PUBLIC_MIRROR = 'https://tuf-repo-cdn.sigstore.dev';

/** How the repository is reached. */
export interface TufAccess {
  /**
   * `TUF_MIRROR` names another repository than the public one, and `TUF_ROOT_JSON` the file of the root that is believed
   * there, as for cosign. `RUNNER_TEMP` is where what was fetched stays for the next step of this job.
   */
  readonly env: NodeJS.ProcessEnv;
  /** Absent: one with nothing but what the environment says. */
  readonly transport?: Transport | undefined;
}

/** One for each step: its metadata is brought up to date once, whatever is taken by it. */
const clients = new WeakMap<NodeJS.ProcessEnv, Promise<TufClient>>();

/**
 * A file that describes a Sigstore, by its TUF repository: signed and fresh.
 * @param name `trusted_root.json`, `signing_config.v0.2.json`
 * @throws ManifoldError `service-unreachable`; `signing-config` when it is refused; `invalid-input` for what the
 * environment says
 */
export async function publicTarget(name: string, access: TufAccess): Promise<string> {
  const { env, transport } = access;
  const mirror = readMirror(env);
  try {
    const client = clients.get(env) ?? open(mirror, env, transport ?? new Transport({ env }));
    clients.set(env, client);
    return await (await client).target(name);
  } catch (error) {
    if (!(error instanceof ManifoldError) || error.code === 'invalid-input') throw error;
    throw failure(name, mirror, error);
  }
}

async function open(mirror: string, env: NodeJS.ProcessEnv, transport: Transport): Promise<TufClient> {
  const root = await rootOf(mirror, env);
  return TufClient.open({ mirror, root, folder: env.RUNNER_TEMP || undefined }, transport);
}

function readMirror({ TUF_MIRROR: text }: NodeJS.ProcessEnv): string {
  const url = URL.parse(text || PUBLIC_MIRROR);
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url.href.replace(/\/+$/, '');
  throw new ManifoldError('invalid-input', 'The variable TUF_MIRROR holds no address of a TUF repository.', {
    hint: 'Write it as https://HOST/PATH, or leave it out for the public Sigstore.',
  });
}

/** The root that is believed without asking, as a text. The public one comes with the library. */
async function rootOf(mirror: string, { TUF_ROOT_JSON: file }: NodeJS.ProcessEnv): Promise<string> {
  if (file) return readRoot(file);
  if (mirror !== PUBLIC_MIRROR) {
    throw new ManifoldError(
      'invalid-input',
      `The variable TUF_MIRROR names ${shown(mirror)}, and none names the root to believe there.`,
      { hint: 'Name the file of its root.json in the variable TUF_ROOT_JSON.' },
    );
  }
  return Buffer.from(seeds[PUBLIC_MIRROR]['root.json'], 'base64').toString('utf8');
}

async function readRoot(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ManifoldError(
      'invalid-input',
      `The variable TUF_ROOT_JSON names a file that cannot be read: ${oneLine(messageOf(error))}.`,
      {
        hint: 'It is the root.json of the TUF repository that TUF_MIRROR names, by a path that is relative to the workspace: did actions/checkout run in this job?',
        cause: error,
      },
    );
  }
}

/** Without what stands before the host, which may be a password. */
function shown(mirror: string): string {
  const { origin, pathname } = new URL(mirror);
  return oneLine(`${origin}${pathname}`).replace(/\/$/, '');
}

function failure(name: string, mirror: string, error: ManifoldError): ManifoldError {
  const whose = mirror === PUBLIC_MIRROR ? 'the public Sigstore' : 'the Sigstore';
  const file = `${name} of ${whose} (${shown(mirror)})`;
  if (error.code === 'service-unreachable') {
    const own = 'give the files of a Sigstore by "trusted-root" (and to sign "signing-config")';
    return new ManifoldError(error.code, `The ${file} could not be fetched: ${error.message}`, {
      hint: `${error.hint ?? 'Run again.'} Or ${own}.`,
      cause: error,
    });
  }
  return new ManifoldError('signing-config', `The ${file} is refused: ${error.message}`, {
    hint: 'Somebody may have changed it on the way, or its keepers let it expire. A mirror must be up to date, and TUF_ROOT_JSON must be its own root.',
    cause: error,
  });
}
