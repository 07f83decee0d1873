import { onTestFinished, vi } from 'vitest';
import type { TransportOptions } from '../../src/http/transport.ts';
import { publicTarget } from '../../src/sign/public-sigstore.ts';
import { opened, temporaryFolder, transport } from '../servers/clients.ts';
import { startTuf, type TestTuf } from '../servers/tuf.ts';

export const ROOT = 'trusted_root.json';
export const CONFIG = 'signing_config.v0.2.json';
export const TARGETS = { [ROOT]: '{"whom":"to believe"}', [CONFIG]: '{"where":"to sign"}' };
export const PAST = new Date(Date.now() - 2000);
/** Long enough for what waits to go on at once, and too short to wait for. */
export const ONCE = { budget: 0, base: 1, longest: 1 };

/** A job whose steps keep in one folder what they fetch, and each of which begins with nothing in memory. */
export function job(tuf: TestTuf, folder: string | undefined = temporaryFolder()) {
  const step = (options: TransportOptions = {}) => {
    const env = { ...tuf.env, ...(folder === undefined ? {} : { RUNNER_TEMP: folder }) };
    const access = { env, transport: transport(options) };
    return (name: string = ROOT) => publicTarget(name, access);
  };
  /** What was asked for since the last time. */
  const asked = () => tuf.log.splice(0).map(line => line.replace(/[0-9a-f]{64}\./, ''));
  return { folder, step, asked };
}

export const started = async () => {
  const tuf = await opened(startTuf(TARGETS));
  return { tuf, ...job(tuf) };
};

/** Metadata that expires soon, and a clock that is turned until it has. */
export const soon = () => new Date(Date.now() + 60_000);
export function waitUntilExpired(): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
  onTestFinished(() => void vi.useRealTimers());
}

export const METADATA = ['/2.root.json', '/timestamp.json', '/1.snapshot.json', '/1.targets.json'];
