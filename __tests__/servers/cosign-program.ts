/**
 * Behaves as cosign's command line does, with one key in a file of its folder: `node cosign-program.ts FOLDER ARGS...`.
 * Its password is asked for as cosign asks: from COSIGN_PASSWORD, else from the standard input.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { CosignBehaviour, CosignCall } from './cosign.ts';

const [folder = '', ...args] = process.argv.slice(2);
const behaviour = JSON.parse(readFileSync(path.join(folder, 'behaviour.json'), 'utf8')) as CosignBehaviour;
const journal = path.join(folder, 'calls');
const [command = ''] = args;

function calls(): CosignCall[] {
  if (!existsSync(journal)) return [];
  // The last line may still be on its way: another one writes at the same time.
  const lines = readFileSync(journal, 'utf8').split('\n').slice(0, -1);
  return lines.map(line => JSON.parse(line) as CosignCall);
}

function note(event: CosignCall['event'], input: string): void {
  const call: CosignCall = { event, command, args, env: process.env, input, pid: process.pid };
  appendFileSync(journal, `${JSON.stringify(call)}\n`);
}

function fail(words: string): never {
  process.stderr.write(`Error: ${words}\nerror during command execution: ${words}\n`);
  process.exit(1);
}

async function meetOthers(count: number): Promise<void> {
  const begun = () => calls().filter(call => call.event === 'begin' && call.command === command).length;
  while (begun() < count) await new Promise(resolve => setTimeout(resolve, 5));
}

const earlier = calls().filter(call => call.event === 'begin' && call.command === command).length;
const fault = behaviour.faults?.[command]?.[earlier];
let input = fault?.deaf === true ? Buffer.alloc(0) : readFileSync(0);
let password = process.env.COSIGN_PASSWORD;
if (password === undefined) {
  password = input.toString();
  input = Buffer.alloc(0);
}
note('begin', input.toString('base64'));
if (command === 'sign-blob' && behaviour.together !== undefined) await meetOthers(behaviour.together);
if (fault?.stderr !== undefined) process.stderr.write(fault.stderr);
if (fault?.flood === true) for (;;) process.stdout.write('y'.repeat(4096));
if (fault?.signal === true) process.kill(process.pid, 'SIGTERM');
if (fault?.hang === true) await new Promise(() => setInterval(() => {}, 60_000));
if (fault?.words !== undefined) fail(fault.words);
if (fault?.stdout !== undefined) process.stdout.write(fault.stdout);
else if (command === 'version') process.stdout.write(JSON.stringify({ gitVersion: behaviour.version }));
else {
  if (password !== behaviour.password) fail('reading key: decrypt: encrypted: decryption failed');
  const key = createPrivateKey(readFileSync(path.join(folder, 'private.pem')));
  if (command === 'public-key') {
    process.stdout.write(createPublicKey(key).export({ format: 'pem', type: 'spki' }));
  } else {
    process.stderr.write('Flag --tlog-upload has been deprecated, prefer something else\n');
    const algorithm = key.asymmetricKeyType === 'ed25519' ? null : (behaviour.hash ?? 'sha256');
    process.stdout.write(`${sign(algorithm, input, key).toString('base64')}\n`);
  }
}
note('end', '');
