import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/** A loopback port that no other lab and no passing connection will take before the server for it is up. */
export interface ReservedPort {
  readonly port: number;
  /** Gives it back; a process that ends gives back all of its own. */
  release(): void;
}

/**
 * Reserves a port for a program that cannot choose one itself. The reservation is a socket in the kernel's abstract
 * namespace: other labs see it, it leaves no file, and it ends with this process. Ports are taken from below the
 * range that the kernel gives to outgoing connections.
 */
export async function reservePort(): Promise<ReservedPort> {
  const first = 20_000;
  const last = lowestEphemeralPort() - 1;
  for (let attempt = 0; attempt < 500; attempt++) {
    const port = first + Math.floor(Math.random() * (last - first));
    const lock = await listen(`\0manifold-lab-port-${port}`);
    if (!lock) continue;
    const probe = await listen(port);
    if (probe) {
      await new Promise(resolve => probe.close(resolve));
      lock.unref();
      return { port, release: () => lock.close() };
    }
    lock.close();
  }
  throw new Error(`no free port found between ${first} and ${last}`);
}

function lowestEphemeralPort(): number {
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    return Math.max(Number.parseInt(range, 10), 21_000);
  } catch {
    return 32_768;
  }
}

/** Undefined when somebody listens there; a number is probed on all addresses. */
function listen(where: string | number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise(resolve => {
    server.once('error', () => resolve(undefined));
    server.listen(where, () => resolve(server));
  });
}
