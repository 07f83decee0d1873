/**
 * Signs by cosign's command line with a key in PEM: `node cosign-program.ts KEY ARGS...`. The real one reads encrypted keys
 * only, and takes many times as long.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [file = '', command = ''] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(file));
if (command === 'version') process.stdout.write(JSON.stringify({ gitVersion: 'v3.1.3' }));
else if (command === 'public-key')
  process.stdout.write(createPublicKey(key).export({ format: 'pem', type: 'spki' }));
else if (command === 'sign-blob')
  process.stdout.write(`${sign('sha256', readFileSync(0), key).toString('base64')}\n`);
else throw new Error(`cosign is asked for ${command}`);
