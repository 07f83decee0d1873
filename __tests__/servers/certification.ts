import type { KeyObject } from 'node:crypto';
import { octets, oid, sequence, text } from './der.ts';
import { LogKey, sha256 } from './log.ts';
import {
  alternativeName,
  extension,
  type Identity,
  newAuthority,
  newSerial,
  signCertificate,
  toBeSigned,
} from './x509.ts';

const FULCIO = '1.3.6.1.4.1.57264.1';
const SCT_LIST = '1.3.6.1.4.1.11129.2.4.2';

/** What a certificate says. */
export interface Certified {
  readonly publicKey: KeyObject;
  /** Undefined: it names nobody. */
  readonly name?: string | undefined;
  readonly issuer?: string | undefined;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Further extensions: Fulcio's claims. */
  readonly extensions?: readonly Buffer[];
  /** Without the word of the certificate log. */
  readonly unlogged?: boolean;
}

/** Fulcio and its certificate log, as far as they make certificates. */
export class CertificateAuthority {
  readonly root: Identity = newAuthority('test authority');
  readonly log = new LogKey();
  /** Milliseconds for which a certificate is good, where nobody asks for others. */
  lifetime = 600_000;

  /** @returns the certificate as DER */
  certify(certified: Certified): Buffer {
    const { publicKey, name, issuer, notBefore = new Date(), unlogged = false } = certified;
    const notAfter = certified.notAfter ?? new Date(notBefore.getTime() + this.lifetime);
    const extensions = [
      ...(name === undefined ? [] : [alternativeName({ uri: name })]),
      ...(issuer === undefined ? [] : [firstClaim(issuer), claim(8, issuer)]),
      ...(certified.extensions ?? []),
      extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.3'))),
    ];
    const serial = newSerial();
    const options = { name: '', publicKey, issuer: this.root, extensions, notBefore, notAfter };
    const tbs = toBeSigned(options, serial);
    if (unlogged) return signCertificate(tbs, this.root.privateKey);
    const logged = [...extensions, extension(SCT_LIST, octets(this.#timestampList(tbs)))];
    return signCertificate(toBeSigned(options, serial, logged), this.root.privateKey);
  }

  /** The certificate log signs what is certified before its own word is put in (RFC 6962, section 3.2). */
  #timestampList(tbs: Buffer): Buffer {
    const time = uint(Date.now(), 8);
    const issuer = sha256(this.root.publicKey.export({ type: 'spki', format: 'der' }));
    const length = uint(tbs.length, 3);
    const signed = Buffer.concat([uint(0, 2), time, uint(1, 2), issuer, length, tbs, uint(0, 2)]);
    const signature = this.log.sign(signed);
    const head = Buffer.concat([uint(0, 1), this.log.id, time, uint(0, 2), Buffer.from([4, 3])]);
    const sct = Buffer.concat([head, uint(signature.length, 2), signature]);
    return Buffer.concat([uint(sct.length + 2, 2), uint(sct.length, 2), sct]);
  }
}

/** One of Fulcio's own extensions (fulcio/docs/oid-info.md). */
export function claim(number: number, value: string): Buffer {
  return extension(`${FULCIO}.${number}`, text(value));
}

/** The issuer as it was written first, and as older verifiers read it still: bare text, no DER. */
function firstClaim(issuer: string): Buffer {
  return extension(`${FULCIO}.1`, Buffer.from(issuer));
}

/** Big-endian, of so many bytes. */
function uint(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
}
