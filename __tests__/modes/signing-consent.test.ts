import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { decideSigning } from '../../src/modes/signing-consent.ts';
import { readVisibility, type Visibility } from '../../src/runner/run.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';
import { startRun } from '../servers/run.ts';

const ALL: readonly (Visibility | undefined)[] = ['public', 'private', 'internal', undefined];

/** The file in which the runner tells of the event. */
function eventFile(event: string): string {
  const file = path.join(temporaryFolder(), 'event.json');
  writeFileSync(file, event);
  return file;
}

describe('without "sign"', () => {
  it('a public repository signs, and so does one with a Sigstore of its own', () => {
    expect(decideSigning({ sign: undefined, hasOwnSigstore: false }, 'public')).toBe('keyless');
    for (const visibility of ALL) {
      expect(decideSigning({ sign: undefined, hasOwnSigstore: true }, visibility)).toBe('keyless');
    }
  });

  it.each(['private', 'internal', undefined] as const)('one that is %s is asked', async visibility => {
    const wish = { sign: undefined, hasOwnSigstore: false };
    const error = await failureOf(() => decideSigning(wish, visibility));
    expect(error.code).toBe('missing-input');
    expect(error.message).toContain('public for ever');
    for (const way of ['"sign: keyless"', '"sign: none"', '"trusted-root"'])
      expect(error.hint).toContain(way);
  });

  it('nothing is pushed, and no tag moves, where nobody has decided', async () => {
    const run = await startRun();
    for (const platform of ['linux/amd64', 'linux/arm64']) await run.build(platform);
    const [registry] = run.registries;
    if (registry === undefined) throw new Error('no registry');
    registry.log.length = 0;
    const GITHUB_EVENT_PATH = eventFile('{"repository":{"private":true}}');
    const undecided = { sign: undefined, trustedRoot: undefined, signingConfig: undefined };
    const error = await failureOf(() => run.merge(undecided, 1, { GITHUB_EVENT_PATH }));
    expect(error.message).toContain('This repository is private, and the input "sign" is missing.');
    expect(registry.log).toEqual([]);
    expect(run.sigstore.log).toEqual([]);
  });
});

it.each(['keyless', 'none'] as const)('"sign: %s" is what somebody decided, wherever it is', sign => {
  for (const visibility of ALL) {
    expect(decideSigning({ sign, hasOwnSigstore: false }, visibility)).toBe(sign);
  }
});

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
