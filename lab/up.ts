/**
 * `make lab`: the whole lab for a person, until Ctrl-C.
 *
 *   lab/node lab/up.ts [--without-buildkit]
 */
import { prepareContext } from './images/context.ts';
import { type Lab, startLab } from './lab.ts';
import type { Registry } from './parts/registries.ts';

const began = Date.now();
/** A person keeps the own home; and what they start is not the lab's to end. */
const notForPersons = ['HOME', 'MANIFOLD_LAB'];
const withoutBuildKit = process.argv.includes('--without-buildkit');

// From the first moment on, for the start too may be interrupted.
const interrupted = new Promise<string>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
});

const starting = startLab({
  buildkit: !withoutBuildKit,
  registries: ['plain', 'htpasswd', 'tls', 'olareg', 'crane'],
  sigstore: { logs: [1, 2] },
  artifacts: true,
});
const lab = await starting.catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
const context = await prepareContext('hello', await lab.folder('hello'));
const logV1 = await lab.sigstore.signingConfigFor('signing-config-v1', {}, { logs: [1] });
console.log(describe(lab, context, Date.now() - began));
// A promise alone does not keep the process alive, an interval does.
const alive = setInterval(() => {}, 60_000);
const signal = await interrupted;
clearInterval(alive);
console.log(`\n${signal}: taking the lab down`);
const ending = Date.now();
await lab.close();
console.log(`gone in ${((Date.now() - ending) / 1000).toFixed(1)} s; nothing is left`);
process.exit(0);

function describe(running: Lab, contextFolder: string, milliseconds: number): string {
  const { urls, trustedRoot, signingConfig } = running.sigstore;
  const { host } = running.registry('olareg');
  const rows: [string, string][] = [
    ...running.registries.map((registry): [string, string] => [registry.kind, describeRegistry(registry)]),
    ['fulcio', urls.fulcio],
    ['rekor v1', urls.rekorV1],
    ['rekor v2', urls.rekor],
    ['timestamps', `${urls.tsa}/api/v1/timestamp`],
    ['OIDC issuer', running.issuer.url],
    ['artifacts', running.artifacts.url],
    ['trusted root', trustedRoot],
    ['signing config', signingConfig],
    ['  of rekor v1', logV1],
    ['logs', running.logs],
  ];
  if (!withoutBuildKit) rows.push(['builders', builders(running)]);
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  return [
    `The lab is up (${(milliseconds / 1000).toFixed(1)} s). Ctrl-C ends it.`,
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(15)} ${value}`),
    '',
    'The environment of a job, for another terminal:',
    '',
    ...Object.entries(running.environment())
      .filter(([name]) => !notForPersons.includes(name))
      .map(([name, value]) => `  export ${name}=${quote(value)}`),
    '',
    'Three things to try there:',
    '',
    `  buildx build --platform linux/${architecture} --push -t ${host}/hello:1 ${contextFolder}`,
    `  cosign sign --signing-config ${signingConfig} --trusted-root ${trustedRoot} ${host}/hello:1`,
    `  regctl artifact tree ${host}/hello:1`,
  ].join('\n');
}

function describeRegistry({ url, kind, referrers, credentials, ca }: Registry): string {
  const notes = [referrers ? 'referrers API' : 'fallback tags'];
  if (kind === 'plain' || kind === 'htpasswd' || kind === 'tls') notes.unshift('distribution');
  if (credentials) notes.push(`user ${credentials.username}, password ${credentials.password}`);
  if (ca !== undefined) notes.push(`CA ${ca}`);
  return `${url}  (${notes.join(', ')})`;
}

function builders(running: Lab): string {
  return Object.values(running.buildkit.builders)
    .map(({ name, address }) => `${name} ${address}`)
    .join(', ');
}

/** For a POSIX shell. */
function quote(value: string): string {
  return /^[\w./:=@,+-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
