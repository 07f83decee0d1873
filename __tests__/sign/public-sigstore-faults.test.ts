import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { DEFAULT_RETRY } from '../../src/http/retry.ts';
import { status } from '../servers/answering.ts';
import { FAST, failureOf, SHORT } from '../servers/clients.ts';
import { ONCE, ROOT, started, TARGETS } from './public-sigstore-job.ts';

describe('a repository that is not well', () => {
  const PLACES = ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json', ROOT];

  describe.each(PLACES)('at %s', place => {
    const where = new RegExp(place.replaceAll('.', '\\.'));

    it.each([429, 500, 503])('with %d for a while is waited for', async code => {
      const { tuf, step } = await started();
      tuf.on(where, status(code, { 'retry-after': '0' }), 2);
      expect(await step({ retry: FAST })()).toBe(TARGETS[ROOT]);
    });

    it.each([429, 500, 503])('with %d for good is an error that names it, and what it said', async code => {
      const { tuf, step } = await started();
      tuf.on(where, status(code, {}, 'no room\n::error::'));
      const error = await failureOf(() => step({ retry: SHORT })());
      expect(error.code).toBe('service-unreachable');
      expect(error.message).toContain(
        `The ${ROOT} of the Sigstore (${tuf.url}) could not be fetched: ${tuf.url}/`,
      );
      expect(error.message).toContain(`${place} answered ${code}: no room ::error::.`);
      expect(error.hint).toContain('"trusted-root" (and to sign "signing-config")');
    });

    it('that never answers is given up', async () => {
      const { tuf, step } = await started();
      tuf.on(where, () => {});
      const error = await failureOf(() => step({ retry: ONCE, idleTimeout: 50 })());
      expect(error.code).toBe('service-unreachable');
      expect(error.message).toMatch(/got no answer, tried once/);
      expect(error.message).toContain(tuf.url);
    });

    it('that breaks off in the middle is asked again', async () => {
      const { tuf, step } = await started();
      const half = (_: unknown, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{', () => response.destroy());
      };
      tuf.on(where, half, 1);
      expect(await step({ retry: FAST })()).toBe(TARGETS[ROOT]);
    });
  });

  it('is waited for within the usual budget', () => {
    expect(DEFAULT_RETRY.budget).toBe(120_000);
  });
});
