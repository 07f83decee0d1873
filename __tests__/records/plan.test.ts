import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { formatPlanName, isPlanName, isRecordName, parsePlanName } from '../../src/records/name.ts';
import { formatPlan, type PlanRecord, parsePlan } from '../../src/records/plan.ts';
import { failureOf } from '../servers/clients.ts';
import { ORIGIN } from '../servers/images.ts';
import { changedAt } from './changed.ts';
import { planOf } from './plans.ts';

const PLAN = planOf();
const NAME = { attempt: 1 };
const ARTIFACT = 'manifold-plan.1';

const read = (document: unknown, origin = ORIGIN, name = NAME): PlanRecord => {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  return parsePlan(Buffer.from(text), name, ARTIFACT, origin);
};
const changed = (path: string, value: unknown) => changedAt(PLAN, path, value);

describe('a plan', () => {
  it('reads back as it was written', () => {
    expect(parsePlan(formatPlan(PLAN), NAME, ARTIFACT, ORIGIN)).toEqual(PLAN);
    expect(formatPlan(PLAN).toString().endsWith('}\n')).toBe(true);
  });

  it('may say that there is nothing to build, no version and no tags', () => {
    const plan = planOf({
      version: null,
      components: PLAN.components.map(component => ({ ...component, needed: false, tags: [] })),
    });
    expect(read(plan)).toEqual(plan);
  });

  it('that we would refuse is not written', async () => {
    const error = await failureOf(() => formatPlan({ ...PLAN, created: 'now' }));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('"created"');
  });

  const fields = [
    ...Object.keys(PLAN).filter(key => key !== 'schemaVersion'),
    ...Object.keys(PLAN.source).map(key => `source.${key}`),
    ...Object.keys(PLAN.components[0] ?? {}).map(key => `components.0.${key}`),
  ];

  it.each(fields)('without %s, or with another kind of it, is refused by that name', async field => {
    for (const value of [undefined, { unexpected: true }]) {
      const error = await failureOf(() => read(changed(field, value)));
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain(`field "${field}`);
      expect(error.message).toContain(ARTIFACT);
    }
  });

  it.each([
    ['components', []],
    ['components', [PLAN.components[0], PLAN.components[0]]],
    ['components.0.component', 'App'],
    ['components.0.images', []],
    ['components.0.images', ['ghcr.io/acme/app', 'ghcr.io/acme/app']],
    ['components.0.images.0', 'alpine'],
    ['components.0.platforms', []],
    ['components.0.platforms', ['linux/amd64', 'linux/amd64']],
    ['components.0.platforms.0', 'linux/aarch64'],
    ['components.0.tags.0', ''],
    ['components.0.tags.0', '.1'],
    ['components.0.tags.0', 'acme/app:1'],
    ['components.0.tags.0', 'ghcr.io/acme/app'],
    ['components.0.tags.0', `ghcr.io/acme/app:1@sha256:${'0'.repeat(64)}`],
    ['components.0.needed', 'yes'],
    ['created', '2026-11-21'],
    ['created', '2026-02-30T10:00:00.000Z'],
    ['version', ''],
    ['source.runAttempt', 0],
    ['source.commit', ''],
  ])('with %s = %j is refused by that name', async (field, value) => {
    const error = await failureOf(() => read(changed(field, value)));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(`field "${field}"`);
  });

  it.each(['extra', 'source.extra', 'components.0.extra'])(
    'with the unknown field %s is refused by that name',
    async field => {
      const error = await failureOf(() => read(changed(field, 1)));
      expect(error.code).toBe('invalid-record');
      expect(error.message).toContain(`field "${field}"`);
    },
  );

  it('of a newer schema says that another version of Manifold wrote it', async () => {
    const error = await failureOf(() => read({ ...PLAN, schemaVersion: 2, somethingNew: true }));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('schemaVersion 2');
    expect(error.hint).toContain('same version');
  });

  it.each([
    ['source.runAttempt', 2, '1'],
    ['source.repository', 'acme/other', ORIGIN.repository],
    ['source.commit', 'deadbeef', ORIGIN.commit],
    ['source.runId', '1002', ORIGIN.runId],
  ])('whose %s is %j has been tampered with: both are named', async (field, found, expected) => {
    const error = await failureOf(() => read(changed(field, found)));
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain(`field "${field}": expected ${expected}, found ${found}`);
  });

  it('of an attempt that has not been yet is refused', async () => {
    const error = await failureOf(() =>
      read(planOf({ attempt: 3 }), { ...ORIGIN, runAttempt: 2 }, { attempt: 3 }),
    );
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain('at most 2');
  });

  it('is parsed or refused with a ManifoldError, whatever it is', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...fields), fc.jsonValue())
      .map(([field, value]) => changed(field, value));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), mutated), document => {
        try {
          expect(read(document).schemaVersion).toBe(1);
        } catch (error) {
          expect(error).toBeInstanceOf(ManifoldError);
          expect((error as Error).message).not.toContain('\n');
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the name of a plan', () => {
  it('gives back its attempt, and is no name of a build', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), attempt => {
        const name = formatPlanName({ attempt });
        expect(isPlanName(name)).toBe(true);
        expect(isRecordName(name)).toBe(false);
        expect(parsePlanName(name)).toEqual({ attempt });
      }),
    );
  });

  it.each(['manifold-plan', 'manifold-plans.1', 'x-manifold-plan.1', 'manifold-build.plan.linux-amd64.1'])(
    '%j is none of ours',
    name => {
      expect(isPlanName(name)).toBe(false);
    },
  );

  it.each(['', '0', '01', '-1', '1.1', 'app.1', '1\n', '1234567890', '1.json'])(
    'manifold-plan.%s begins like ours and is refused',
    async rest => {
      const error = await failureOf(() => parsePlanName(`manifold-plan.${rest}`));
      expect(error.code).toBe('invalid-record');
    },
  );
});
