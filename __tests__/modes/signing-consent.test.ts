import { describe, expect, it } from 'vitest';
import type { SigningHand } from '../../src/inputs.ts';
import { decideSigning } from '../../src/modes/signing-consent.ts';
import type { Visibility } from '../../src/runner/run.ts';
import { failureOf } from '../servers/clients.ts';
import { eventFile } from '../servers/event.ts';
import { startRun } from '../servers/run.ts';

const UNDECIDED = { sign: undefined, trustedRoot: undefined };
const ALL: readonly (Visibility | undefined)[] = ['public', 'private', 'internal', undefined];

describe('without "sign"', () => {
  it('a public repository signs, and so does one with a Sigstore of its own', () => {
    expect(decideSigning(UNDECIDED, 'public')).toEqual(['keyless']);
    for (const visibility of ALL) {
      expect(decideSigning({ ...UNDECIDED, trustedRoot: 'root.json' }, visibility)).toEqual(['keyless']);
    }
  });

  it.each(['private', 'internal', undefined] as const)('one that is %s is asked', async visibility => {
    const error = await failureOf(() => decideSigning(UNDECIDED, visibility));
    expect(error.code).toBe('missing-input');
    expect(error.message).toContain('public for ever');
    for (const way of ['"sign: keyless"', '"sign: key"', '"sign: none"', '"trusted-root"'])
      expect(error.hint).toContain(way);
  });

  it('nothing is pushed, and no tag moves, where nobody has decided', async () => {
    const run = await startRun();
    for (const platform of ['linux/amd64', 'linux/arm64']) await run.build(platform);
    const [registry] = run.registries;
    if (registry === undefined) throw new Error('no registry');
    registry.log.length = 0;
    const GITHUB_EVENT_PATH = eventFile('{"repository":{"private":true}}');
    const error = await failureOf(() =>
      run.merge({ ...UNDECIDED, signingConfig: undefined }, 1, { GITHUB_EVENT_PATH }),
    );
    expect(error.message).toContain('This repository is private, and the input "sign" is missing.');
    expect(registry.log).toEqual([]);
    expect(run.sigstore.log).toEqual([]);
  });
});

it.each<SigningHand[][]>([[['keyless']], [['key']], [['keyless', 'key']], [[]]])(
  'that %j signs is what somebody decided, wherever it is',
  sign => {
    for (const visibility of ALL) expect(decideSigning({ ...UNDECIDED, sign }, visibility)).toBe(sign);
  },
);
