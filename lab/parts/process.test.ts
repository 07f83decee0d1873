import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Guard } from './guard.ts';
import { reservePort } from './ports.ts';
import { accepts, startProgram } from './process.ts';

let guard: Guard;
beforeEach(() => {
  guard = new Guard('test');
});
afterEach(() => guard.close());

const server = (port: number): string[] => [
  '-e',
  `console.log('listening'); require('node:http').createServer((q, r) => r.end('hi')).listen(${port}, '127.0.0.1')`,
];

async function startServer(name = 'server') {
  const reserved = await reservePort();
  const options = { name, command: process.execPath, args: server(reserved.port) };
  const program = await startProgram(guard, { ...options, ready: accepts(reserved.port) });
  return { program, port: reserved.port };
}

function stateOf(pid: number): string {
  const status = `/proc/${pid}/status`;
  return existsSync(status) ? (/^State:\s*(.*)$/m.exec(readFileSync(status, 'utf8'))?.[1] ?? '') : 'gone';
}

test('a program is ready when it answers, stops, and starts again', async () => {
  const { program, port } = await startServer();
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('hi');
  await program.stop();
  expect(program.pid).toBeUndefined();
  expect(await accepts(port)()).toBe(false);
  await program.start();
  expect(await accepts(port)()).toBe(true);
});

test('one that dies early says why, in the words of its log', async () => {
  const args = ['-e', 'console.error("no such flag: --x"); process.exit(3)'];
  const start = startProgram(guard, {
    name: 'broken',
    command: process.execPath,
    args,
    ready: async () => false,
  });
  await expect(start).rejects.toThrow(/broken ended with status 3; .*broken\.log\):\nno such flag: --x/);
});

test('one that is not there is an error, not a wait', async () => {
  const start = startProgram(guard, {
    name: 'missing',
    command: '/does/not/exist',
    args: [],
    ready: async () => false,
  });
  await expect(start).rejects.toThrow(/missing spawn .* ENOENT/);
});

test('closing the guard ends programs that nobody stopped, and what they started, and removes the folder', async () => {
  const { program } = await startServer();
  const pid = program.pid as number;
  // Left its group and session: only the mark in its environment tells whose it is.
  const stray = spawn('sleep', ['600'], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, ...guard.environment },
  });
  const ended = once(stray, 'exit');
  await guard.close();
  await ended;
  // Asked by its number: its port may be somebody else's by now. Ended, it may still wait for its parent to notice.
  expect(stateOf(pid)).toMatch(/^(gone|Z)/);
  expect(existsSync(guard.directory)).toBe(false);
});

test('a program that ignores TERM is killed', async () => {
  const stubborn = spawn(
    '/bin/sh',
    ['-c', 'trap "" TERM; echo ready; while :; do read -r line <&3 || exit; done'],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...guard.environment },
    },
  );
  await once(stubborn.stdout as NodeJS.ReadableStream, 'data');
  const ended = once(stubborn, 'exit');
  await guard.close();
  expect((await ended)[1]).toBe('SIGKILL');
}, 20_000);

test('a kept folder stays', async () => {
  guard.keep();
  await guard.close();
  expect(existsSync(guard.directory)).toBe(true);
  const { rmSync } = await import('node:fs');
  rmSync(guard.directory, { recursive: true });
});

test('a reserved port is not given twice, and comes back when released', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, reservePort));
  expect(new Set(ports.map(reserved => reserved.port)).size).toBe(20);
  for (const reserved of ports) reserved.release();
});
