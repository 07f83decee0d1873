import { describe, expect, it } from 'vitest';
import { imagesOf } from '../../src/inputs/image-templates.ts';
import { formatRepository } from '../../src/oci/reference.ts';
import { chooseDestinations, type WantedDestinations } from '../../src/publish/destinations.ts';
import type { ComponentSet } from '../../src/records/closed-set.ts';
import { failureOf } from '../servers/clients.ts';
import { made, recordOf, TYPES } from '../servers/images.ts';
import { tagEntries } from './built.ts';

const HERE = 'ghcr.io/acme/app';
const THERE = 'quay.io/acme/app';

/** A component whose builds were pushed to these images, platform by platform. */
function setOf(component = 'app', ...pushed: string[][]): ComponentSet {
  const lists = pushed.length === 0 ? [[`ghcr.io/acme/${component}`]] : pushed;
  const records = lists.map((images, number) =>
    recordOf(made(TYPES.index, `${component} ${number}`), ['linux/amd64', 'linux/arm64'][number] ?? '', {
      component,
      images,
    }),
  );
  return { component, records, missing: [], plan: undefined };
}

function plannedSet(tags: string[], images = [HERE], component = 'app'): ComponentSet {
  const plan = { component, images, platforms: ['linux/amd64'], tags, needed: true };
  return { ...setOf(component), plan };
}

const templates = (...names: string[]) => ({
  images: (component: string) => imagesOf(names, component),
});

/** `ghcr.io/acme/app: 1.0 latest` for each repository of each component. */
function choose(sets: readonly ComponentSet[], wanted: Partial<WantedDestinations> = {}): string[] {
  const all = { images: undefined, tags: tagEntries('1.0', 'latest'), byDigestOnly: false, ...wanted };
  return [...chooseDestinations(sets, all).values()]
    .flat()
    .map(({ repository, tags }) => `${formatRepository(repository)}: ${tags.join(' ')}`);
}

describe('an image goes', () => {
  it('where its builds pushed to, under every bare tag', () => {
    expect(choose([setOf('app', [HERE, THERE])])).toEqual([`${HERE}: 1.0 latest`, `${THERE}: 1.0 latest`]);
  });

  it('where the plan says', () => {
    expect(choose([plannedSet([], [THERE, HERE])])).toEqual([`${THERE}: 1.0 latest`, `${HERE}: 1.0 latest`]);
  });

  it('where "images" says, whatever plan and builds say', () => {
    const images = templates('docker.io/acme/app');
    for (const set of [setOf('app', [HERE]), plannedSet([], [THERE])]) {
      expect(choose([set], images)).toEqual(['docker.io/acme/app: 1.0 latest']);
    }
  });

  it('to one name once, however often and in whatever way it is written', () => {
    const images = templates('docker.io/acme/app', 'acme/app', 'index.docker.io/acme/app');
    expect(choose([setOf()], { ...images, tags: tagEntries('1', 'docker.io/acme/app:1', '1') })).toEqual([
      'docker.io/acme/app: 1',
    ]);
  });

  it('with its component in the place of {{component}}', () => {
    const images = templates('ghcr.io/acme/{{component}}', 'quay.io/acme/all-{{ component }}');
    expect(choose([setOf('app'), setOf('app-api')], { ...images, tags: tagEntries('1') })).toEqual([
      'ghcr.io/acme/app: 1',
      'quay.io/acme/all-app: 1',
      'ghcr.io/acme/app-api: 1',
      'quay.io/acme/all-app-api: 1',
    ]);
  });
});

describe('a full reference', () => {
  it('is a tag of its own repository and of no other', () => {
    const tags = tagEntries('1.0', `${THERE}:edge`);
    expect(choose([setOf('app', [HERE, THERE])], { tags })).toEqual([`${HERE}: 1.0`, `${THERE}: 1.0 edge`]);
  });

  it('alone leaves the other names of its image without a tag', () => {
    expect(choose([setOf('app', [HERE, THERE])], { tags: tagEntries(`${THERE}:edge`) })).toEqual([
      `${HERE}: `,
      `${THERE}: edge`,
    ]);
  });

  it.each([
    ['the builds pushed to', setOf('app', [HERE])],
    ['the plan names', plannedSet([])],
    ['the plan names, in the plan itself,', plannedSet([`${THERE}:edge`, '1.0'])],
  ])('is of the names that %s, also where the component is alone', async (_, set) => {
    const tags = set.plan?.tags.length ? [] : tagEntries('1.0', `${THERE}:edge`);
    const error = await failureOf(() => choose([set], { tags }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`${THERE}:edge is of an image that is not published here: ${HERE}`);
  });

  it('of an image that is not among "images" would be ignored, and is refused', async () => {
    const tags = tagEntries('1.0', `${THERE}:edge`);
    const error = await failureOf(() => choose([setOf()], { ...templates(HERE), tags }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`${THERE}:edge`);
    expect(error.message).toContain(HERE);
    expect(error.hint).toContain('"images"');
  });

  it('does not say which of several components goes there', async () => {
    const error = await failureOf(() =>
      choose([setOf('app'), setOf('api')], { tags: tagEntries('1', `${THERE}:1`) }),
    );
    expect(error.message).toContain(`${THERE}:1 is of an image that is not published here`);
  });

  it('goes to the one of several components that has this name', () => {
    const tags = tagEntries('1', 'ghcr.io/acme/api:edge');
    expect(choose([setOf('app'), setOf('api')], { tags })).toEqual([
      'ghcr.io/acme/app: 1',
      'ghcr.io/acme/api: 1 edge',
    ]);
  });
});

describe('a component that none of the tags concerns', () => {
  const sets = [setOf('app'), setOf('api')];
  const tags = tagEntries('ghcr.io/acme/app:1', 'ghcr.io/acme/app:latest');

  it('would be published without a name, and is refused', async () => {
    const error = await failureOf(() => choose(sets, { tags }));
    expect(error.code).toBe('missing-input');
    expect(error.message).toContain('api');
    expect(error.hint).toContain('docker/metadata-action');
  });

  it('is none where it is not merged, where it has a tag, and where no tag is wanted', () => {
    expect(choose(sets.slice(0, 1), { tags })).toEqual([`${HERE}: 1 latest`]);
    expect(choose(sets, { tags: [...tags, ...tagEntries('ghcr.io/acme/api:2')] })).toEqual([
      `${HERE}: 1 latest`,
      'ghcr.io/acme/api: 2',
    ]);
    expect(choose(sets, { tags: [], byDigestOnly: true })).toEqual([`${HERE}: `, 'ghcr.io/acme/api: ']);
  });
});

describe('a tag that two components would share', () => {
  it.each([
    ['because "images" names both the same', templates(HERE)],
    [
      'because "images" names both the same, one of them by its template',
      templates('ghcr.io/acme/{{component}}', HERE),
    ],
  ])('is refused, %s', async (_, images) => {
    const error = await failureOf(() => choose([setOf('app'), setOf('api')], images));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`app and api would both be ${HERE}:1.0`);
    expect(error.hint).toContain('{{component}}');
  });

  it('is refused where the builds of both were pushed to one name', async () => {
    const sets = [setOf('app', [HERE]), setOf('api', [HERE])];
    expect((await failureOf(() => choose(sets))).message).toContain('app and api would both be');
  });

  it('is none where each has its own in one repository, by the plan', () => {
    const sets = [plannedSet(['app-1'], [HERE], 'app'), plannedSet(['api-1'], [HERE], 'api')];
    expect(choose(sets, { tags: [] })).toEqual([`${HERE}: app-1`, `${HERE}: api-1`]);
  });

  it('is none where no tag is wanted', () => {
    const wanted = { ...templates(HERE), tags: [], byDigestOnly: true };
    expect(choose([setOf('app'), setOf('api')], wanted)).toEqual([`${HERE}: `, `${HERE}: `]);
  });
});

describe('the tags', () => {
  it('are those of the plan, full references among them', () => {
    expect(choose([plannedSet(['1.2.3', `${THERE}:edge`], [HERE, THERE])], { tags: [] })).toEqual([
      `${HERE}: 1.2.3`,
      `${THERE}: 1.2.3 edge`,
    ]);
  });

  it('are those of the plan or those given to the merge, and never both', async () => {
    const error = await failureOf(() => choose([plannedSet(['1.2.3'])], { tags: tagEntries('1.2.3') }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('app');
    expect(error.hint).toContain('"metadata"');
  });

  it('are missing: the error says how to do without', async () => {
    const error = await failureOf(() => choose([setOf()], { tags: [] }));
    expect(error.code).toBe('missing-input');
    expect(error.hint).toContain('push-by-digest-only: true');
  });

  it('are none when only the digest is wanted, those of the plan left out', () => {
    const wanted = { tags: [], byDigestOnly: true };
    expect(choose([setOf()], wanted)).toEqual([`${HERE}: `]);
    expect(choose([plannedSet(['1.2.3'])], wanted)).toEqual([`${HERE}: `]);
  });

  it('and "push-by-digest-only" contradict each other', async () => {
    const error = await failureOf(() => choose([setOf()], { byDigestOnly: true }));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('push-by-digest-only');
  });
});

describe('builds of one component', () => {
  it('that were pushed to different images are not one image: each is named with its own', async () => {
    const error = await failureOf(() => choose([setOf('app', [HERE], [THERE])]));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain(`app linux/amd64: ${HERE}`);
    expect(error.message).toContain(`app linux/arm64: ${THERE}`);
  });

  it('may name their images in another order', () => {
    expect(choose([setOf('app', [HERE, THERE], [THERE, HERE])])).toHaveLength(2);
  });

  it('may be pushed to different images where "images" says where they go', () => {
    expect(choose([setOf('app', [HERE], [THERE])], templates(HERE))).toEqual([`${HERE}: 1.0 latest`]);
  });
});
