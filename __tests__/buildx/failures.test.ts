import { expect, it } from 'vitest';
import { buildFailed } from '../../src/buildx/build.ts';

// As buildx ends when a push fails (Go, net/http), in front of the lines that repeat it.
const pushing = (reason: string): string =>
  `ERROR: failed to build: failed to solve: failed to push: ${reason}\n`;

it.each([
  [
    'a registry without TLS',
    'failed to do request: Head "https://10.0.0.1:5000/v2/app/blobs/sha256:0": http: server gave HTTP response to HTTPS client',
    'service-unreachable',
    'name its host in "insecure-registries"',
  ],
  [
    'a registry with TLS that is spoken to without',
    'unexpected status from HEAD request to http://10.0.0.1:5000/v2/: 400 Bad Request: Client sent an HTTP request to an HTTPS server.',
    'service-unreachable',
    'take its host out of "insecure-registries"',
  ],
  [
    'a missing login',
    'failed to authorize: 401 Unauthorized',
    'registry-unauthorized',
    'docker/login-action',
  ],
  ['what nobody knows', 'process "/bin/sh -c make" did not complete', 'build-failed', 'The log above'],
])('a build that fails says what to do about %s', (_, reason, code, remedy) => {
  const error = buildFailed(1, pushing(reason));
  expect(error.code).toBe(code);
  expect(error.message).toContain('exit code 1');
  expect(error.message).toContain(reason);
  expect(error.hint).toContain(remedy);
});
