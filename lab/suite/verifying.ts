import { expect } from 'vitest';
import type { RunResult } from '../runner.ts';

/** What `mode: verify` says in its output `json`, as far as these tests look at it. */
interface VerifyJson {
  readonly verified: boolean;
  readonly images: readonly VerifiedImage[];
}

export interface VerifiedImage {
  readonly image: string;
  readonly digest: string | null;
  readonly verdict: 'verified' | 'failed' | 'unknown';
  readonly manifests: readonly VerifiedManifest[];
  readonly problems: readonly { readonly kind: string; readonly about: string; readonly message: string }[];
}

interface VerifiedManifest {
  readonly digest: string;
  readonly role: string;
  readonly platform: string | null;
  readonly signed: boolean | null;
  readonly signatures: readonly VerifiedSignature[];
  readonly attestations: readonly {
    readonly origin: string;
    readonly kind: string;
    readonly fault: string | null;
  }[];
}

interface VerifiedSignature {
  readonly format: 'bundle' | 'legacy';
  readonly outcome: string;
  readonly reason: string;
  readonly by: { readonly identity?: string; readonly key?: string } | null;
}

function verifyJson({ outputs }: RunResult): VerifyJson {
  return JSON.parse(outputs.json ?? '') as VerifyJson;
}

/** The job ended well, and says of every image that it is what was asked for. @returns what it says of them */
export function verified(result: RunResult): readonly VerifiedImage[] {
  expect(result.exitCode, result.log).toBe(0);
  const { verified: isVerified, images } = verifyJson(result);
  expect(isVerified).toBe(true);
  for (const { verdict, problems } of images)
    expect({ verdict, problems }).toEqual({ verdict: 'verified', problems: [] });
  return images;
}

/** The job failed, and says of its one image that it is not what was asked for. @returns what it says of it, and its error */
export function notVerified(result: RunResult): { readonly image: VerifiedImage; readonly error: string } {
  expect(result.exitCode, result.log).toBe(1);
  const { verified: isVerified, images } = verifyJson(result);
  expect(isVerified).toBe(false);
  const [image] = images;
  if (image === undefined || images.length > 1) throw new Error(`the job tells of ${images.length} images`);
  expect(image.verdict).toBe('failed');
  const errors = result.annotations.filter(({ level }) => level === 'error');
  expect(errors.map(({ title }) => title)).toEqual([expect.stringContaining('verification-failed')]);
  return { image, error: errors[0]?.message ?? '' };
}
