import { sign } from 'node:crypto';
import { ASN1Obj } from '@sigstore/core';
import { der, integer, octets, oid, sequence, set } from './der.ts';
import { sha256 } from './log.ts';
import {
  extension,
  type Identity,
  newAuthority,
  newKeys,
  newSerial,
  signCertificate,
  toBeSigned,
} from './x509.ts';

const SHA256 = sequence(oid('2.16.840.1.101.3.4.2.1'), Buffer.from('0500', 'hex'));
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const SIGNED_DATA = oid('1.2.840.113549.1.7.2');
const TST_INFO = oid('1.2.840.113549.1.9.16.1.4');
const CONTENT_TYPE = oid('1.2.840.113549.1.9.3');
const MESSAGE_DIGEST = oid('1.2.840.113549.1.9.4');
const TIME_STAMPING = sequence(oid('1.3.6.1.5.5.7.3.8'));

const number = (value: number): Buffer => integer(Buffer.from([value]));

/** A timestamp authority (RFC 3161) whose word really verifies. */
export class TimestampAuthority {
  readonly #root: Identity = newAuthority('test time');
  readonly #keys = newKeys();
  readonly #serial = newSerial();

  /** Its own certificate first, then that of who vouches for it, as DER. */
  readonly chain: readonly Buffer[];

  constructor() {
    const extensions = [extension('2.5.29.37', TIME_STAMPING, true)];
    const options = { name: 'test clock', publicKey: this.#keys.publicKey, issuer: this.#root, extensions };
    const leaf = signCertificate(toBeSigned(options, this.#serial), this.#root.privateKey);
    this.chain = [leaf, this.#root.certificate];
  }

  /** Answers a TimeStampReq (section 2.4.1). */
  answer(request: Buffer): Buffer {
    const imprint = ASN1Obj.parseBuffer(Buffer.from(request)).subs[1]?.subs[1]?.value;
    return this.#stamp(imprint ?? Buffer.alloc(0), new Date());
  }

  /** What it says of a signature. @returns a TimeStampResp (section 2.4.2) */
  stamp(signature: Buffer, at = new Date()): Buffer {
    return this.#stamp(sha256(signature), at);
  }

  #stamp(imprint: Uint8Array, at: Date): Buffer {
    const time = Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`);
    const info = sequence(
      number(1),
      oid('1.3.6.1.4.1.57264.2'),
      sequence(SHA256, octets(imprint)),
      integer(newSerial()),
      der(0x18, time),
    );
    const content = sequence(TST_INFO, der(0xa0, octets(info)));
    const signedData = sequence(number(3), set(SHA256), content, set(this.#signerInfo(info)));
    return sequence(sequence(number(0)), sequence(SIGNED_DATA, der(0xa0, signedData)));
  }

  /** RFC 5652, section 5.3: what is signed are the attributes, as a set. */
  #signerInfo(info: Buffer): Buffer {
    const attributes = [
      sequence(CONTENT_TYPE, set(TST_INFO)),
      sequence(MESSAGE_DIGEST, set(octets(sha256(info)))),
    ];
    const signature = sign('sha256', set(...attributes), this.#keys.privateKey);
    const issuer =
      ASN1Obj.parseBuffer(Buffer.from(this.#root.certificate)).subs[0]?.subs[3]?.toDER() ?? sequence();
    const signer = sequence(issuer, integer(this.#serial));
    return sequence(number(1), signer, SHA256, der(0xa0, ...attributes), ECDSA_SHA256, octets(signature));
  }
}
