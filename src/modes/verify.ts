import { ManifoldError } from '../errors.ts';
import type { VerifyInputs } from '../inputs.ts';
import { verifyJson } from '../report/verify-json.ts';
import { askedLog, imageLog } from '../report/verify-log.ts';
import { toldProblems } from '../report/verify-problems.ts';
import { verifySummary } from '../report/verify-summary.ts';
import { warningOf } from '../report/verify-words.ts';
import type { Runner } from '../runner/actions.ts';
import { readRun } from '../runner/run.ts';
import type { PublicKey } from '../sign/public-key.ts';
import { SignatureVerifier } from '../sign/signature-verifier.ts';
import type { Demands } from '../verify/demands.ts';
import { newGates, verifyImage } from '../verify/image.ts';
import type { Policy } from '../verify/policy.ts';
import { normaliseSource } from '../verify/provenance.ts';
import type { ImageReport } from '../verify/report.ts';
import { nameOfKey, openTrust, readPublicKey } from '../verify/trust.ts';
import { certificatePolicy, type Home, repositoryAddress } from '../verify/wish.ts';
import { openReach } from './reach.ts';

/**
 * Looks at images as a consumer would, and ends in an error that lists all that is wrong with them. Everything that was
 * found is told before.
 */
export async function verify(inputs: VerifyInputs, runner: Runner, env: NodeJS.ProcessEnv): Promise<void> {
  const { trustedRoot } = inputs;
  const key = inputs.key === undefined ? undefined : await readPublicKey(inputs.key, env);
  const asked = askedOf(inputs, key, env);
  runner.info(askedLog(asked));
  const warning = warningOf(asked);
  if (warning !== undefined) runner.warning(warning);
  const { transport, registries } = openReach(inputs, runner, env);
  try {
    const verifier = new SignatureVerifier(await openTrust(key, trustedRoot, env, transport));
    const gates = newGates();
    const reports = await Promise.all(
      inputs.images.map(reference =>
        verifyImage(registries.repository(reference.repository), reference, verifier, asked, gates),
      ),
    );
    await report(reports, asked, runner);
    refuse(reports);
  } finally {
    transport.close();
  }
}

function askedOf(inputs: VerifyInputs, key: PublicKey | undefined, env: NodeJS.ProcessEnv): Demands {
  const { requirements, scope, platforms, trustedRoot, revision } = inputs;
  const home = (): Home => {
    const { server, repository } = readRun(env);
    // Both set what GitHub sets, and these beside it.
    return { server, repository, isGitHub: !env.GITEA_ACTIONS && !env.FORGEJO_ACTIONS };
  };
  const policy: Policy =
    key === undefined || inputs.key === undefined
      ? certificatePolicy(inputs, home)
      : { kind: 'key', fingerprint: key.fingerprint, name: nameOfKey(inputs.key) };
  const isSignerNamed = [inputs.identity, inputs.issuer, inputs.sourceRepository, key].some(Boolean);
  const source =
    inputs.source === undefined
      ? undefined
      : normaliseSource(repositoryAddress(inputs.source, 'source', () => home().server));
  return {
    policy,
    requirements,
    scope,
    platforms,
    expected: { source, revision },
    trustedRoot,
    trustsUnsigned: !isSignerNamed && !requirements.has('signatures'),
  };
}

async function report(reports: readonly ImageReport[], asked: Demands, runner: Runner): Promise<void> {
  for (const image of reports) runner.info(imageLog(image));
  const [first, ...others] = reports;
  // Whoever deploys by this output deploys what was verified, whatever becomes of the step's failure.
  const isVerified = first?.verdict === 'verified' && others.length === 0;
  if (isVerified && first.digest !== undefined) runner.output('digest', first.digest);
  runner.output('json', JSON.stringify(verifyJson(reports, asked)));
  await runner.summary(verifySummary(reports, asked));
}

const MOST_LISTED = 20;
const MOST_REMEDIES = 5;

/** @throws ManifoldError `verification-failed`; `verification-incomplete` where nothing is wrong that could be told */
function refuse(reports: readonly ImageReport[]): void {
  const bad = reports.filter(({ verdict }) => verdict !== 'verified');
  if (bad.length === 0) return;
  const failed = bad.filter(({ verdict }) => verdict === 'failed').length;
  const lines = bad.flatMap(image =>
    toldProblems(image).map(({ about, message }) => `${image.image}: ${about}: ${message}.`),
  );
  const left = lines.length - MOST_LISTED;
  const shown = [
    ...lines.slice(0, MOST_LISTED),
    ...(left > 0 ? [`and ${left} more, which the log names.`] : []),
  ];
  const remedies = new Set(bad.flatMap(({ problems }) => problems.map(({ remedy }) => remedy)));
  throw new ManifoldError(
    failed > 0 ? 'verification-failed' : 'verification-incomplete',
    [`${headline(failed, bad.length, reports.length)}:`, ...shown].join('\n'),
    { hint: `What to do: ${[...remedies].slice(0, MOST_REMEDIES).join('; ')}.` },
  );
}

function headline(failed: number, bad: number, all: number): string {
  if (failed === 0)
    return `Of ${all === 1 ? 'the image' : `${bad} of ${all} images`} it could not be told whether everything is there that was asked for`;
  if (all === 1) return 'The image is not what was asked for';
  return `${failed} of ${all} images ${failed === 1 ? 'is' : 'are'} not what was asked for`;
}
