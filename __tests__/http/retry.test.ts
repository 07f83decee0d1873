import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  asksForLess,
  forLag,
  isRateLimit,
  isTransient,
  nextDelay,
  Patience,
  parseRetryAfter,
} from '../../src/http/retry.ts';

const NOW = Date.parse('2026-11-21T10:00:00Z');
const policy = { budget: 10_000, base: 100, longest: 1000 };

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['5', 5000],
    [' 120 ', 120_000],
    ['Sat, 21 Nov 2026 10:00:30 GMT', 30_000],
    ['Saturday, 21-Nov-26 10:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
  ])('%j means %d ms', (value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });

  it.each([undefined, '', 'soon', '-5', '1.5', '+5', '5 seconds', '0x10', '99999999999'])(
    '%j is illegible',
    value => {
      expect(parseRetryAfter(value, NOW)).toBeUndefined();
    },
  );

  it('as seconds or as a date means the same, whatever the number', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000 }), seconds => {
        expect(parseRetryAfter(String(seconds), NOW)).toBe(seconds * 1000);
        expect(parseRetryAfter(new Date(NOW + seconds * 1000).toUTCString(), NOW)).toBe(seconds * 1000);
      }),
    );
  });

  it('gives no time or one that can be waited, whatever it says', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+0-9.eE: GMTSunJa,]*$/)), value => {
        const wait = parseRetryAfter(value, NOW);
        expect(wait === undefined || (Number.isFinite(wait) && wait >= 0)).toBe(true);
      }),
    );
  });
});

describe('the wait before the next try', () => {
  it('doubles its ceiling up to the longest', () => {
    const ceilings = [1, 2, 3, 4, 5, 6].map(failures => nextDelay(policy, failures, 0, undefined, () => 1));
    expect(ceilings).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  it('is spread over the whole range, so that many clients do not come at once', () => {
    expect(nextDelay(policy, 3, 0, undefined, () => 0)).toBe(0);
    expect(nextDelay(policy, 3, 0, undefined, () => 0.5)).toBe(200);
  });

  it('is never shorter than what the server asks for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.nat({ max: 10 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, seconds, random) => {
          const wait = nextDelay(policy, failures, 0, String(seconds), () => random);
          expect(wait).toBeGreaterThanOrEqual(seconds * 1000);
        },
      ),
    );
  });

  it('is not waited when the budget ends before it', () => {
    expect(nextDelay(policy, 1, 9_950, undefined, () => 1)).toBeUndefined();
    expect(nextDelay(policy, 1, 9_900, undefined, () => 1)).toBe(100);
    expect(nextDelay(policy, 1, 0, '11', () => 1)).toBeUndefined();
    expect(nextDelay({ ...policy, budget: 0 }, 1, 0, undefined, () => 1)).toBeUndefined();
  });

  it('is at most a minute, however much longer the server asks for', () => {
    const patient = { ...policy, budget: 120_000 };
    const nextYear = new Date(Date.now() + 365 * 86_400_000).toUTCString();
    for (const asked of ['60', '61', '3600', '999999999', nextYear])
      expect(nextDelay(patient, 1, 0, asked, () => 1)).toBe(60_000);
    expect(nextDelay(patient, 1, 0, '59', () => 1)).toBe(59_000);
    expect(nextDelay(patient, 1, 60_001, '3600', () => 1)).toBeUndefined();
  });
});

describe('patience', () => {
  const unpaused = { budget: 1000, base: 0, longest: 0 };

  function startClock(): void {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
  }

  it('begins to end with the first failure, however long that took to come', () => {
    startClock();
    const patience = new Patience(unpaused);
    vi.advanceTimersByTime(5000);
    expect(patience.afterFailure()).toBe(0);
    vi.advanceTimersByTime(1000);
    expect(patience.afterFailure()).toBe(0);
    vi.advanceTimersByTime(1);
    expect(patience.afterFailure()).toBeUndefined();
    expect([patience.failures, patience.elapsed]).toEqual([3, 1001]);
  });

  it('is shorter with what lags behind a push: half a minute, or less where the budget is less', () => {
    expect(forLag({ ...unpaused, budget: 60_000 }).budget).toBe(30_000);
    expect(forLag(unpaused)).toEqual(unpaused);
  });

  it('waits as long as the server asks for', () => {
    expect(new Patience({ ...unpaused, budget: 10_000 }).afterFailure('7')).toBe(7000);
  });
});

describe('a fault', () => {
  it.each([408, 425, 429, 499, 500, 502, 503, 504])('of status %d may pass', status => {
    expect(isTransient({ status })).toBe(true);
  });

  it.each([200, 201, 202, 301, 400, 401, 403, 404, 405, 409, 413, 416, 422, 501, 505])(
    'of status %d will not change',
    status => {
      expect(isTransient({ status })).toBe(false);
    },
  );

  it('without an answer may pass', () => {
    expect(isTransient({})).toBe(true);
  });

  it.each([
    'You have exceeded a secondary rate limit',
    'toomanyrequests: slow',
    'Too many requests',
    'abuse detection mechanism',
    'SLOW_DOWN',
  ])('of status 403 is a rate limit when it says %j', text => {
    expect(isRateLimit({ status: 403, text })).toBe(true);
    expect(isTransient({ status: 403, text })).toBe(true);
    expect(isRateLimit({ status: 400, text })).toBe(false);
  });

  it('of status 403 is a rate limit when it says when to come back', () => {
    expect(isRateLimit({ status: 403, retryAfter: '60' })).toBe(true);
  });

  it.each(['', 'denied: permission_denied: write_package', 'insufficient scope', 'corporate limits'])(
    'of status 403 is a refusal when it says %j',
    text => {
      expect(isTransient({ status: 403, text })).toBe(false);
    },
  );
});

describe('a host', () => {
  it.each([
    [{ status: 429 }, true],
    [{ status: 403, text: 'secondary rate limit' }, true],
    [{ status: 403, retryAfter: '60' }, true],
    [{ status: 503, retryAfter: '1' }, true],
    [{ status: 503 }, false],
    [{ status: 403, text: 'denied' }, false],
    [{ status: 500, retryAfter: '1' }, false],
    [{ status: 200 }, false],
    [{}, false],
  ])('that answers %j asks for fewer requests: %s', (outcome, expected) => {
    expect(asksForLess(outcome)).toBe(expected);
  });
});
