import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { readInputs } from '../../src/inputs.ts';
import { merge } from '../../src/modes/merge.ts';
import { runner } from '../../src/runner/actions.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';
import { ORIGIN } from '../servers/images.ts';
import { startRun, tagEntries } from '../servers/run.ts';

const UNSIGNED = { sign: [], trustedRoot: undefined, signingConfig: undefined } as const;

async function built() {
  const run = await startRun();
  for (const platform of ['linux/amd64', 'linux/arm64']) await run.build(platform);
  return run;
}

describe('the page of a merge', () => {
  it('that refuses its builds has the table of the log', async () => {
    const run = await startRun();
    await run.build('linux/amd64');
    const folder = temporaryFolder();
    const page = path.join(folder, 'summary.md');
    writeFileSync(page, '');
    vi.stubEnv('GITHUB_STEP_SUMMARY', page);
    const env = {
      ...run.artifacts.jobEnvironment(ORIGIN.runId, 'merge'),
      DOCKER_CONFIG: folder,
      GITHUB_REPOSITORY: ORIGIN.repository,
      GITHUB_SHA: ORIGIN.commit,
      GITHUB_RUN_ID: ORIGIN.runId,
      INPUT_MODE: 'merge',
      INPUT_SIGN: 'none',
      INPUT_TAGS: '1.0',
      INPUT_PLATFORMS: 'linux/amd64,linux/arm64',
    };
    const inputs = readInputs(env);
    if (inputs.mode !== 'merge') throw new Error('the step is no merge');
    expect((await failureOf(() => merge(inputs, runner, env))).code).toBe('missing-platform');
    const lines = readFileSync(page, 'utf8').split('\n');
    expect(lines[0]).toContain('Nothing was published');
    expect(lines).toContain(
      '| app | linux/arm64 | a build | no record | re-run the job "build" of linux/arm64 |',
    );
  });
});

describe('"immutable-tags"', () => {
  /** The notices of a merge with the tags 1.0.0 and latest. */
  async function noticesOf(immutableTags: string[], tags = tagEntries('1.0.0', 'latest')) {
    const run = await built();
    const { lines } = await run.merge({ ...UNSIGNED, immutableTags, tags });
    return lines.filter(line => line.includes('"immutable-tags"'));
  }

  it('that guard nothing are told in one notice', async () => {
    const notices = await noticesOf(['v*.*.*', '*.*.*', 'release-?']);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('"v*.*.*", "release-?"');
    expect(notices[0]).not.toContain('"*.*.*"');
  });

  it('that guard a tag each are not', async () => {
    expect(await noticesOf(['1.*', '*.0'])).toEqual([]);
    expect(await noticesOf([])).toEqual([]);
  });
});

describe('a registry that gets no tag', () => {
  const untagged = (lines: readonly string[]) => lines.filter(line => line.includes('by its digest only'));

  it('is told in a warning where others get one', async () => {
    const run = await startRun({}, {});
    for (const platform of ['linux/amd64', 'linux/arm64']) await run.build(platform);
    const [tagged, other] = run.images;
    const { lines } = await run.merge({ ...UNSIGNED, tags: tagEntries(`${tagged}:1.0`) });
    expect(untagged(lines)).toEqual([expect.stringContaining(`no tag is for ${other}`)]);
  });

  it('is as it should be where no tag is wanted', async () => {
    const run = await built();
    const { lines } = await run.merge({ ...UNSIGNED, tags: [], pushByDigestOnly: true });
    expect(untagged(lines)).toEqual([]);
  });
});
