import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunActionOptions, runAction, startAction } from '../runner.ts';
import { evaluate } from './action-metadata.ts';
import { startFaultProxy } from './fault-proxy.ts';
import { serve } from './http.ts';

let action: string;
beforeEach(() => {
  action = mkdtempSync(join(tmpdir(), 'manifold-action-'));
});
afterEach(() => rmSync(action, { recursive: true }));

const actionFile = `
name: test
inputs:
  image name: { description: x }
  build-args: { description: x, default: none }
  token: { description: x, default: "\${{ github.token }}" }
  total: { description: x, default: "\${{ strategy.job-total }}" }
  matrix: { description: x, default: "\${{ toJSON(matrix) }}" }
runs: { using: node24, main: main.cjs, post: post.cjs }
`;

function write(main: string, post = ''): void {
  writeFileSync(join(action, 'action.yml'), actionFile);
  const prelude = `const fs = require('node:fs'); const env = process.env;
const put = (file, text) => fs.appendFileSync(env['GITHUB_' + file], text);\n`;
  writeFileSync(join(action, 'main.cjs'), prelude + main);
  writeFileSync(join(action, 'post.cjs'), prelude + post);
}

function options(more: Partial<RunActionOptions> = {}): RunActionOptions {
  return { action, node: { path: process.execPath }, ...more };
}

test('inputs come by their names, with defaults for absent keys only', async () => {
  write(`put('OUTPUT', 'json<<END\\n' + JSON.stringify(Object.fromEntries(
    Object.entries(env).filter(([k]) => k.startsWith('INPUT_'))), null, 1) + '\\nEND\\n');`);
  const context = {
    github: { token: 'ghs_secret' },
    strategy: { 'job-total': 4 },
    matrix: { platform: 'linux/amd64' },
  };
  const result = await runAction(
    options({ with: { 'image name': 'a', 'build-args': '', other: '1' }, context }),
  );
  expect(JSON.parse(result.outputs.json ?? '')).toEqual({
    INPUT_IMAGE_NAME: 'a',
    'INPUT_BUILD-ARGS': '',
    INPUT_TOKEN: 'ghs_secret',
    INPUT_TOTAL: '4',
    INPUT_MATRIX: '{\n  "platform": "linux/amd64"\n}',
    INPUT_OTHER: '1',
  });
  expect(result.maskedOutputs).toEqual(['json']);
  expect(result.annotations[0]?.message).toMatch(
    /^Unexpected input\(s\) 'other', valid inputs are \['image name',/,
  );
});

test('what the context lacks is empty, and a null matrix is null', () => {
  expect(evaluate('${{ strategy.job-total }}', {})).toBe('');
  expect(evaluate('${{ toJSON(matrix) }}', { matrix: null })).toBe('null');
  expect(evaluate('a ${{ job.workflow_ref }} b', { job: { workflow_ref: 'x' } })).toBe('a x b');
  expect(() => evaluate('${{ a || b }}', {})).toThrow(/does not know/);
});

test('commands are obeyed and masked values never shown', async () => {
  write(`console.log('::add-mask::hunter2');
    console.log('::group::Building'); console.log('password hunter2'); console.log('::endgroup::');
    console.log('::error title=No%2C,file=a.ts,line=3::first%0Ahunter2%25');
    console.log('::debug::not shown'); console.error('to stderr');
    put('STEP_SUMMARY', '# hunter2\\n');`);
  const seen: string[] = [];
  const result = await runAction(options({ onLine: line => seen.push(line) }));
  expect(result.log.split('\n').sort()).toEqual(
    ['##[group]Building', 'password ***', '##[endgroup]', '##[error]first', '***%', 'to stderr'].sort(),
  );
  expect(seen.join('\n')).toBe(result.log);
  expect(result.rawLog).toContain('password hunter2');
  expect(result.annotations).toEqual([
    { level: 'error', title: 'No,', message: 'first\n***%', file: 'a.ts', line: '3' },
  ]);
  expect(result.summary).toBe('# ***\n');
});

test('post runs with the saved state, also after a failure', async () => {
  write(
    `put('STATE', 'key<<X\\nvalue\\nX\\n'); process.exitCode = 3;`,
    `console.log('state ' + env.STATE_key + ' input ' + env['INPUT_BUILD-ARGS']); process.exitCode = 4;`,
  );
  const result = await runAction(options());
  expect(result).toMatchObject({ exitCode: 3, postExitCode: 4, log: 'state value input none' });
});

test('nothing of the machine goes along, and the folders are gone afterwards', async () => {
  write(
    `put('OUTPUT', 'temp=' + env.RUNNER_TEMP + '\\nkeys=' + Object.keys(env).join() + '\\ncwd=' + process.cwd());`,
  );
  process.env.MANIFOLD_TEST_LEAK = '1';
  const { outputs } = await runAction(options({ env: { ACTIONS_RESULTS_URL: 'http://x' } }));
  delete process.env.MANIFOLD_TEST_LEAK;
  expect(outputs.keys).toContain('ACTIONS_RESULTS_URL');
  expect(outputs.keys).not.toContain('MANIFOLD_TEST_LEAK');
  expect(outputs.cwd).toMatch(/workspace$/);
  expect(existsSync(outputs.temp ?? '')).toBe(false);
});

test('a summary over 1 MiB is dropped with an error, and the step stays green', async () => {
  write(`put('STEP_SUMMARY', 'x'.repeat(1024 * 1024 + 1));`);
  const result = await runAction(options());
  expect(result).toMatchObject({ exitCode: 0, summary: '' });
  expect(result.annotations[0]?.message).toMatch(/upload aborted/);
});

test('a malformed output file fails the step', async () => {
  write(`put('OUTPUT', 'no equals sign');`);
  await expect(runAction(options())).rejects.toThrow("Invalid format 'no equals sign'");
});

test('an action can be killed at an exact request', async () => {
  const server = await serve((_, response) => void response.end('ok'));
  const proxy = await startFaultProxy({ target: server.url });
  write(
    `const http = require('node:http');
    const get = n => http.get(${JSON.stringify(proxy.url)} + '/' + n, r => r.resume().on('end', () => get(n + 1)));
    get(1);`,
    `console.log('post must not run');`,
  );
  const hold = proxy.hold(3);
  const running = await startAction(options());
  expect(await hold.arrived).toMatchObject({ path: '/3' });
  running.kill();
  hold.discard();
  expect(await running.finished).toMatchObject({ exitCode: null, signal: 'SIGKILL', log: '' });
  expect(proxy.count()).toBe(3);
  await Promise.all([proxy.close(), server.close()]);
});

test('temporary folders go where RUNNER_TEMP says', async () => {
  write(`process.stdin.resume(); setInterval(() => {}, 1000); console.log('running');`);
  const output = new EventEmitter();
  const shown = once(output, 'line');
  const running = await startAction(
    options({ env: { RUNNER_TEMP: join(action, 'temp') }, onLine: text => output.emit('line', text) }),
  );
  expect(await shown).toEqual(['running']);
  expect(readdirSync(join(action, 'temp'))).toHaveLength(1);
  running.kill('SIGTERM');
  expect((await running.finished).signal).toBe('SIGTERM');
  expect(readdirSync(join(action, 'temp'))).toEqual([]);
});
