import { spawn } from 'node:child_process';
import * as v from 'valibot';
import { checkDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';

/** What a login left behind: a name and password, or a refresh token ("identity token"). */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'refresh-token'; readonly token: string };

const helperAnswer = v.object({ Username: v.string(), Secret: v.string() });

/** No helper has more to say. Characters of each stream. */
const LONGEST_OUTPUT = 64 * 1024;

export interface HelperOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds until a helper that does not answer is ended. */
  readonly timeout: number;
}

/**
 * Docker's credential helper protocol: `docker-credential-NAME get`, the server on stdin, JSON on stdout.
 * @returns undefined when the helper knows no login for this server
 * @throws ManifoldError `credentials`
 */
export async function askHelper(
  helper: string,
  server: string,
  options: HelperOptions,
): Promise<Credential | undefined> {
  const command = `docker-credential-${helper}`;
  const { code, stdout, stderr } = await runHelper(command, server, options);
  if (code !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    const said = [stdout, stderr].filter(isHarmless).join(' ');
    throw new ManifoldError(
      'credentials',
      `${command} failed for ${server}: ${oneLine(said) || `exit code ${code}`}.`,
    );
  }
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    // The text itself may hold the password: it is not shown.
    throw new ManifoldError('credentials', `${command} did not answer with JSON for ${server}.`);
  }
  const { Username, Secret } = checkDocument(helperAnswer, answer, `the answer of ${command}`, {
    code: 'credentials',
    secret: true,
  });
  if (Username === '<token>') return { kind: 'refresh-token', token: Secret };
  return { kind: 'password', username: Username, password: Secret };
}

/** What looks like an answer may hold a password, whatever the exit code is. */
function isHarmless(output: string): boolean {
  return output.trim() !== '' && !/[{}]/.test(output);
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runHelper(command: string, input: string, { env, timeout }: HelperOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, ['get'], { env, stdio: 'pipe' });
    const output = { stdout: '', stderr: '' };
    const giveUp = (reason: string, hint: string): void => {
      child.kill('SIGKILL');
      // What it started itself may live on and hold the pipes open.
      for (const pipe of child.stdio) pipe?.destroy();
      reject(new ManifoldError('credentials', `${command} ${reason} for ${input}.`, { hint }));
    };
    const timer = setTimeout(() => {
      giveUp(`did not answer within ${timeout / 1000} s`, 'It may wait for somebody to unlock its store.');
    }, timeout);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8');
      child[name].on('data', (chunk: string) => {
        output[name] += chunk;
        if (output[name].length > LONGEST_OUTPUT)
          giveUp('says more than any login needs', 'Check that it is a credential helper.');
      });
    }
    child.on('error', error => {
      clearTimeout(timer);
      const message = `Docker's config.json names the credential helper ${command}, which cannot be started.`;
      reject(new ManifoldError('credentials', message, { cause: error }));
    });
    child.on('close', code => {
      clearTimeout(timer);
      resolve({ code, ...output });
    });
    child.stdin.on('error', () => {}); // a helper that ends without reading tells by its exit code
    child.stdin.end(input);
  });
}
