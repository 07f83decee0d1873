import type { ImageReport, ManifestReport, Problem } from '../verify/report.ts';

/** A problem as people read it. */
export type ToldProblem = Pick<Problem, 'kind' | 'about' | 'message' | 'remedy'>;

/**
 * The problems of an image, in their order. One that all its manifests have, in the very same words, is told once, of all of
 * them: whoever has forgotten an input reads one line, and not one for each platform. The JSON output has each.
 */
export function toldProblems({ manifests, problems }: ImageReport): ToldProblem[] {
  const groups = Map.groupBy(problems, wordsOf);
  return problems.flatMap((problem): ToldProblem[] => {
    const group = groups.get(wordsOf(problem)) ?? [];
    if (!isOfAll(group, manifests)) return [problem];
    return problem === group[0] ? [{ ...problem, about: allOf(manifests) }] : [];
  });
}

function wordsOf({ kind, message, remedy }: Problem): string {
  return JSON.stringify([kind, message, remedy]);
}

function isOfAll(group: readonly Problem[], manifests: readonly ManifestReport[]): boolean {
  const digests = new Set(group.map(({ digest }) => digest));
  return manifests.length > 1 && manifests.every(({ digest }) => digests.has(digest));
}

function allOf(manifests: readonly ManifestReport[]): string {
  const held = manifests.length - 1;
  return held === 1 ? 'the index and the manifest in it' : `the index and all ${held} manifests in it`;
}
