import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { keepSecret, oneLine } from '../../src/errors.ts';
import { readInputs } from '../../src/inputs.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { collectRecords } from '../../src/records/collect.ts';
import { formatRecordName } from '../../src/records/name.ts';
import { formatRecord, parseRecord } from '../../src/records/record.ts';
import type { RecordStore, StoredFile } from '../../src/records/store.ts';
import { runner } from '../../src/runner/actions.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';

describe('the records of a run', () => {
  const recorded = (attempt: number): StoredFile => {
    const image = made(TYPES.index, `built by attempt ${attempt}`);
    const record = recordOf(image, 'linux/amd64', { source: { runAttempt: attempt } });
    const name = formatRecordName({ component: 'app', platform: parsePlatform('linux/amd64'), attempt });
    return { name, read: async () => formatRecord(record) };
  };
  const storeOf = (attempts: readonly number[]): RecordStore => ({
    save: () => Promise.reject(new Error('nothing is saved here')),
    list: async () => attempts.map(recorded),
  });

  it.each([[[1, 2]], [[2, 1]], [[9, 10]], [[10, 9]], [[1, 10, 9]]])(
    'are those of the newest attempt, listed in the order %j',
    async attempts => {
      const { builds } = await collectRecords(storeOf(attempts), ORIGIN);
      expect(builds.map(({ source }) => source.runAttempt)).toEqual([Math.max(...attempts)]);
    },
  );
});

describe('a record', () => {
  it('with the same image name twice is invalid', async () => {
    const images = ['ghcr.io/acme/app', 'ghcr.io/acme/app'];
    const record = { ...recordOf(made(TYPES.index, 'an index'), 'linux/amd64'), images };
    const name = { component: 'app', platform: parsePlatform('linux/amd64'), attempt: 1 };
    const bytes = Buffer.from(JSON.stringify(record));
    const error = await failureOf(() => parseRecord(bytes, name, 'manifold-build.app.linux-amd64.1', ORIGIN));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('images');
  });

  it.each(['unknown/unknown', 'Unknown/Unknown'])('cannot be for %s, which means no platform', async text => {
    expect((await failureOf(() => parsePlatform(text))).code).toBe('invalid-platform');
  });
});

describe('a Sigstore of its own', () => {
  it.each([
    ['TRUSTED-ROOT', 'signing-config'],
    ['SIGNING-CONFIG', 'trusted-root'],
  ])('with %s alone lacks %s', async (given, lacking) => {
    const env = { INPUT_MODE: 'merge', INPUT_TAGS: '1', [`INPUT_${given}`]: 'file.json' };
    const error = await failureOf(() => readInputs(env));
    expect(error.code).toBe('missing-input');
    expect(error.message).toContain(`"${lacking}"`);
  });
});

/** What a piece of work writes to the step's log, where workflow commands go. */
async function written(work: () => unknown): Promise<string> {
  const chunks: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation(chunk => {
    chunks.push(String(chunk));
    return true;
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return chunks.join('');
}

/** Variables of the runner, for this test only; undefined takes one away. */
function withVariable(name: string, value: string | undefined): void {
  vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

describe('the runner', () => {
  it.each(['', ' ', '\n', '\t \r\n'])('is not told to mask %j, which would mask everything', async blank => {
    expect(await written(() => runner.mask(blank))).toBe('');
  });

  it('is told to mask a secret', async () => {
    expect(await written(() => runner.mask('hunter2'))).toContain('::add-mask::hunter2');
  });

  it.each([undefined, ''])('without a page for summaries (%j) is no fault, and none is told', async value => {
    withVariable('GITHUB_STEP_SUMMARY', value);
    expect(await written(() => runner.summary('# Done'))).toBe('');
  });

  it('with a page that cannot be written does not fail the step', async () => {
    withVariable('GITHUB_STEP_SUMMARY', path.join(temporaryFolder(), 'absent', 'summary.md'));
    expect(await written(() => runner.summary('# Done'))).toContain('::warning');
  });

  it('without the file for outputs does not fail what is published already', async () => {
    withVariable('GITHUB_OUTPUT', path.join(temporaryFolder(), 'absent', 'output'));
    await written(() => {
      expect(() => runner.output('digest', 'sha256:0')).not.toThrow();
    });
  });
});

describe('a message', () => {
  const secret = 'Qj7-vK2_mZ9-pW4_tR8';

  it.each([0, 150, 175, 185, 195, 199])('holds no secret that it quotes after %d characters', before => {
    keepSecret(secret);
    const quoted = oneLine(`${'.'.repeat(before)}${secret} and more${'.'.repeat(300)}`);
    for (let length = 2; length <= secret.length; length++) {
      expect(quoted).not.toContain(secret.slice(0, length));
    }
    if (before <= 195) expect(quoted).toContain('***');
  });

  it('holds none of a secret that stands in it twice', () => {
    keepSecret(secret);
    expect(oneLine(`a ${secret} b ${secret} c`)).toBe('a *** b *** c');
  });

  it('holds no rest of a secret that begins with another, in whatever order they became known', () => {
    const [short, long] = ['Wq3-zX8_', 'Wq3-zX8_nB5-rest'];
    keepSecret(short);
    keepSecret(long);
    expect(oneLine(`a ${long} b ${short} c`)).toBe('a *** b *** c');
  });

  it.each([0, 150, 180, 196])('holds no token like a JWT after %d characters', before => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const header = part({ alg: 'RS256', typ: 'JWT' });
    const token = `${header}.${part({ sub: 'repo:acme/app', exp: 1 })}.${'Ab-_9'.repeat(40)}`;
    const quoted = oneLine(`${'.'.repeat(before)} ${token} and more`);
    for (const piece of token.split('.')) expect(quoted).not.toContain(piece.slice(0, 8));
    expect(quoted).not.toContain('eyJ');
  });

  it('is otherwise what it was', () => {
    expect(oneLine('nothing to hide: a.b.c')).toBe('nothing to hide: a.b.c');
  });
});
