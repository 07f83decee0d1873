import type { Platform } from '../oci/platform.ts';
import type { Policy } from './policy.ts';
import type { Origin } from './provenance.ts';
import type { Requirement } from './report.ts';

/** What is asked of an image. */
export interface Demands {
  readonly policy: Policy;
  /** The file that says whom to trust, to name it in a remedy; undefined: what is trusted by default. */
  readonly trustedRoot?: string | undefined;
  readonly requirements: ReadonlySet<Requirement>;
  /** Whether everything in the image must be signed, or its index alone. */
  readonly scope: 'all' | 'index';
  /** Exactly these platforms; undefined: any. */
  readonly platforms: readonly Platform[] | undefined;
  /** What provenance must say. */
  readonly expected: Origin;
  /**
   * Whether what BuildKit attests counts although nobody whom the policy takes has signed it, or the index around it: for
   * who asks what an image has, and not by whom.
   */
  readonly trustsUnsigned: boolean;
}
