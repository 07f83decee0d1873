import { describe, expect, it } from 'vitest';
import { persist } from '../../src/records/persist.ts';
import { FAST, SHORT } from '../servers/clients.ts';

/** A client that fails so many times before it does what it is asked for. */
function failing(
  message: string,
  times: number,
): { readonly tries: number; readonly work: () => Promise<string> } {
  const client = {
    tries: 0,
    work: async () => {
      if (++client.tries <= times) throw new Error(message);
      return 'done';
    },
  };
  return client;
}

const NETWORK = 'Failed to CreateArtifact: Unable to make request:';

describe('a fault that may pass is tried again', () => {
  it.each([
    `${NETWORK} ECONNRESET\nIf you are using self-hosted runners, please make sure`,
    `${NETWORK} ETIMEDOUT`,
    `${NETWORK} ENOTFOUND`,
    `${NETWORK} ECONNREFUSED`,
    `${NETWORK} EHOSTUNREACH`,
    'socket hang up',
    'Request timeout: /twirp/CreateArtifact',
    'connect timed out',
    'getaddrinfo EAI_AGAIN results.example.com',
    'Upload progress stalled.',
    'Failed to CreateArtifact: Failed to make request after 5 attempts: Failed request: (429) Too Many Requests',
  ])('as %j is', async message => {
    const told: string[] = [];
    const client = failing(message, 3);
    const options = { retry: FAST, onRetry: (retry: string) => void told.push(retry) };
    expect(await persist('Saving', options, client.work)).toBe('done');
    expect(client.tries).toBe(4);
    expect(told).toHaveLength(3);
    expect(told[0]).toMatch(/^Saving: [^\n]*; trying again in \d+\.\d s$/);
  });

  it('until the budget ends, and then it is what it was', async () => {
    const client = failing(`${NETWORK} ECONNRESET`, Number.POSITIVE_INFINITY);
    const work = persist('Saving', { retry: SHORT, onRetry: () => {} }, client.work);
    await expect(work).rejects.toThrow('ECONNRESET');
    expect(client.tries).toBeGreaterThan(1);
  });
});

describe('what will not change fails at once', () => {
  it.each([
    'Failed to CreateArtifact: Received non-retryable error: Failed request: (409) Conflict: an artifact with this name already exists',
    'Failed to FinalizeArtifact: Received non-retryable error: Failed request: (403) Forbidden',
    'Artifact storage quota has been hit. Unable to upload any new artifacts.',
    'Failed to get backend IDs: The provided JWT token is invalid and/or missing claims',
    'unable to verify the first certificate',
  ])('as %j does', async message => {
    const client = failing(message, 1);
    const work = persist('Saving', { retry: FAST, onRetry: () => {} }, client.work);
    await expect(work).rejects.toThrow(message);
    expect(client.tries).toBe(1);
  });
});
