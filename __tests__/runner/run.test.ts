import { describe, expect, it } from 'vitest';
import { readVisibility } from '../../src/runner/run.ts';
import { eventFile } from '../servers/event.ts';

describe('the event of a run', () => {
  it.each([
    ['its visibility', '{"repository":{"visibility":"internal","private":true}}', 'internal'],
    ['a public one', '{"repository":{"visibility":"public","private":false}}', 'public'],
    ['no more than that it is private', '{"repository":{"private":true}}', 'private'],
    ['no more than that it is not', '{"repository":{"private":false}}', 'public'],
    ['another kind', '{"repository":{"visibility":"secret"}}', undefined],
    ['nothing', '{}', undefined],
    ['nothing at all', 'null', undefined],
    ['no JSON', '<html>', undefined],
  ])('tells of the repository %s', (_, event, expected) => {
    expect(readVisibility({ GITHUB_EVENT_PATH: eventFile(event) })).toBe(expected);
  });

  it('may be missing', () => {
    expect(readVisibility({})).toBeUndefined();
    expect(readVisibility({ GITHUB_EVENT_PATH: '/no/such/file' })).toBeUndefined();
  });
});
