import type { ActionContext } from './action-metadata.ts';

/**
 * The default variables of a job (docs.github.com, "Variables reference"), from the `github` context where it says
 * so. What it leaves out agrees with the claims that the lab's issuer gives when nothing else is said.
 */
export function runnerVariables(context: ActionContext): Record<string, string> {
  const github = context.github ?? {};
  const value = (key: string, fallback: string): string => String(github[key] ?? fallback);
  const repository = value('repository', 'acme/widget');
  const ref = value('ref', 'refs/heads/main');
  const sha = value('sha', 'a'.repeat(40));
  const server = value('server_url', 'https://github.com');
  return {
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION: '__self',
    GITHUB_ACTOR: value('actor', 'octocat'),
    GITHUB_ACTOR_ID: value('actor_id', '583231'),
    GITHUB_API_URL: value('api_url', 'https://api.github.com'),
    GITHUB_BASE_REF: value('base_ref', ''),
    GITHUB_EVENT_NAME: value('event_name', 'push'),
    GITHUB_GRAPHQL_URL: value('graphql_url', 'https://api.github.com/graphql'),
    GITHUB_HEAD_REF: value('head_ref', ''),
    GITHUB_JOB: value('job', 'job'),
    GITHUB_REF: ref,
    GITHUB_REF_NAME: value('ref_name', ref.replace(/^refs\/(heads|tags)\//, '')),
    GITHUB_REF_PROTECTED: value('ref_protected', 'false'),
    GITHUB_REF_TYPE: value('ref_type', ref.startsWith('refs/tags/') ? 'tag' : 'branch'),
    GITHUB_REPOSITORY: repository,
    GITHUB_REPOSITORY_ID: value('repository_id', '1002003'),
    GITHUB_REPOSITORY_OWNER: value('repository_owner', repository.split('/')[0] ?? ''),
    GITHUB_REPOSITORY_OWNER_ID: value('repository_owner_id', '4005'),
    GITHUB_RETENTION_DAYS: value('retention_days', '90'),
    GITHUB_RUN_ATTEMPT: value('run_attempt', '1'),
    GITHUB_RUN_ID: value('run_id', '1001'),
    GITHUB_RUN_NUMBER: value('run_number', '7'),
    GITHUB_SERVER_URL: server,
    GITHUB_SHA: sha,
    GITHUB_TRIGGERING_ACTOR: value('triggering_actor', 'octocat'),
    GITHUB_WORKFLOW: value('workflow', 'release'),
    GITHUB_WORKFLOW_REF: value('workflow_ref', `${repository}/.github/workflows/release.yml@${ref}`),
    GITHUB_WORKFLOW_SHA: value('workflow_sha', sha),
    RUNNER_ARCH: process.arch === 'arm64' ? 'ARM64' : 'X64',
    RUNNER_ENVIRONMENT: 'github-hosted',
    RUNNER_NAME: 'lab',
    RUNNER_OS: 'Linux',
  };
}
