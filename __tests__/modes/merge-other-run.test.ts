import { describe, expect, it } from 'vitest';
import { formatRecord } from '../../src/records/record.ts';
import { ORIGIN } from '../servers/images.ts';
import { startRun } from '../servers/run.ts';

describe('a merge of another run', () => {
  const OTHER = '5005';

  async function merged(description: object) {
    const run = await startRun();
    for (const platform of ['linux/amd64', 'linux/arm64']) await run.build(platform);
    for (const { name, bytes } of run.artifacts.artifacts(ORIGIN.runId)) {
      const record = JSON.parse(bytes.toString());
      const source = { ...record.source, runId: OTHER };
      run.artifacts.put({ run: OTHER, name }, formatRecord({ ...record, source }));
    }
    run.artifacts.describeRun(OTHER, description);
    const inputs = {
      sign: [],
      run: { id: OTHER, repository: undefined },
      githubToken: run.artifacts.restToken,
    };
    const told = await run.merge(inputs, 1, { GITHUB_API_URL: run.artifacts.url });
    const contents = run.registries[0]?.repository('acme/app');
    const index = contents?.manifests.get(told.outputs.digest ?? '');
    const { annotations } = JSON.parse(String(index?.bytes));
    return { run, told, annotations, warnings: told.lines.filter(line => line.includes('ended with')) };
  }

  it.each(['failure', 'cancelled', 'timed_out'])('that ended with %s is done, with a warning', async end => {
    const { run, told, warnings } = await merged({ conclusion: end });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(new RegExp(`^The run ${OTHER} ended with ${end}: `));
    expect(run.tags().latest).toBe(told.outputs.digest);
  });

  it.each([{ conclusion: 'success' }, { conclusion: null }, {}])('described as %j has none', async told => {
    expect((await merged(told)).warnings).toEqual([]);
  });

  it('tells in the index which run built it, and not which one merged it', async () => {
    expect((await merged({})).annotations['dev.manifold.run']).toMatch(
      new RegExp(`^https://github.com/.+/actions/runs/${OTHER}$`),
    );
  });
});
