import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { temporaryFolder } from '../servers/clients.ts';
import { startRun } from '../servers/run.ts';
import type { Fake } from './fakes/fake.ts';

/** A `DOCKER_CONFIG` folder with these logins: host to entry. */
export function loginFolder(auths: Readonly<Record<string, object>>): string {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ auths }));
  return folder;
}

/** A workflow run whose images lie in these registries, and whose merge is logged in to each. */
async function startRunAt(...fakes: readonly Fake[]) {
  // A pause between tries is a random part of a longest that grows from 250 ms: here it is small, and not nothing, as
  // what never succeeds would try without end.
  const random = vi.spyOn(Math, 'random').mockReturnValue(1 / 256);
  onTestFinished(() => random.mockRestore());
  const run = await startRun(...fakes.map(({ options }) => options));
  const auths = run.registries.map(({ host }, position) => [host, fakes[position]?.login ?? {}]);
  const login = { DOCKER_CONFIG: loginFolder(Object.fromEntries(auths)) };
  // Long enough for what passes on a busy machine; what does not pass is a refusal, which is not waited for.
  const merge: typeof run.merge = (inputs, attempt, changes) =>
    run.merge({ retryBudget: 5_000, ...inputs }, attempt, { ...login, ...changes });
  return { ...run, merge };
}

type MergeRun = Awaited<ReturnType<typeof startRunAt>>;

/** The same with the images of two platforms, built. */
export async function builtAt(...fakes: readonly Fake[]): Promise<MergeRun> {
  const run = await startRunAt(...fakes);
  await run.build('linux/amd64');
  await run.build('linux/arm64');
  return run;
}

/** What a registry holds of acme/app, as names only: it is equal when nothing was written in between. */
export function heldBy({ registries }: MergeRun, position = 0) {
  const contents = registries[position]?.repository('acme/app');
  if (contents === undefined) throw new Error(`the run has no registry ${position}`);
  return {
    manifests: [...contents.manifests.keys()].sort(),
    blobs: [...contents.blobs.keys()].sort(),
    tags: Object.fromEntries(contents.tags),
  };
}
