import { describe, expect, it } from 'vitest';
import { parseAnnotation } from '../../src/oci/annotations.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { type AnnotationSources, annotateIndex } from '../../src/publish/annotations.ts';
import { failureOf } from '../servers/clients.ts';
import { made, recordOf, TYPES } from '../servers/images.ts';

const OCI = 'org.opencontainers.image';
const RUN = 'dev.manifold.run';
const [AMD64, ARM64] = ['linux/amd64', 'linux/arm64'].map(parsePlatform);
const RECORDS = [
  recordOf(made(TYPES.index, 'a'), 'linux/amd64', { started: '2026-11-21T10:00:05.000Z' }),
  recordOf(made(TYPES.index, 'b'), 'linux/arm64', { started: '2026-11-21T10:00:03.000Z' }),
];

const annotate = (change: Partial<AnnotationSources> = {}) =>
  annotateIndex({
    server: 'https://github.com',
    records: RECORDS,
    plan: undefined,
    version: undefined,
    platforms: [AMD64, ARM64].filter(platform => platform !== undefined),
    missing: [],
    metadata: [],
    given: [],
    defaults: true,
    ...change,
  });
const all = (...texts: string[]) => texts.map(parseAnnotation);

describe('the annotations of an index', () => {
  it('tell where it comes from, by the builds and not by this job or the clock', () => {
    expect(annotate().index).toEqual({
      [`${OCI}.created`]: '2026-11-21T10:00:03.000Z',
      [`${OCI}.revision`]: RECORDS[0]?.source.commit,
      [`${OCI}.source`]: 'https://github.com/acme/app',
      [RUN]: `https://github.com/acme/app/actions/runs/${RECORDS[0]?.source.runId}`,
    });
    expect(annotate({ records: [...RECORDS].reverse() })).toMatchObject({ index: annotate().index });
  });

  it('have the time of the plan, which is one for all components', () => {
    const created = '2026-11-21T09:00:00.000Z';
    expect(annotate({ plan: { created } }).index[`${OCI}.created`]).toBe(created);
  });

  it('by a plan do not tell the run: another run of the same plan makes the same bytes', () => {
    const created = '2026-11-21T09:00:00.000Z';
    const records = RECORDS.map(record => ({ ...record, source: { ...record.source, runId: '1002' } }));
    expect(annotate({ plan: { created }, records }).index).toEqual(annotate({ plan: { created } }).index);
    expect(annotate({ plan: { created } }).index).not.toHaveProperty([RUN]);
    expect(annotate({ records }).index[RUN]).toMatch(/\/actions\/runs\/1002$/);
  });

  it('have the version, where there is one', () => {
    expect(annotate({ version: '1.2.3' }).index[`${OCI}.version`]).toBe('1.2.3');
  });

  it('tell which platforms are missing', () => {
    const missing = ['linux/s390x', 'linux/arm/v7'].map(parsePlatform);
    expect(annotate({ missing }).index['dev.manifold.missing-platforms']).toBe('linux/s390x,linux/arm/v7');
  });

  it.each([`${OCI}.created`, `${OCI}.revision`, `${OCI}.source`, RUN])(
    'are those of docker/metadata-action, except for its %s, which the builds know better',
    key => {
      const metadata = ['index', 'manifest-descriptor', 'manifest'].flatMap(level =>
        all(`${level}:${key}=theirs`, `${level}:${OCI}.title=App`),
      );
      const { index, descriptors } = annotate({ metadata });
      expect(index).toEqual({ ...annotate().index, [`${OCI}.title`]: 'App' });
      expect(descriptors(parsePlatform('linux/amd64'))).toEqual({ [`${OCI}.title`]: 'App' });
    },
  );

  it("are the user's own before all others, also of what the builds know", () => {
    const metadata = all(`index:${OCI}.title=theirs`, `index:${OCI}.vendor=theirs`);
    const given = all(
      `index:${OCI}.title=ours`,
      `index:${OCI}.created=2020-01-01T00:00:00Z`,
      `index:${OCI}.revision=ours`,
      `index:${OCI}.source=ours`,
      `index:${RUN}=ours`,
    );
    expect(annotate({ metadata, given }).index).toMatchObject({
      [`${OCI}.title`]: 'ours',
      [`${OCI}.vendor`]: 'theirs',
      [`${OCI}.created`]: '2020-01-01T00:00:00Z',
      [`${OCI}.revision`]: 'ours',
      [`${OCI}.source`]: 'ours',
      [RUN]: 'ours',
    });
  });

  it("are nothing but the user's own where there is no place for others", () => {
    expect(annotate({ defaults: false }).index).toEqual({});
    expect(annotate({ defaults: false, given: all('index:a=b') }).index).toEqual({ a: 'b' });
  });

  it('stand on the descriptor of a platform that they name', () => {
    const { descriptors, index } = annotate({ given: all('manifest-descriptor[linux/arm64]:a=b') });
    expect(descriptors(parsePlatform('linux/arm64'))).toEqual({ a: 'b' });
    expect(descriptors(parsePlatform('linux/amd64'))).toEqual({});
    expect(index).not.toHaveProperty('a');
  });

  it('for a platform that is left out are no mistake, and for one that was never there they are', async () => {
    const given = all('manifest-descriptor[linux/s390x]:a=b');
    expect(annotate({ given, missing: [parsePlatform('linux/s390x')] }).index).not.toHaveProperty('a');
    expect((await failureOf(() => annotate({ given }))).code).toBe('invalid-input');
  });

  it('that were moved are told', () => {
    expect(annotate({ given: all('manifest:a=b') }).notices).toHaveLength(1);
    expect(annotate({ given: all('index:a=b') }).notices).toEqual([]);
  });
});
