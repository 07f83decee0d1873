/** Of artifacts with one name that of the highest number: a later attempt, or a later upload in the same one. */
export function newestOfName<Artifact extends { readonly id: number; readonly name: string }>(
  artifacts: readonly Artifact[],
): Artifact[] {
  const newest = new Map<string, Artifact>();
  for (const artifact of artifacts) {
    const known = newest.get(artifact.name);
    if (known === undefined || known.id < artifact.id) newest.set(artifact.name, artifact);
  }
  return [...newest.values()];
}
