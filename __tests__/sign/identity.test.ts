import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { signatoryOf } from '../../src/sign/identity.ts';
import { CertificateAuthority, type Certified } from '../servers/certification.ts';
import { failureOf } from '../servers/clients.ts';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const certify = (said: Omit<Certified, 'publicKey'>) =>
  new CertificateAuthority().certify({ publicKey, ...said });

it('a certificate tells its identity and its issuer', () => {
  const { identity } = signatoryOf(certify({ name: 'https://me', issuer: 'https://issuer' }));
  expect(identity).toEqual({ name: 'https://me', issuer: 'https://issuer' });
});

it.each([
  [{ issuer: 'https://issuer' }, 'A certificate names no identity (subject alternative name).'],
  [{ name: 'https://me' }, 'A certificate names no issuer (1.3.6.1.4.1.57264.1.8).'],
])('a certificate with %j alone is refused, whoever has shown it', async (said, words) => {
  const error = await failureOf(() => signatoryOf(certify(said)));
  expect(error.code).toBe('signing-failed');
  expect(error.message).toBe(words);
  expect(error.hint).toContain('Check which certificate authority signs');
});
