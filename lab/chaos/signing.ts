import type { Draw } from './draw.ts';

/** Who signs: the job by its identity, or the holder of a key. */
export type Hand = 'keyless' | 'key';
export type Format = 'bundle' | 'legacy';

/** How the images of a world are to be signed. */
export interface Signing {
  readonly hands: readonly Hand[];
  readonly formats: readonly Format[];
  readonly annotations: Readonly<Record<string, string>>;
  /** The signing config names a timestamp authority, too. */
  readonly hasTimestamps: boolean;
  /** Milliseconds for which a certificate is good. */
  readonly lifetime: number;
}

/** One kind of signature that every manifest is to have. */
export interface SignatureKind {
  readonly hand: Hand;
  readonly format: Format;
}

export const kindsOf = ({ hands, formats }: Signing): SignatureKind[] =>
  hands.flatMap(hand => formats.map(format => ({ hand, format })));

/** As long as Fulcio's. */
export const USUAL_LIFETIME = 600_000;
/** Runs out while a log is slow; not shorter, as certificates and entries are dated in whole seconds. */
const SHORT_LIFETIME = 6000;

/** Builds: cosign signs with keys, and each signature takes a process. */
const MOST_WITH_A_KEY = 3;
/** Builds in all repositories: there is one legacy signature for each repository, where one bundle is for all. */
const MOST_WITH_LEGACY = 8;

/** @param builds so many are signed at least @param places in so many repositories */
export function drawSigning(draw: Draw, builds: number, places: number): Signing | undefined {
  if (draw.chance(0.2)) return undefined;
  const hasKey = draw.chance(0.25) && builds <= MOST_WITH_A_KEY;
  const formats = draw.one([['bundle'], ['bundle'], ['legacy'], ['bundle', 'legacy']] as const);
  const isShort = draw.chance(0.15);
  return {
    hands: hasKey ? draw.one([['key'], ['keyless', 'key']] as const) : ['keyless'],
    formats: builds * places <= MOST_WITH_LEGACY ? formats : ['bundle'],
    annotations: draw.one([{}, {}, { env: 'prod' }, { env: 'prod', note: 'a=b, "c"' }]),
    hasTimestamps: draw.chance(0.4),
    lifetime: isShort ? SHORT_LIFETIME : USUAL_LIFETIME,
  };
}

/** What the input `signature-format` says. */
export const formatInput = ({ formats }: Signing): string =>
  formats.length > 1 ? 'both' : (formats[0] ?? '');

/** All that there are. */
export const KINDS: readonly SignatureKind[] = (['keyless', 'key'] as const).flatMap(hand =>
  (['bundle', 'legacy'] as const).map(format => ({ hand, format })),
);

/** A kind of signature, in words. */
export const describe = ({ hand, format }: SignatureKind): string =>
  `${format === 'bundle' ? 'bundle' : 'legacy signature'} by ${hand === 'key' ? 'the key' : 'the job'}`;
