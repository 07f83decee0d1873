import path from 'node:path';
import { ORIGIN } from '../../__tests__/servers/images.ts';
import { formatInput } from './signing.ts';
import type { Site } from './site.ts';
import type { Row, World } from './world.ts';

export interface StepOptions {
  /** Seconds for which a request is repeated. */
  readonly budget: number;
  readonly attempt: number;
}

/** The variables of a merge step, as the runner hands them to the action. */
export function stepEnvironment(
  site: Site,
  components: readonly string[],
  options: StepOptions,
): NodeJS.ProcessEnv {
  const { folder, services, runId } = site;
  const inputs = { ...inputsOf(site, components), 'retry-budget': String(options.budget) };
  const claims = { repository: ORIGIN.repository, sha: ORIGIN.commit, run_id: runId };
  return {
    PATH: [services.key.bin, process.env.PATH].join(path.delimiter),
    HOME: folder,
    DOCKER_CONFIG: folder,
    RUNNER_TEMP: path.join(folder, 'temp'),
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_API_URL: services.fronts.artifacts,
    GITHUB_REPOSITORY: ORIGIN.repository,
    GITHUB_SHA: ORIGIN.commit,
    GITHUB_RUN_ID: runId,
    GITHUB_RUN_ATTEMPT: String(options.attempt),
    GITHUB_JOB: 'merge',
    ...services.issuer.jobEnvironment(claims, services.fronts.issuer),
    ...services.artifacts.jobEnvironment(runId, 'merge', options.attempt, services.fronts.artifacts),
    ...Object.fromEntries(
      Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
    ),
  };
}

function inputsOf(site: Site, components: readonly string[]): Record<string, string> {
  const { world, folder, services } = site;
  // Beside rows that may be missing, whose component nobody can tell, the merge wants to know which ones it merges.
  const mayLack = world.allowMissing.length > 0 && world.expects === 'platforms';
  const isAll = components.length === world.components.length && !(mayLack && components.length > 1);
  const platforms = [...new Set(platformsOf(world, components))];
  const images = world.targetsFrom === 'input' ? site.targetNames('{{component}}') : [];
  return {
    mode: 'merge',
    images: images.join('\n'),
    tags: world.plan?.hasTags === true ? '' : world.tags.join('\n'),
    'tag-policy': world.policy,
    'immutable-tags': world.immutable.join(','),
    'platform-tag-suffix': world.platformSuffix ?? '',
    'keep-tags': world.keepTags ?? '',
    platforms: world.expects === 'platforms' ? platforms.join(',') : '',
    // One that no image is to have would be a misunderstanding.
    'allow-missing': world.allowMissing.filter(platform => platforms.includes(platform)).join(','),
    component: isAll ? '' : components.join('\n'),
    ...signingInputs(site),
    records: world.store === 'folder' ? path.join(folder, 'records') : '',
    'github-token': world.defect?.kind === 'record out of reach' ? '' : services.artifacts.restToken,
  };
}

function signingInputs({ world, folder, services }: Site): Record<string, string> {
  const { signing } = world;
  if (signing === undefined) return { sign: 'none' };
  return {
    sign: signing.hands.join(','),
    'signature-format': formatInput(signing),
    'signature-annotations': Object.entries(signing.annotations)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
    'trusted-root': path.join(folder, 'trusted_root.json'),
    'signing-config': path.join(folder, 'signing_config.json'),
    key: signing.hands.includes('key') ? services.key.file : '',
  };
}

/** All that these components were to be built for, whatever came of it. */
function platformsOf({ builds, missing }: World, components: readonly string[]): string[] {
  const rows: readonly Row[] = [...builds, ...missing];
  return rows.filter(row => components.includes(row.component)).map(({ platform }) => platform);
}
