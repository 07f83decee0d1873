import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type Handler, serve } from '../../lab/parts/http.ts';
import { opened } from './clients.ts';
import { der, sequence } from './der.ts';
import {
  extension,
  type Identity,
  newAuthority,
  newKeys,
  newSerial,
  newServer,
  pem,
  signCertificate,
  toBeSigned,
} from './x509.ts';

/** What came to the proxy itself. */
interface ProxyRequest {
  /** `host:port` of CONNECT, or the whole address of a request to pass on. */
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
}

/** What becomes of a CONNECT: a tunnel, no answer, or whatever this does to the client's connection. */
type OnConnect = 'tunnel' | 'silence' | ((socket: Socket) => void);

export interface TestProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly tunnels: ProxyRequest[];
  readonly forwarded: ProxyRequest[];
  /** All connections of clients to the proxy. */
  readonly sockets: Set<Socket>;
}

/**
 * An HTTP proxy (RFC 9110, section 3.7) for which every host is on this machine, whatever its name.
 * @param onConnect by the number of the CONNECT, later ones as the last
 * @param login `user:password` that it asks for
 */
export async function startProxy(onConnect: OnConnect[] = ['tunnel'], login?: string): Promise<TestProxy> {
  const tunnels: ProxyRequest[] = [];
  const forwarded: ProxyRequest[] = [];
  const sockets = new Set<Socket>();
  const expected = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
  const isKnown = ({ headers }: IncomingMessage): boolean =>
    expected === undefined || headers['proxy-authorization'] === expected;
  const server = createServer((request, response) => {
    forwarded.push({ target: request.url ?? '', headers: request.headers });
    if (isKnown(request)) passOn(request, response);
    else response.writeHead(407).end('login, please');
  });
  server.on('connection', socket => sockets.add(socket.on('error', () => {})));
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    tunnels.push({ target: request.url ?? '', headers: request.headers });
    const reaction = onConnect[Math.min(tunnels.length, onConnect.length) - 1];
    if (!isKnown(request)) answerConnect(407)(socket);
    else if (typeof reaction === 'function') reaction(socket);
    else if (reaction === 'tunnel') tunnel(request, socket);
    else socket.resume().on('end', () => socket.end());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => server.close(resolve));
  };
  const { port } = server.address() as AddressInfo;
  return opened({ host: `127.0.0.1:${port}`, tunnels, forwarded, sockets, close });
}

/** Answers a CONNECT with this status and nothing behind it. */
export const answerConnect =
  (status: number, ...headers: string[]) =>
  (socket: Socket): void => {
    const lines = [`HTTP/1.1 ${status} Answer`, 'content-length: 2', ...headers, '', 'no'];
    socket.end(lines.join('\r\n'));
  };

function tunnel(request: IncomingMessage, client: Socket): void {
  const port = Number((request.url ?? '').split(':').at(-1));
  const target = connect(port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    target.pipe(client).pipe(target);
  });
  target.on('error', () => client.destroy()).on('close', () => client.destroy());
  client.on('close', () => target.destroy());
}

function passOn(request: IncomingMessage, response: ServerResponse): void {
  const { port, pathname, search } = new URL(request.url ?? '');
  const { 'proxy-authorization': _login, 'proxy-connection': _hop, ...headers } = request.headers;
  const options = { host: '127.0.0.1', port, path: pathname + search, method: request.method, headers };
  const outgoing = httpRequest(options, answer => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.on('error', () => response.destroy());
  request.pipe(outgoing);
}

/** A TLS server behind the proxy, with a certificate for `name` (a host name or an IPv4 address). */
export async function secureServer(name: string, handler: Handler) {
  const authority = newAuthority('test authority');
  const { privateKey, certificate } = /^[0-9.]+$/.test(name)
    ? newServer(name, authority)
    : newNamedServer(name, authority);
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const server = await opened(serve(handler, { name, key, cert: pem(certificate) }));
  return {
    url: new URL(`${server.url}/path?signature=secret`),
    port: server.port,
    ca: pem(authority.certificate),
  };
}

/** `newServer` for a host name (dNSName of RFC 5280, section 4.2.1.6). */
function newNamedServer(name: string, issuer: Identity): Identity {
  const keys = newKeys();
  const extensions = [extension('2.5.29.17', sequence(der(0x82, Buffer.from(name))), true)];
  const tbs = toBeSigned({ name, publicKey: keys.publicKey, issuer, extensions }, newSerial());
  return { ...keys, name, certificate: signCertificate(tbs, issuer.privateKey) };
}
