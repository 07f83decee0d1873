import { ManifoldError, oneLine } from '../errors.ts';
import { escapePattern, Pattern } from './pattern.ts';
import type { CertificatePolicy, TextRule } from './policy.ts';

/** A text as the user gave it: exact, or as an expression. */
export type Wording = { readonly exact: string } | { readonly expression: string };

/** What the user says of who may have signed. All that is left out is filled in by what this workflow is. */
export interface IdentityWish {
  readonly identity: Wording | undefined;
  readonly issuer: Wording | undefined;
  /** `acme/app`, or an address. */
  readonly sourceRepository: string | undefined;
}

/** The server and the repository that this workflow belongs to. */
export interface Home {
  /** `https://github.com` */
  readonly server: string;
  /** `acme/app` */
  readonly repository: string;
  /** Gitea and Forgejo give no identities that a Sigstore would know by rules of ours. */
  readonly isGitHub: boolean;
}

/**
 * Makes the policy of what the user says and what the runner tells. Unsaid, a signature counts that a workflow of this
 * repository has made; with a source repository alone, one that any workflow has made in a run of that repository.
 * @param home asked only for what the user leaves out
 * @throws ManifoldError `invalid-input`, `missing-input`
 */
export function certificatePolicy(wish: IdentityWish, home: () => Home): CertificatePolicy {
  const sourceRepository =
    wish.sourceRepository === undefined
      ? undefined
      : repositoryAddress(wish.sourceRepository, 'source-repository', () => home().server);
  const server =
    sourceRepository === undefined ? () => home().server : () => new URL(sourceRepository).origin;
  return {
    kind: 'certificate',
    identity:
      wish.identity === undefined
        ? workflowsOf(server(), sourceRepository === undefined ? home().repository : undefined)
        : ruleOf(wish.identity, 'certificate-identity'),
    issuer:
      wish.issuer === undefined
        ? { exact: issuerOf(server(), home) }
        : ruleOf(wish.issuer, 'certificate-oidc-issuer'),
    sourceRepository,
  };
}

function ruleOf(wording: Wording, input: string): TextRule {
  if ('exact' in wording) return { exact: exactText(wording.exact, input) };
  return { pattern: new Pattern(wording.expression, `${input}-regexp`) };
}

/** What would never be anybody's name is somebody's mistake, and would be found out only when nothing is accepted. */
function exactText(text: string, input: string): string {
  const expressed = `Say by "${input}-regexp" what it must match as a whole`;
  if (/[\r\n]/.test(text)) {
    throw new ManifoldError('invalid-input', `The input "${input}" has several lines, and takes one text.`, {
      hint: `${expressed}; "|" stands between several, as in (?:one|other).`,
    });
  }
  if (text.includes('*')) {
    throw new ManifoldError(
      'invalid-input',
      `The input "${input}" is "${oneLine(text)}", and takes the exact text: "*" stands for nothing else in it.`,
      { hint: `${expressed}; ".*" stands for anything, and "\\." for a dot.` },
    );
  }
  return text;
}

/**
 * The workflows of a repository, or of any, as Fulcio names them (fulcio/docs/oidc.md, "GitHub"): server, workflow file and
 * ref. A file lies in the folder itself, and none of the names holds a blank. What ran for a pull request was not released.
 */
function workflowsOf(server: string, repository: string | undefined): TextRule {
  const where = repository === undefined ? '[^/@\\s]+/[^/@\\s]+' : escapePattern(repository);
  const expression = `${escapePattern(server)}/${where}/\\.github/workflows/[^/@\\s]+@(?!refs/pull/)\\S+`;
  const whose = repository === undefined ? `some repository of ${server}` : `${server}/${repository}`;
  const meaning = `a workflow of ${oneLine(whose)} that ran for no pull request`;
  return { pattern: new Pattern(expression, 'certificate-identity-regexp'), meaning };
}

/** Who gives a server's jobs their tokens (GitHub's OIDC reference; that of GitHub Enterprise Server). */
function issuerOf(server: string, home: () => Home): string {
  const { host } = new URL(server);
  if (host === 'github.com') return 'https://token.actions.githubusercontent.com';
  if (host.endsWith('.ghe.com')) return `https://token.actions.${host}`;
  if (home().isGitHub) return `${server}/_services/token`;
  throw new ManifoldError('missing-input', 'The input "certificate-oidc-issuer" is missing.', {
    hint: `Only for servers of GitHub is it known who gives identities to the jobs of ${oneLine(server)}. Name the issuer, or give a "key".`,
  });
}

/**
 * The address of a repository, by which certificates and provenance name it.
 * @param text `acme/app`, or the address itself
 * @throws ManifoldError `invalid-input`
 */
export function repositoryAddress(text: string, input: string, server: () => string): string {
  const url = /^[\w.-]+\/[\w.-]+$/.test(text) ? URL.parse(`${server()}/${text}`) : URL.parse(text);
  const path = url?.pathname.replace(/\/$|\.git\/?$/, '') ?? '';
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:';
  const isPlain = url !== null && url.search + url.hash + url.username + url.password === '';
  if (isWeb && isPlain && /^(?:\/[\w.~-]+)+$/.test(path)) return `${url.origin}${path}`;
  throw new ManifoldError('invalid-input', `The input "${input}" is "${oneLine(text)}".`, {
    hint: 'It is a repository, as acme/app or https://github.com/acme/app.',
  });
}
