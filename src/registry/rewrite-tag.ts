import { ManifoldError } from '../errors.ts';
import type { ManifestContent } from '../oci/manifest.ts';
import type { GetOptions, RepositoryClient } from './client.ts';
import { exclusively } from './exclusively.ts';

/** How a tag that many write to is to change. */
export interface Rewrite {
  readonly tag: string;
  /**
   * Makes the new content of what the tag names now; it keeps what others wrote.
   * @param current undefined: there is no such tag
   * @returns undefined when nothing is to change, as what we want is there
   */
  change(current: ManifestContent | undefined): Promise<ManifestContent | undefined>;
  /**
   * Makes another content where the registry refuses the first.
   * @returns undefined when there is none to try
   */
  mend?(current: ManifestContent | undefined): Promise<ManifestContent | undefined>;
  /** The error when the registry does not keep what we write. @param written how often it was written */
  notKept(written: number): ManifoldError;
}

/** While a write waited to be repeated, somebody has written (or it had taken effect): what it rests on is read again. */
class Outdated extends Error {}

const ATTEMPTS = 5;
const MENDABLE = new Set<string>(['registry-refused', 'registry-not-found']);

/**
 * Changes what a tag names. Registries have no compare-and-swap: whoever writes at the same time may overwrite us, so the
 * tag is read again after the writing, and written again if our part is gone. Within this process one goes after the other.
 * @throws ManifoldError `registry-…`
 */
export function rewriteTag(client: RepositoryClient, rewrite: Rewrite): Promise<void> {
  return exclusively(`${client.name}:${rewrite.tag}`, () => rewriteUntilKept(client, rewrite));
}

async function rewriteUntilKept(client: RepositoryClient, rewrite: Rewrite): Promise<void> {
  const { tag } = rewrite;
  let shown: GetOptions = {};
  for (let written = 0; ; written++) {
    const current = await client.findManifest(tag, shown);
    const next = await rewrite.change(current);
    if (next === undefined) return;
    const changesNothing = written > 0 && current?.digest === shown.outdated;
    if (changesNothing || written === ATTEMPTS) throw rewrite.notKept(written);
    // From now on the tag shows what we write, or what somebody else writes, although maybe late.
    shown = { justPushed: true, outdated: current?.digest };
    const beforeRetry = async (): Promise<void> => {
      if ((await client.findManifest(tag))?.digest !== current?.digest) throw new Outdated();
    };
    const write = (content: ManifestContent) => client.putManifest(content, tag, { beforeRetry });
    try {
      await write(next).catch(async error => {
        const other = isRefusal(error) ? await rewrite.mend?.(current) : undefined;
        if (other === undefined) throw error;
        await write(other);
      });
    } catch (error) {
      if (!(error instanceof Outdated)) throw error;
    }
  }
}

/** Only a refusal of the content itself is mended; a lack of rights or a fault on the way is told. */
function isRefusal(error: unknown): boolean {
  return error instanceof ManifoldError && MENDABLE.has(error.code);
}
