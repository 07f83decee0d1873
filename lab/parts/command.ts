import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command to its end. Its status is for the caller to judge: see `check`. */
export function run(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string | Buffer } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: options.env ?? process.env,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString();
      resolve({ status: code ?? (signal ? 128 : 1), stdout: text(stdout), stderr: text(stderr) });
    });
    // A command that ends without reading all of its input is no error of ours.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input);
  });
}

/** As `run`, but a status other than 0 rejects with what the command said; resolves to its standard output. */
export async function check(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string | Buffer } = {},
): Promise<string> {
  const result = await run(command, args, options);
  if (result.status === 0) return result.stdout;
  const said = (result.stderr || result.stdout).trim();
  throw new Error(`${command} ${args.join(' ')}: status ${result.status}\n${said}`);
}
