import { describe, expect, it } from 'vitest';
import { ManifoldError } from '../../src/errors.ts';
import { collectRecords } from '../../src/records/collect.ts';
import { formatPlan } from '../../src/records/plan.ts';
import { formatRecord } from '../../src/records/record.ts';
import type { RecordStore } from '../../src/records/store.ts';
import { failureOf } from '../servers/clients.ts';
import { ORIGIN } from '../servers/images.ts';
import { builtRecord } from './jobs.ts';
import { planOf } from './plans.ts';

/** A store with these files; what is an error is thrown by reading. */
function storeOf(files: Readonly<Record<string, Uint8Array | Error>>, read: string[] = []): RecordStore {
  const list = Object.entries(files).map(([name, content]) => ({
    name,
    read: async () => {
      read.push(name);
      if (content instanceof Error) throw content;
      return content;
    },
  }));
  return { save: async () => {}, list: async () => list };
}

const bytesOf = (build: Parameters<typeof builtRecord>[0]) => formatRecord(builtRecord(build).record);

describe('the records of a run are', () => {
  it('the builds and the plan, each the newest', async () => {
    const read: string[] = [];
    const files = {
      'manifold-build.app.linux-arm64.1': bytesOf({ platform: 'linux/arm64' }),
      'manifold-plan.10': formatPlan(planOf({ attempt: 10 })),
      'manifold-plan.9': formatPlan(planOf({ attempt: 9 })),
      'manifold-build.app.linux-amd64.1': bytesOf({}),
      'manifold-build.app.linux-amd64.2': bytesOf({ attempt: 2 }),
      'manifold-plans.1': Buffer.from('somebody else'),
    };
    const { plan, builds } = await collectRecords(storeOf(files, read), ORIGIN);
    expect(plan).toEqual(planOf({ attempt: 10 }));
    expect(builds).toEqual([
      builtRecord({ attempt: 2 }).record,
      builtRecord({ platform: 'linux/arm64' }).record,
    ]);
    expect(read.sort()).toEqual([
      'manifold-build.app.linux-amd64.2',
      'manifold-build.app.linux-arm64.1',
      'manifold-plan.10',
    ]);
  });

  it('told one by one, while others are still on their way', async () => {
    const first = Promise.withResolvers<void>();
    const file = (name: string, read: () => Promise<Uint8Array>) => ({ name, read });
    const store: RecordStore = {
      save: async () => {},
      list: async () => [
        file('manifold-build.app.linux-amd64.1', async () => bytesOf({})),
        file('manifold-build.app.linux-arm64.1', async () => {
          await first.promise;
          return bytesOf({ platform: 'linux/arm64' });
        }),
      ],
    };
    const told: string[] = [];
    await collectRecords(store, ORIGIN, ({ platform }) => {
      told.push(platform);
      first.resolve();
    });
    expect(told).toEqual(['linux/amd64', 'linux/arm64']);
  });

  it('none where nobody left any', async () => {
    expect(await collectRecords(storeOf({}), ORIGIN)).toEqual({ plan: undefined, builds: [] });
  });
});

describe('records that are refused are told', () => {
  const wrong = {
    'manifold-build.app.linux-amd64.1': bytesOf({ source: { commit: 'deadbeef', runId: '7' } }),
    'manifold-build.app.linux-arm64.1': Buffer.from('{}'),
    'manifold-build.api.linux-s390x.1': formatRecord(builtRecord({ platform: 'linux/s390x' }).record),
    'manifold-build.app.linux-386.1': new ManifoldError('tampered-record', 'The artifact "x" was changed.'),
    'manifold-build.oops': Buffer.from('{}'),
    'manifold-plan.x': Buffer.from('{}'),
    'manifold-plan.1': formatPlan(planOf({ commit: 'c0ff' })),
    'manifold-build.good.linux-amd64.1': bytesOf({ component: 'good' }),
  };

  it('all in one message, a line each, with artifact, field, what was expected and what was found', async () => {
    const error = await failureOf(() => collectRecords(storeOf(wrong), ORIGIN));
    expect(error.code).toBe('tampered-record');
    const [head, ...lines] = error.message.split('\n');
    expect(head).toContain('7 reasons');
    expect(lines).toEqual([
      '  The artifact "manifold-build.oops" is not a name that Manifold gives.',
      '  The artifact "manifold-plan.x" is not a name that Manifold gives.',
      '  The artifact "x" was changed.',
      `  The plan in the artifact "manifold-plan.1", field "source.commit": expected ${ORIGIN.commit}, found c0ff.`,
      '  The record in the artifact "manifold-build.api.linux-s390x.1", field "component": expected api, found app.',
      `  The record in the artifact "manifold-build.app.linux-amd64.1", field "source.commit": expected ${ORIGIN.commit}, found deadbeef; field "source.runId": expected 1001, found 7.`,
      '  The record in the artifact "manifold-build.app.linux-arm64.1": the field "schemaVersion" is missing.',
    ]);
    expect(error.hint).toContain('Re-run');
  });

  it('as malformed where none was tampered with', async () => {
    const files = { 'manifold-build.oops': Buffer.from('{}'), 'manifold-plan.1': Buffer.from('[]') };
    const error = await failureOf(() => collectRecords(storeOf(files), ORIGIN));
    expect(error.code).toBe('invalid-record');
    expect(error.message.split('\n')).toHaveLength(3);
  });

  it('as they are where there is one only', async () => {
    const files = { 'manifold-build.oops': Buffer.from('{}') };
    const error = await failureOf(() => collectRecords(storeOf(files), ORIGIN));
    expect(error.message).not.toContain('\n');
    expect(error.hint).toContain('rename');
  });

  it('no more when the store itself fails: that ends everything', async () => {
    const failing = new ManifoldError('record-store', 'the service is gone.');
    const files = { ...wrong, 'manifold-build.app.linux-riscv64.1': failing };
    expect(await failureOf(() => collectRecords(storeOf(files), ORIGIN))).toBe(failing);
  });
});

describe('without a commit to expect', () => {
  const origin = { ...ORIGIN, commit: undefined };

  it('the plan must agree with the builds', async () => {
    const files = {
      'manifold-build.app.linux-amd64.1': bytesOf({}),
      'manifold-plan.1': formatPlan(planOf({ commit: 'c0ff' })),
    };
    const error = await failureOf(() => collectRecords(storeOf(files), origin));
    expect(error.code).toBe('tampered-record');
    expect(error.message).toContain(`${ORIGIN.commit} in the artifact "manifold-build.app.linux-amd64.1"`);
    expect(error.message).toContain('c0ff in the artifact "manifold-plan.1"');
  });

  it('records of an earlier attempt do not count', async () => {
    const files = {
      'manifold-build.app.linux-amd64.1': bytesOf({ source: { commit: 'old' } }),
      'manifold-build.app.linux-amd64.2': bytesOf({ attempt: 2 }),
    };
    expect((await collectRecords(storeOf(files), origin)).builds).toHaveLength(1);
  });
});

describe('many records', () => {
  it('are read eight at a time, and none after a failure', async () => {
    const waiting: { resolve(bytes: Uint8Array): void; reject(error: Error): void }[] = [];
    const files = Array.from({ length: 30 }, (_, number) => ({
      name: `manifold-build.app-${String(number).padStart(2, '0')}.linux-amd64.1`,
      read: () => new Promise<Uint8Array>((resolve, reject) => void waiting.push({ resolve, reject })),
    }));
    const store = { save: async () => {}, list: async () => files };
    const failure = failureOf(() => collectRecords(store, ORIGIN));
    while (waiting.length < 8) await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(waiting).toHaveLength(8);
    waiting[0]?.reject(new ManifoldError('record-store', 'gone'));
    expect((await failure).message).toBe('gone');
    for (const read of waiting) read.resolve(Buffer.from('{}'));
    await new Promise(setImmediate);
    expect(waiting).toHaveLength(8);
  });
});
