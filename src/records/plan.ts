import * as v from 'valibot';
import { checkDocument } from '../document.ts';
import {
  component,
  distinct,
  imageName,
  nonEmpty,
  parseVersioned,
  platform,
  sourceFields,
  tag,
  time,
} from './fields.ts';
import type { PlanName } from './name.ts';
import { type Origin, originAgreements, requireAgreement } from './origin.ts';

const plannedComponent = v.strictObject({
  component,
  images: distinct(imageName, 'image name'),
  platforms: distinct(platform, 'platform'),
  /** As they will be given to the merge: bare, or with the name of one image. */
  tags: v.array(tag),
  /** False when all of it is published already, and no build runs. */
  needed: v.boolean(),
});

/** Schema of a plan record, version 1 (docs/records.md). Unknown fields are refused. */
export const planRecord = v.strictObject({
  schemaVersion: v.literal(1),
  components: v.pipe(
    v.array(plannedComponent),
    v.nonEmpty(),
    v.check(
      planned => new Set(planned.map(({ component: name }) => name)).size === planned.length,
      'each component once',
    ),
    v.description('No two have the same "component".'),
  ),
  /** The one time for `org.opencontainers.image.created` of all that the run publishes. */
  created: time,
  version: v.nullable(nonEmpty),
  source: v.strictObject(sourceFields),
  manifold: nonEmpty,
});

/** What a run is going to build and publish. */
export type PlanRecord = v.InferOutput<typeof planRecord>;

/** The bytes that cross the jobs. @throws ManifoldError `invalid-record` for what nobody would read */
export function formatPlan(plan: PlanRecord): Buffer {
  const checked = checkDocument(planRecord, plan, 'the plan', { code: 'invalid-record' });
  return Buffer.from(`${JSON.stringify(checked, null, 2)}\n`);
}

/**
 * Reads a plan and holds it against its name and the run that reads it.
 * @throws ManifoldError `invalid-record` when it is malformed or of a newer schema; `tampered-record` when it is of
 * another attempt than its name, or of another repository, commit or run
 */
export function parsePlan(bytes: Uint8Array, name: PlanName, artifact: string, origin: Origin): PlanRecord {
  const what = `the plan in the artifact "${artifact}"`;
  const plan = parseVersioned(planRecord, bytes, what);
  requireAgreement(what, originAgreements(plan.source, name.attempt, origin));
  return plan;
}
