/**
 * Holds dist/ against the sources: builds it anew and compares, then starts every mode from a copy of the tree that has
 * no node_modules, under the newest Node 24 and the oldest that a runner carries.
 *
 *   lab/node scripts/check-dist.ts
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { nodeBinary } from '../lab/tools/catalog.ts';
import { findFaultyStarts } from './starts.ts';

const root = path.dirname(import.meta.dirname);

/** Paths of all files below a folder, in the order of their names. */
function filesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => statSync(path.join(folder, file)).isFile())
    .sort();
}

/** Every file in which two folders differ, with how. */
function compare(committed: string, rebuilt: string): string[] {
  const [before, after] = [filesOf(committed), filesOf(rebuilt)];
  return [
    ...before.filter(file => !after.includes(file)).map(file => `${file}: is not made from the sources`),
    ...after.filter(file => !before.includes(file)).map(file => `${file}: is missing`),
    ...before
      .filter(
        file => after.includes(file) && !sameBytes(path.join(committed, file), path.join(rebuilt, file)),
      )
      .map(file => `${file}: differs`),
  ];
}

function sameBytes(a: string, b: string): boolean {
  return readFileSync(a).equals(readFileSync(b));
}

function findDifferences(folder: string): string[] {
  const rebuilt = path.join(folder, 'dist');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/bundle.mjs', rebuilt], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) return [`the bundle cannot be built:\n${stdout}${stderr}`];
  const differences = compare(path.join(root, 'dist'), rebuilt);
  if (differences.length === 0) return [];
  return [`dist/ is not what the sources make; run "make dist":\n  ${differences.join('\n  ')}`];
}

function findStartFaults(folder: string): string[] {
  for (const part of ['action.yml', 'package.json', 'dist'])
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  // There is a package of the oldest Node 24 for this architecture only.
  const releases = arch() === 'x64' ? (['newest', 'oldest'] as const) : (['newest'] as const);
  return releases.flatMap(release =>
    findFaultyStarts(folder, nodeBinary(release)).map(fault => `under the ${release} Node 24: ${fault}`),
  );
}

const folder = mkdtempSync(path.join(tmpdir(), 'manifold-dist-'));
try {
  const faults = [
    ...findDifferences(path.join(folder, 'rebuilt')),
    ...findStartFaults(path.join(folder, 'copy')),
  ];
  for (const fault of faults) console.error(`check-dist: ${fault}`);
  if (faults.length === 0) console.log('dist/ is what the sources make, and every mode starts from it');
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
