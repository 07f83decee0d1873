import type { KeyObject } from 'node:crypto';
import type { Signatory } from './identity.ts';

/** A certificate that somebody in the trusted root vouches for. */
export interface KnownCertificate {
  readonly key: KeyObject;
  readonly signatory: Signatory;
  /** When it was found to be good, in milliseconds of the epoch. */
  readonly times: Set<number>;
}

/** A merge has one certificate; a verification of what many merges made has as many. */
const MOST_KNOWN = 64;

/**
 * The certificates that were verified, with the times for which they were. To follow one to its root takes most of the
 * time of a verification, and depends on nothing but the certificate, the time and the trusted root. All signatures of a
 * merge have one certificate and are made within seconds, which logs and clocks tell in whole ones.
 */
export class KnownCertificates {
  readonly #known = new Map<string, KnownCertificate>();

  /** @param der the certificate */
  find(der: Buffer): KnownCertificate | undefined {
    return this.#known.get(der.toString('base64'));
  }

  /** @param times for which all that there is to verify was verified */
  remember(der: Buffer, times: readonly Date[], found: Omit<KnownCertificate, 'times'>): void {
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    const name = der.toString('base64');
    const known = this.#known.get(name) ?? { ...found, times: new Set() };
    for (const time of times) known.times.add(time.getTime());
    this.#known.set(name, known);
  }
}
