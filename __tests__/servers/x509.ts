import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { bits, der, integer, octets, oid, sequence, set, text, time } from './der.ts';

/** A key with a certificate over it. */
export interface Identity {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly certificate: Buffer;
  readonly name: string;
}

export interface CertificateOptions {
  readonly name: string;
  readonly publicKey: KeyObject;
  /** Absent: signed by itself. */
  readonly issuer?: Identity | undefined;
  readonly selfKey?: KeyObject | undefined;
  readonly extensions: readonly Buffer[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const HOUR = 3_600_000;

export function newKeys(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** TBSCertificate of RFC 5280, section 4.1. */
export function toBeSigned(
  options: CertificateOptions,
  serial: Buffer,
  extensions = options.extensions,
): Buffer {
  const { notBefore = new Date(Date.now() - HOUR), notAfter = new Date(Date.now() + HOUR) } = options;
  return sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_SHA256,
    distinguishedName(options.issuer?.name ?? options.name),
    sequence(time(notBefore), time(notAfter)),
    distinguishedName(options.name),
    options.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
}

export function signCertificate(tbs: Buffer, key: KeyObject): Buffer {
  return sequence(tbs, ECDSA_SHA256, bits(sign('sha256', tbs, key)));
}

export function newSerial(): Buffer {
  return Buffer.concat([Buffer.from([0x40]), randomBytes(8)]);
}

function distinguishedName(name: string): Buffer {
  return name === '' ? sequence() : sequence(set(sequence(oid('2.5.4.3'), text(name))));
}

export function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), octets(value));
}

const IS_AUTHORITY = [
  extension('2.5.29.19', sequence(der(0x01, Buffer.from([0xff]))), true),
  extension('2.5.29.15', der(0x03, Buffer.from([0x01, 0x06])), true),
];

/** Names of RFC 5280, section 4.2.1.6: a URI, or an address. */
export function alternativeName(name: { uri: string } | { address: string }): Buffer {
  const value =
    'uri' in name
      ? der(0x86, Buffer.from(name.uri))
      : der(0x87, Buffer.from(name.address.split('.').map(Number)));
  return extension('2.5.29.17', sequence(value), true);
}

/** A certificate authority of its own. */
export function newAuthority(name: string): Identity {
  const keys = newKeys();
  const tbs = toBeSigned({ name, publicKey: keys.publicKey, extensions: IS_AUTHORITY }, newSerial());
  return { ...keys, name, certificate: signCertificate(tbs, keys.privateKey) };
}

/** A server on this address. */
export function newServer(address: string, issuer: Identity): Identity {
  const keys = newKeys();
  const extensions = [alternativeName({ address })];
  const tbs = toBeSigned({ name: address, publicKey: keys.publicKey, issuer, extensions }, newSerial());
  return { ...keys, name: address, certificate: signCertificate(tbs, issuer.privateKey) };
}

export function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
