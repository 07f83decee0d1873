import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { check } from './command.ts';

export interface GitServer {
  /** What GITHUB_SERVER_URL would be. The repository is `acme/widget`. */
  readonly url: string;
  readonly commit: string;
  /** Requests without the token. */
  readonly refused: number;
  readonly served: number;
  close(): Promise<void>;
}

/**
 * A private Git repository behind HTTP, as GitHub's: git's own server program, for who shows the token as a password.
 * @param folder an empty one, for the repository
 * @param options.files the folder whose content is the only commit
 */
export async function startGitServer(
  folder: string,
  options: { token: string; files: string },
): Promise<GitServer> {
  const work = join(folder, 'work');
  const git = (...args: string[]): Promise<string> => check('git', ['-C', work, ...args]);
  await check('cp', ['-r', options.files, work]);
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git(
    '-c',
    'user.name=lab',
    '-c',
    'user.email=lab@localhost',
    'commit',
    '--quiet',
    '--message=release',
  );
  const bare = join(folder, 'acme', 'widget.git');
  await check('git', ['clone', '--quiet', '--bare', work, bare]);
  // GitHub gives out any commit by its name.
  await check('git', ['-C', bare, 'config', 'uploadpack.allowAnySHA1InWant', 'true']);

  const counts = { refused: 0, served: 0 };
  const server = createServer((request, response) => {
    if (!isAuthorized(request, options.token)) {
      counts.refused++;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="lab"' }).end();
      return;
    }
    counts.served++;
    serveGit(folder, request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    // A name by which @actions/artifact does not take us for a GitHub Enterprise Server; curl knows where it is.
    url: `http://git.localhost:${(server.address() as AddressInfo).port}`,
    commit: (await git('rev-parse', 'HEAD')).trim(),
    get refused() {
      return counts.refused;
    },
    get served() {
      return counts.served;
    },
    close: () => new Promise(resolve => server.close(() => resolve())),
  };
}

function isAuthorized({ headers }: IncomingMessage, token: string): boolean {
  const [scheme, value = ''] = (headers.authorization ?? '').split(' ');
  return scheme?.toLowerCase() === 'basic' && Buffer.from(value, 'base64').toString().endsWith(`:${token}`);
}

/** `git http-backend` is a CGI program (RFC 3875). */
function serveGit(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      REMOTE_USER: 'lab',
    },
  });
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('close', () => {
    const output = Buffer.concat(chunks);
    const end = output.indexOf('\r\n\r\n');
    const headers = output
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map(line => line.split(/: (.*)/s));
    const status = headers.find(([name]) => name === 'Status')?.[1];
    response.statusCode = Number(status?.slice(0, 3) ?? 200);
    for (const [name, value] of headers) if (name !== 'Status' && name) response.setHeader(name, value ?? '');
    response.end(output.subarray(end + 4));
  });
}
