import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { readInputs, type VerifyInputs } from '../../src/inputs.ts';
import { verify } from '../../src/modes/verify.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Runner } from '../../src/runner/actions.ts';
import type { SignatureFormat } from '../../src/sign/finding.ts';
import type { Outcome } from '../../src/verify/report.ts';
import { step } from '../inputs/step.ts';
import { attachLegacy } from '../servers/attached.ts';
import { temporaryFolder } from '../servers/clients.ts';
import type { Foundry, Json, Making } from '../servers/signatures.ts';
import { newKeys } from '../servers/x509.ts';
import { attach, digestOf, type ReleaseOptions, startRelease } from './released.ts';

/** What a step of `mode: verify` came to, and what a person reads of it. */
export interface Told {
  readonly code: ManifoldError['code'] | 'verified';
  /** The whole error; nothing where there is none. */
  readonly message: string;
  /** What the error says of each manifest, without the name of the image; nothing where there is no error. */
  readonly problems: readonly string[];
  /** What to do. */
  readonly hint: string;
  readonly log: string;
  /** The summary. */
  readonly page: string;
  /** The outputs of these names. */
  readonly json: Json;
  readonly digest: string | undefined;
}

/** Who signs: the workflow of these tests, or the holder of this key. */
export type By = 'identity' | 'key';
export const KEYS = newKeys();
export const MAKING: Readonly<Record<By, Making>> = { identity: {}, key: { keys: KEYS } };
const INPUTS: Readonly<Record<By, Record<string, string>>> = {
  identity: {},
  key: { key: 'env://PUBLIC_KEY' },
};

/** An image of two platforms, of which nothing is signed yet, and a workflow step that verifies it. */
export async function startNegative(by: By = 'identity', options: ReleaseOptions = {}) {
  const release = await startRelease({ layers: () => [], ...options });
  const folder = temporaryFolder();
  const trustedRoot = path.join(folder, 'root.json');
  writeFileSync(trustedRoot, JSON.stringify(TrustedRoot.toJSON(release.foundry.root)));
  const name = `${release.registry.host}/acme/app:1.0`;
  const job = {
    DOCKER_CONFIG: folder,
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'acme/app',
    GITHUB_SHA: 'c0ffee',
    GITHUB_RUN_ID: '1',
    PUBLIC_KEY: KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  const verifyImage = async (inputs: Record<string, string> = {}, env: NodeJS.ProcessEnv = {}) => {
    const usual = { mode: 'verify', images: name, 'trusted-root': trustedRoot, 'retry-budget': '0' };
    const given = { ...usual, ...INPUTS[by], ...inputs };
    return toldBy(
      runner => verify(readInputs(step(given)) as VerifyInputs, runner, { ...job, ...env }),
      name,
    );
  };
  const sign = (digest: Digest, format: SignatureFormat = 'bundle', making: Making = {}): void => {
    if (format === 'bundle') release.sign(digest, { ...MAKING[by], ...making });
    else
      attachLegacy(release.contents, digest, [release.foundry.legacy(digest, { ...MAKING[by], ...making })]);
  };
  const [amd64, arm64] = [digestOf(release.images.amd64), digestOf(release.images.arm64)];
  return { ...release, name, amd64, arm64, root: digestOf(release.index), sign, verify: verifyImage };
}

/** The same, of which all but linux/arm64 is signed. */
export async function startUnsignedPlatform(options: ReleaseOptions = {}) {
  const release = await startNegative('identity', options);
  for (const digest of [release.amd64, release.root]) release.sign(digest);
  return release;
}

/** Whom a step of acme/app takes where it names nobody, in words. */
export const WANTED = 'a workflow of https://github.com/acme/app that ran for no pull request';

/** What is said of a manifest that nobody has signed. */
export const UNSIGNED = 'it has no signature';

async function toldBy(run: (runner: Runner) => Promise<void>, name: string): Promise<Told> {
  const lines: string[] = [];
  const pages: string[] = [];
  const outputs: Record<string, string> = {};
  const say = (message: string): void => void lines.push(message);
  const runner: Runner = {
    info: say,
    notice: say,
    warning: say,
    mask: () => {},
    output: (key, value) => {
      outputs[key] = value;
    },
    summary: async markdown => void pages.push(markdown),
    group: (_, work) => work(),
  };
  const error = await run(runner).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error !== undefined && !(error instanceof ManifoldError))
    throw new Error('not one of ours', { cause: error });
  const [, ...problems] = error?.message.split('\n') ?? [''];
  const json = JSON.parse(outputs.json ?? 'null');
  const said = problems.map(line => line.replace(`${name}: `, ''));
  return {
    code: error?.code ?? 'verified',
    message: error?.message ?? '',
    problems: said,
    hint: error?.hint ?? '',
    log: lines.join('\n'),
    page: pages.join('\n'),
    json,
    digest: outputs.digest,
  };
}

/** What became of the signatures of each manifest, the index first. */
export const outcomesOf = ({ json }: Told): Outcome[][] =>
  json.images[0].manifests.map(({ signatures }: Json) => signatures.map(({ outcome }: Json) => outcome));

/** What a row works with: the Sigstore that is trusted, and the image. */
export interface Bench {
  readonly foundry: Foundry;
  readonly by: By;
  readonly amd64: Digest;
  readonly arm64: Digest;
}

export type Legacy = ReturnType<Foundry['legacy']>;

/** One row of the table: what is wrong with the signature of linux/arm64, and what a person reads of that. */
export interface Row {
  readonly outcome: Outcome;
  /** Why it does not count. What a library says, in parentheses at its end, is left out. */
  readonly says: string;
  /** Default: both. */
  readonly by?: readonly By[];
  /** Default: both. */
  readonly formats?: readonly SignatureFormat[];
  /** How the signature is made, by whom and of what, where that is not as usual. */
  readonly making?: Making;
  readonly foundry?: Foundry;
  readonly of?: 'amd64';
  /** How all else is signed, where that is not as usual. */
  readonly others?: Making;
  /** What is done to it afterwards. */
  readonly bundle?: (bundle: Json, bench: Bench) => void;
  readonly legacy?: (legacy: Legacy, bench: Bench) => Legacy;
  readonly inputs?: Record<string, string>;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Proves the rows of a table, each by identity and by key, as a bundle and in the older format. All else of the image is
 * signed as it should be, so that the image fails by this signature alone.
 */
export function proveRows(rows: Readonly<Record<string, Row>>): void {
  const cases = Object.entries(rows).flatMap(([title, row]) =>
    (row.by ?? (['identity', 'key'] as const)).flatMap(by =>
      formatsOf(row).map(format => [`${title} (by ${by}, ${format})`, { row, by, format }] as const),
    ),
  );
  it.each(cases)('%s', async (_, { row, by, format }) => {
    const release = await startNegative(by);
    const { amd64, arm64, root, contents } = release;
    for (const digest of [amd64, root]) release.sign(digest, format, row.others);
    const foundry = row.foundry ?? release.foundry;
    const bench = { foundry: release.foundry, by, amd64, arm64 };
    const subject = row.of === 'amd64' ? amd64 : arm64;
    const making = { ...MAKING[by], ...row.making };
    if (format === 'bundle') {
      const bundle = foundry.bundle(subject, making);
      row.bundle?.(bundle, bench);
      attach(contents, arm64, bundle);
    } else {
      const legacy = foundry.legacy(subject, making);
      attachLegacy(contents, arm64, [row.legacy?.(legacy, bench) ?? legacy]);
    }
    const told = await release.verify(row.inputs, row.env);
    expect(told.problems.map(withoutLibrary)).toEqual([
      `linux/arm64: its signature does not count: ${row.says}.`,
    ]);
    expect(told.code).toBe('verification-failed');
    expect(outcomesOf(told)).toEqual([['accepted'], ['accepted'], [row.outcome]]);
    expect(told.log).toContain(`does not count (${row.outcome}): ${row.says}`);
    // What would be said of a platform that nobody has signed is no advice here.
    expect(told.hint).not.toContain('scope: index');
  });
}

function formatsOf({ formats, bundle, legacy }: Row): readonly SignatureFormat[] {
  if (formats !== undefined) return formats;
  if (bundle === undefined && legacy === undefined) return ['bundle', 'legacy'];
  return [
    ...(bundle === undefined ? [] : (['bundle'] as const)),
    ...(legacy === undefined ? [] : (['legacy'] as const)),
  ];
}

const withoutLibrary = (line: string): string => line.replace(/ \([^()]*\)\.$/, '.');
