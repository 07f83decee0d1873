import { describe, expect, it } from 'vitest';
import { digestOf, hexOf } from '../../src/oci/digest.ts';
import { preAuthenticationEncoding, signatureStatement } from '../../src/sign/statement.ts';

describe('the statement of a signature', () => {
  it('is byte for byte what cosign writes', () => {
    const digest = digestOf(Buffer.from('x'));
    expect(signatureStatement(digest).toString()).toBe(
      `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"${hexOf(digest)}"}}],` +
        '"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}',
    );
  });
});

describe('what is signed', () => {
  it('is the example of the DSSE protocol', () => {
    const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
    expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  it('counts bytes, not characters', () => {
    expect(preAuthenticationEncoding('tüpe', Buffer.from('ä')).toString()).toBe('DSSEv1 5 tüpe 2 ä');
  });
});
