import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../servers/clients.ts';
import { type Jobs, startJobs } from './jobs.ts';

const OPEN_STORE = path.resolve(import.meta.dirname, '../../src/records/open-store.ts');

let jobs: Jobs;

beforeEach(async () => {
  jobs = await startJobs();
});

/** Opens a store in a process of its own and lists it; tells which packages were loaded for that. */
async function packagesLoaded(options: object): Promise<Set<string>> {
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = new Set();
    registerHooks({ load: (url, context, next) => {
      const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
      if (name !== undefined) loaded.add(name);
      return next(url, context);
    } });
    const { openStore } = await import(${JSON.stringify(OPEN_STORE)});
    const store = await openStore({ ...${JSON.stringify(options)}, env: process.env });
    process.stdout.write = () => true;
    await store.list();
    process.stderr.write(JSON.stringify([...loaded]));
    process.exit();`;
  await jobs.asJob('merge');
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return new Set(JSON.parse(stderr) as string[]);
}

it('the artifact client is loaded by who is going to save a record', async () => {
  expect(await packagesLoaded({ retentionDays: 1 })).toContain('@actions/artifact');
});

it('the artifact client is not loaded for reading the artifacts of the run', async () => {
  const loaded = await packagesLoaded({});
  expect([...loaded]).toEqual(['valibot']);
});

it('the artifact client is not loaded for a folder', async () => {
  const loaded = await packagesLoaded({ folder: temporaryFolder() });
  expect(loaded).toContain('valibot');
  expect(loaded).not.toContain('@actions/artifact');
});

it('the artifact client is not loaded for another run, which the REST API gives', async () => {
  const run = { token: jobs.service.restToken, repository: 'acme/app', runId: '5005' };
  const loaded = await packagesLoaded({ run });
  expect(loaded).not.toContain('@actions/artifact');
  expect(loaded).not.toContain('@actions/github');
});

it('a store that has read keeps no process alive, though its connections stay open', async () => {
  const server = createServer((request, response) => request.resume().on('end', () => response.end('{}')));
  server.keepAliveTimeout = 0;
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await jobs.asJob('merge');
  const { port } = server.address() as AddressInfo;
  const program = `
    const { openStore } = await import(${JSON.stringify(OPEN_STORE)});
    const files = await (await openStore({ env: process.env })).list();
    console.log(files.length);`;
  const env = { ...process.env, ACTIONS_RESULTS_URL: `http://127.0.0.1:${port}/` };
  // It returns when the process has ended by itself.
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env,
  });
  expect(stdout).toBe('0\n');
});
