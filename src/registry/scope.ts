/** `push` is writing and reading: every write is preceded or followed by a look. */
export type Action = 'pull' | 'push';

/** What a request does, and in which repository (its path in the registry). */
export interface Access {
  readonly repository: string;
  readonly action: Action;
}

/**
 * The scopes of a token for all of these: `repository:acme/app:pull,push` (distribution docs/spec/auth/scope.md). One for
 * each repository, in an order that only depends on what is asked for.
 */
export function scopesOf(accesses: readonly Access[]): string[] {
  const actions = new Map<string, Action>();
  for (const { repository, action } of accesses) {
    if (actions.get(repository) !== 'push') actions.set(repository, action);
  }
  return [...actions]
    .map(([repository, action]) => `repository:${repository}:${action === 'push' ? 'pull,push' : 'pull'}`)
    .sort();
}

/** Tells whether somebody who may do all of `granted` may do this too. */
export function isCovered(scope: string, granted: readonly string[]): boolean {
  const [resource, actions] = splitScope(scope);
  return granted.some(other => {
    const [otherResource, otherActions] = splitScope(other);
    return resource === otherResource && actions.every(action => otherActions.includes(action));
  });
}

/** `type:name:action,action`; the name may hold colons (a host and its port). */
function splitScope(scope: string): [resource: string, actions: readonly string[]] {
  const colon = scope.lastIndexOf(':');
  return [scope.slice(0, Math.max(colon, 0)), scope.slice(colon + 1).split(',')];
}
