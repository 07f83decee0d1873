import { SigningConfig } from '@sigstore/protobuf-specs';
import { describe, expect, it } from 'vitest';
import { chooseAuthority, chooseWitnesses, type Testified } from '../../src/sign/services.ts';
import { failureOf } from '../servers/clients.ts';

const NOW = new Date('2026-11-21T10:00:00Z');

interface Entry {
  readonly version?: number;
  readonly start?: string;
  readonly end?: string;
  readonly operator?: string;
}

const service = (
  url: string,
  { version = 1, start = '2026-01-01T00:00:00Z', end, operator = url }: Entry = {},
) => ({
  url: `https://${url}/`,
  majorApiVersion: version,
  validFor: { start, ...(end === undefined ? {} : { end }) },
  operator,
});

type Services = ReturnType<typeof service>[];

function config(
  services: { ca?: Services; logs?: Services; tsa?: Services; log?: object; stamp?: object } = {},
) {
  const {
    ca = [service('ca')],
    logs = [service('log')],
    tsa = [service('tsa')],
    log = { selector: 'ANY' },
    stamp = { selector: 'ANY' },
  } = services;
  return SigningConfig.fromJSON({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: ca,
    rekorTlogUrls: logs,
    rekorTlogConfig: log,
    tsaUrls: tsa,
    tsaConfig: stamp,
  });
}

const BUNDLE: Testified = { format: 'bundle', by: 'certificate' };

const witnesses = (all: SigningConfig, testified: Testified) => {
  const chosen = chooseWitnesses(all, NOW, testified);
  return {
    logs: chosen.logs.map(({ url, version }) => `${url.host} v${version}`),
    tsa: chosen.timestampAuthorities.map(({ host }) => host),
  };
};

const choose = (...args: Parameters<typeof config>) => {
  const all = config(...args);
  return { ca: chooseAuthority(all, NOW).host, ...witnesses(all, BUNDLE) };
};

describe('the services of a signing config', () => {
  it('are one of each', () => {
    expect(choose()).toEqual({ ca: 'ca', logs: ['log v1'], tsa: ['tsa'] });
  });

  it('are those that are valid now: neither the ended nor the future-dated, the newest of them', () => {
    const spans: [string, Entry][] = [
      ['ended', { start: '2026-06-01T00:00:00Z', end: '2026-11-21T09:59:59Z' }],
      ['old', { start: '2025-01-01T00:00:00Z' }],
      ['newest', { start: '2026-11-01T00:00:00Z', end: '2027-01-01T00:00:00Z' }],
      ['future', { start: '2026-11-21T10:00:01Z' }],
    ];
    const one = (prefix: string) =>
      spans.map(([name, entry]) => service(`${prefix}-${name}`, { ...entry, operator: 'same' }));
    expect(choose({ ca: one('ca'), logs: one('log'), tsa: one('tsa') })).toEqual({
      ca: 'ca-newest',
      logs: ['log-newest v1'],
      tsa: ['tsa-newest'],
    });
  });

  it('are valid from their first to their last moment', () => {
    const start = NOW.toISOString();
    expect(choose({ ca: [service('ca', { start, end: start })] }).ca).toBe('ca');
  });

  it('of which none is valid now are an error that names what is lacking', async () => {
    const future = [service('x', { start: '2027-01-01T00:00:00Z' })];
    for (const [services, what] of [
      [{ ca: future }, 'certificate authority'],
      [{ logs: future }, 'transparency log'],
      [{ tsa: future }, 'timestamp authority'],
    ] as const) {
      const error = await failureOf(() => choose(services));
      expect(error.code).toBe('signing-config');
      expect(error.message).toContain(what);
    }
  });

  it('of which none is listed are an error', async () => {
    expect((await failureOf(() => choose({ ca: [] }))).code).toBe('signing-config');
    expect((await failureOf(() => choose({ logs: [] }))).code).toBe('signing-config');
  });

  it('speak the newest version that we know: version 2 before 1, and never 3', () => {
    const logs = [service('one'), service('two', { version: 2 }), service('three', { version: 3 })];
    expect(choose({ logs }).logs).toEqual(['two v2']);
    expect(choose({ logs: [service('one'), service('three', { version: 3 })] }).logs).toEqual(['one v1']);
  });

  it('speak version 1 where version 2 is not valid yet', () => {
    const logs = [service('one'), service('two', { version: 2, start: '2027-01-01T00:00:00Z' })];
    expect(choose({ logs }).logs).toEqual(['one v1']);
  });

  it('include a timestamp authority where a log of version 2 gives no time', async () => {
    const error = await failureOf(() => choose({ logs: [service('log', { version: 2 })], tsa: [] }));
    expect(error.code).toBe('signing-config');
    expect(error.message).toContain('timestamp authority');
    expect(choose({ tsa: [] }).tsa).toEqual([]);
  });

  describe('by selector', () => {
    const logs = [
      service('a1', { operator: 'a', start: '2026-01-01T00:00:00Z' }),
      service('a2', { operator: 'a', start: '2026-02-01T00:00:00Z' }),
      service('b', { operator: 'b', start: '2026-01-15T00:00:00Z' }),
    ];

    it('ANY are one, the newest', () => {
      expect(choose({ logs, log: { selector: 'ANY' } }).logs).toEqual(['a2 v1']);
    });

    it('ALL are one of each operator', () => {
      expect(choose({ logs, log: { selector: 'ALL' } }).logs).toEqual(['a2 v1', 'b v1']);
    });

    it('EXACT are as many, each of another operator', () => {
      expect(choose({ logs, log: { selector: 'EXACT', count: 2 } }).logs).toEqual(['a2 v1', 'b v1']);
      expect(choose({ logs, log: { selector: 'EXACT', count: 1 } }).logs).toEqual(['a2 v1']);
    });

    it('EXACT more than there are operators is an error that says both numbers', async () => {
      const error = await failureOf(() => choose({ logs, log: { selector: 'EXACT', count: 3 } }));
      expect(error.code).toBe('signing-config');
      expect(error.message).toMatch(/3 needed, 2 valid/);
    });

    it.each([0, undefined])('EXACT %s is refused: it asks for nobody', async count => {
      const selected = { selector: 'EXACT', ...(count === undefined ? {} : { count }) };
      for (const services of [{ log: selected }, { stamp: selected }]) {
        const error = await failureOf(() => choose(services));
        expect(error.code).toBe('signing-config');
        expect(error.message).toContain('its selector is EXACT, and its count 0');
      }
    });

    it('hold for timestamp authorities too', () => {
      expect(choose({ tsa: logs, stamp: { selector: 'ALL' } }).tsa).toEqual(['a2', 'b']);
    });

    it('count services without an operator each for itself', () => {
      const unnamed = [service('x', { operator: '' }), service('y', { operator: '' })];
      expect(choose({ logs: unnamed, log: { selector: 'ALL' } }).logs).toHaveLength(2);
    });
  });

  it('with an address that is none are an error of the signing config', async () => {
    const broken = config();
    const [ca] = broken.caUrls;
    if (ca !== undefined) ca.url = 'not an address';
    expect((await failureOf(() => chooseAuthority(broken, NOW))).code).toBe('signing-config');
  });
});

describe('the witnesses', () => {
  const both = config({ logs: [service('one'), service('two', { version: 2 })] });

  it('of a legacy signature are logs of version 1, although a newer one is there', () => {
    expect(witnesses(both, { format: 'legacy', by: 'certificate' }).logs).toEqual(['one v1']);
    expect(witnesses(both, BUNDLE).logs).toEqual(['two v2']);
  });

  it.each(['certificate', 'key'] as const)(
    'of a legacy signature by a %s are refused where no log of version 1 is: nobody could check it',
    async by => {
      const future = service('one', { start: '2027-01-01T00:00:00Z' });
      const newer = config({ logs: [service('two', { version: 2 }), future] });
      const error = await failureOf(() => witnesses(newer, { format: 'legacy', by }));
      expect(error.code).toBe('signing-config');
      expect(error.message).toContain('No verifier could check a legacy signature');
      expect(error.hint).toContain('"signature-format: bundle"');
    },
  );

  it('of a key may be none: its signatures need no time', () => {
    const empty = config({ ca: [], logs: [], tsa: [] });
    expect(witnesses(empty, { format: 'bundle', by: 'key' })).toEqual({ logs: [], tsa: [] });
    expect(witnesses(empty, { format: 'legacy', by: 'key' })).toEqual({ logs: [], tsa: [] });
    const timeless = config({ logs: [service('two', { version: 2 })], tsa: [] });
    expect(witnesses(timeless, { format: 'bundle', by: 'key' }).logs).toEqual(['two v2']);
  });
});
