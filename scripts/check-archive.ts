/**
 * Holds what a runner downloads, the archive of the tree, to its budget, and proves that the action runs from it.
 *
 *   lab/node scripts/check-archive.ts
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodeBinary } from '../lab/tools/catalog.ts';
import { findFaultyStarts } from './starts.ts';

const root = path.dirname(import.meta.dirname);
const BUDGET = 1_500_000;
/** All that may lie at the top of the archive. */
const EXPECTED = ['LICENSE', 'README.md', 'action.yml', 'dist'];

const folder = mkdtempSync(path.join(tmpdir(), 'manifold-archive-'));

function git(args: readonly string[], env: NodeJS.ProcessEnv = {}): Buffer {
  return execFileSync('git', args, {
    cwd: root,
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/**
 * The files as they lie in the folder now, committed or not, as a tree of Git. Index and objects are put aside, so that
 * nothing of it stays in the repository.
 */
function archiveOfWorkTree(): Buffer {
  const objects = path.join(folder, 'objects');
  mkdirSync(objects);
  const env = {
    GIT_INDEX_FILE: path.join(folder, 'index'),
    GIT_OBJECT_DIRECTORY: objects,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: path.resolve(
      root,
      git(['rev-parse', '--git-path', 'objects']).toString().trim(),
    ),
  };
  git(['add', '--all'], env);
  const tree = git(['write-tree'], env).toString().trim();
  return git(['archive', '--worktree-attributes', '--format=tar.gz', tree], env);
}

function findFaults(): string[] {
  const archive = archiveOfWorkTree();
  const copy = path.join(folder, 'copy');
  mkdirSync(copy);
  execFileSync('tar', ['-xz', '-C', copy], { input: archive });
  const found = readdirSync(copy).sort();
  const strange = found.filter(name => !EXPECTED.includes(name));
  const missing = EXPECTED.filter(name => !found.includes(name));
  console.log(`the archive has ${(archive.byteLength / 1e6).toFixed(2)} MB, compressed: ${found.join(', ')}`);
  return [
    ...(archive.byteLength > BUDGET
      ? [`it has ${archive.byteLength} bytes, more than its budget of ${BUDGET}`]
      : []),
    ...strange.map(name => `${name} is in it, but no runner needs it: add it to .gitattributes`),
    ...missing.map(name => `${name} is not in it`),
    ...(existsSync(path.join(copy, 'dist/main.js')) ? findFaultyStarts(copy, nodeBinary('newest')) : []),
  ];
}

try {
  const faults = findFaults();
  for (const fault of faults) console.error(`check-archive: ${fault}`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
