import { describe, expect, it } from 'vitest';
import { makeSignatures } from '../../src/publish/make-signatures.ts';
import { SignatureMaker } from '../../src/sign/maker.ts';
import { SignatureVerifier } from '../../src/sign/signature-verifier.ts';
import { clientOf, failureOf, opened, transport } from '../servers/clients.ts';
import { made, TYPES } from '../servers/images.ts';
import { newKeySigner } from '../servers/key.ts';
import { setUp } from '../servers/keyless.ts';
import { startRegistry } from '../servers/registry.ts';
import { startSigstore } from '../servers/sigstore.ts';

/** What becomes of one signature that a verifier does not take. */
async function refusal(maker: SignatureMaker, verifier: SignatureVerifier, format: 'bundle' | 'legacy') {
  const repository = clientOf(await opened(startRegistry()));
  const manifest = made(TYPES.index, { schemaVersion: 2 }).descriptor;
  const subject = { component: 'app', children: [], root: manifest, repositories: [repository] };
  const wanted = [{ place: { subject, repository, manifest }, format, signatory: maker.signatory }];
  return failureOf(() => makeSignatures(wanted, maker, verifier, new Map()));
}

describe.each(['bundle', 'legacy'] as const)('a %s that does not verify', format => {
  it('names the files of the Sigstore where an identity signs', async () => {
    const { create } = await setUp();
    const other = await opened(startSigstore());
    const verifier = new SignatureVerifier({ root: other.root, keys: [] });
    const error = await refusal(await create(), verifier, format);
    expect(error.code).toBe('signature-unverified');
    expect(error.hint).toBe(
      'Check that "trusted-root" and "signing-config" describe the same Sigstore. No tag was moved.',
    );
  });

  it('names the key store where a key signs', async () => {
    const witnessesOf = () => ({ logs: [], timestampAuthorities: [] });
    const signer = newKeySigner();
    const maker = new SignatureMaker({ signer, witnessesOf, annotations: {}, transport: transport() });
    const verifier = new SignatureVerifier({ root: undefined, keys: [newKeySigner().publicKey] });
    const error = await refusal(maker, verifier, format);
    expect(error.code).toBe('signature-unverified');
    expect(error.hint).toMatch(/^Check that the key store signs with the key .* No tag was moved\.$/);
  });
});
