import { startOidcIssuer } from '../../lab/parts/oidc-issuer.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { Keyless } from '../../src/sign/keyless.ts';
import { chooseServices } from '../../src/sign/services.ts';
import { BundleVerifier } from '../../src/sign/verify.ts';
import { opened, transport } from './clients.ts';
import { startSigstore } from './sigstore.ts';

export const DIGEST = digestOf(Buffer.from('an image'));

export async function setUp() {
  const [issuer, sigstore] = await Promise.all([opened(startOidcIssuer()), opened(startSigstore())]);
  const secrets: string[] = [];
  const options = {
    env: issuer.jobEnvironment(),
    services: chooseServices(sigstore.config, new Date()),
    transport: transport(),
    onSecret: (secret: string) => secrets.push(secret),
  };
  const keyless = new Keyless(options);
  const create = async () => keyless.createSigner(await keyless.identify());
  return { issuer, sigstore, secrets, options, create, verifier: new BundleVerifier(sigstore.root) };
}

/** A bundle with one part changed. */
export function tampered(bundle: Buffer, change: (document: BundleJson) => void): Buffer {
  const document = JSON.parse(bundle.toString());
  change(document);
  return Buffer.from(JSON.stringify(document));
}

// biome-ignore lint/suspicious/noExplicitAny: a test changes any part of it
export type BundleJson = any; // oxlint-disable-line typescript/no-explicit-any

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
