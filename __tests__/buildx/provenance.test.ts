import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { provenanceOf } from '../../src/buildx/build.ts';
import { failureOf } from '../servers/clients.ts';

const RUN = 'https://github.com/acme/app/actions/runs/1001/attempts/1';

describe('the provenance that buildx is asked for', () => {
  const before = { ...process.env };
  beforeEach(() => {
    Object.assign(process.env, {
      GITHUB_REPOSITORY: 'acme/app',
      GITHUB_RUN_ID: '1001',
      GITHUB_RUN_ATTEMPT: '1',
      GITHUB_SERVER_URL: 'https://github.com',
    });
  });
  afterEach(() => {
    process.env = before;
  });

  // What docker/build-push-action makes of the same input; buildx refuses "type=provenance,true".
  it.each([
    ['true', `type=provenance,builder-id=${RUN}`],
    ['false', 'type=provenance,disabled=true'],
    ['max', `type=provenance,mode=max,builder-id=${RUN}`],
    ['mode=max', `type=provenance,mode=max,builder-id=${RUN}`],
    ['mode=min,builder-id=mine', 'type=provenance,mode=min,builder-id=mine'],
  ])('%s is %s', (input, expected) => {
    expect(provenanceOf(input, {})).toEqual([expected]);
  });

  it.each(['ture', 'yes', 'mode', '1'])('is not %j, and the input is named', async input => {
    const error = await failureOf(() => provenanceOf(input, {}));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toBe(`The input "provenance" is "${input}".`);
    expect(error.hint).toContain('true, false, or attributes');
  });

  it('is full by default', () => {
    expect(provenanceOf(undefined, {})[0]).toContain('mode=max');
  });

  it('is none by default where buildx is told so', () => {
    expect(provenanceOf(undefined, { BUILDX_NO_DEFAULT_ATTESTATIONS: '1' })).toEqual([]);
    expect(provenanceOf('mode=min', { BUILDX_NO_DEFAULT_ATTESTATIONS: '1' })).toHaveLength(1);
  });
});
