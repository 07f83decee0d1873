import type { Claims } from './jwt.ts';

/**
 * What a job's identity is made of. Whatever follows from another claim (owner from repository, `ref_type` from
 * `ref`, `job_workflow_ref` from `workflow_ref`, `sub` from several) is derived unless given.
 */
export interface JobClaims {
  repository?: string;
  repository_id?: string;
  repository_owner?: string;
  repository_owner_id?: string;
  repository_visibility?: 'public' | 'private' | 'internal';
  ref?: string;
  ref_type?: 'branch' | 'tag';
  sha?: string;
  workflow?: string;
  workflow_ref?: string;
  workflow_sha?: string;
  job_workflow_ref?: string;
  job_workflow_sha?: string;
  run_id?: string;
  run_number?: string;
  run_attempt?: string;
  check_run_id?: string;
  actor?: string;
  actor_id?: string;
  event_name?: string;
  head_ref?: string;
  base_ref?: string;
  environment?: string;
  enterprise?: string;
  enterprise_id?: string;
  runner_environment?: 'github-hosted' | 'self-hosted';
  sub?: string;
  /** `repo_property_*` and whatever an issuer may add. */
  [other: string]: string | undefined;
}

/** All claims of a GitHub Actions ID token but the ones that belong to one issue of it (iss, aud, times, jti). */
export function jobClaims(given: JobClaims, immutableSubject: boolean): Claims {
  const repository = given.repository ?? 'acme/widget';
  const sha = given.sha ?? 'a'.repeat(40);
  const ref = given.ref ?? 'refs/heads/main';
  const workflowRef = given.workflow_ref ?? `${repository}/.github/workflows/release.yml@${ref}`;
  const claims: Claims = {
    repository,
    repository_id: '1002003',
    repository_owner: repository.split('/')[0],
    repository_owner_id: '4005',
    repository_visibility: 'public',
    ref,
    ref_type: ref.startsWith('refs/tags/') ? 'tag' : 'branch',
    sha,
    workflow: 'release',
    workflow_ref: workflowRef,
    workflow_sha: sha,
    job_workflow_ref: workflowRef,
    job_workflow_sha: given.workflow_sha ?? sha,
    run_id: '1001',
    run_number: '7',
    run_attempt: '1',
    check_run_id: '50060070080',
    actor: 'octocat',
    actor_id: '583231',
    event_name: 'push',
    head_ref: '',
    base_ref: '',
    runner_environment: 'github-hosted',
    ...given,
  };
  claims.sub ??= subject(claims, immutableSubject);
  return claims;
}

/** Colons in a value would change the meaning of the subject; GitHub writes them as %3A. */
function subject(claims: Claims, immutable: boolean): string {
  const escaped = (value: unknown): string => String(value).replaceAll(':', '%3A');
  const [owner, name] = String(claims.repository).split('/');
  const repository = immutable
    ? `${owner}@${claims.repository_owner_id}/${name}@${claims.repository_id}`
    : `${owner}/${name}`;
  if (claims.environment !== undefined)
    return `repo:${repository}:environment:${escaped(claims.environment)}`;
  if (claims.event_name === 'pull_request') return `repo:${repository}:pull_request`;
  return `repo:${repository}:ref:${escaped(claims.ref)}`;
}
