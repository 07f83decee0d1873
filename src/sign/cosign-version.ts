import * as v from 'valibot';
import { parseDocument } from '../document.ts';
import { ManifoldError, oneLine } from '../errors.ts';
import type { CosignCommand } from './cosign-command.ts';
import { INSTALL } from './cosign-command.ts';

/** `[major, minor, patch]` */
export type CosignVersion = readonly [number, number, number];

const OLDEST: CosignVersion = [2, 4, 0];
/** May take no such flags as ours any more: they are deprecated. That it would then upload to a log is not risked. */
const TOO_NEW: CosignVersion = [4, 0, 0];

const answer = v.object({ gitVersion: v.string() });

/** @throws ManifoldError `cosign-unusable` for a cosign that is missing, too old, or newer than we know */
export async function readCosignVersion(command: CosignCommand): Promise<CosignVersion> {
  const result = await command.run(['version', '--json']);
  if ('failure' in result) throw unusable(`cosign does not tell its version: ${result.failure.reason}.`);
  const { gitVersion } = parseDocument(answer, Buffer.from(result.output), 'the version of cosign', {
    code: 'cosign-unusable',
    hint: INSTALL,
  });
  const found = /^v?(?<major>\d+)\.(?<minor>\d+)\.(?<patch>\d+)/.exec(gitVersion)?.groups;
  if (found === undefined) throw unusable(`cosign calls its version "${oneLine(gitVersion)}".`);
  const version = [Number(found.major), Number(found.minor), Number(found.patch)] as const;
  if (isBefore(version, OLDEST) || !isBefore(version, TOO_NEW)) {
    const [oldest, tooNew] = [formatVersion(OLDEST), formatVersion(TOO_NEW)];
    throw unusable(
      `cosign is version ${formatVersion(version)}; one from ${oldest} on, and before ${tooNew}, is needed.`,
    );
  }
  return version;
}

export function formatVersion(version: CosignVersion): string {
  return version.join('.');
}

function isBefore(a: CosignVersion, b: CosignVersion): boolean {
  const place = a.findIndex((number, position) => number !== b[position]);
  return place >= 0 && (a[place] ?? 0) < (b[place] ?? 0);
}

/**
 * What keeps `sign-blob` from every service. Every version uploads to the public log by default; version 3 asks the public
 * Sigstore which services there are, unless it is told to do without its signing config, and that it refuses for bundles.
 */
export function withoutServices(version: CosignVersion): string[] {
  const flags = ['--tlog-upload=false'];
  return isBefore(version, [3, 0, 0])
    ? flags
    : ['--use-signing-config=false', '--new-bundle-format=false', ...flags];
}

/** From 2.6.0 on it breaks down over Ed25519 keys where nothing goes to a log; 3.1.3 does so no more. */
export function signsWithEd25519(version: CosignVersion): boolean {
  return isBefore(version, [2, 6, 0]) || !isBefore(version, [3, 1, 3]);
}

function unusable(message: string): ManifoldError {
  return new ManifoldError('cosign-unusable', message, { hint: INSTALL });
}
