import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { dockerConfigDirectory, endpointOf } from '../../src/registry/endpoint.ts';
import { temporaryFolder } from '../servers/clients.ts';

const env = { DOCKER_CONFIG: 'missing' };

describe('the address of a registry', () => {
  it.each([
    ['ghcr.io', 'https://ghcr.io/v2/'],
    ['registry.example.com:8443', 'https://registry.example.com:8443/v2/'],
    ['docker.io', 'https://registry-1.docker.io/v2/'],
    ['localhost', 'http://localhost/v2/'],
    ['localhost:5000', 'http://localhost:5000/v2/'],
    ['registry.localhost:5000', 'http://registry.localhost:5000/v2/'],
    ['127.0.0.1:5000', 'http://127.0.0.1:5000/v2/'],
    ['127.3.2.1:5000', 'http://127.3.2.1:5000/v2/'],
    ['[::1]:5000', 'http://[::1]:5000/v2/'],
    ['127.0.0.1.example.com', 'https://127.0.0.1.example.com/v2/'],
    ['localhost.example.com', 'https://localhost.example.com/v2/'],
    ['10.0.0.1:5000', 'https://10.0.0.1:5000/v2/'],
  ])('%s is %s', (registry, url) => {
    expect(endpointOf(registry, env)).toEqual({ url: new URL(url) });
  });

  const insecure = new Set(['registry.internal', 'registry.internal:5000', '10.0.0.1:5000']);

  it.each([
    ['registry.internal', 'http://registry.internal/v2/'],
    ['registry.internal:5000', 'http://registry.internal:5000/v2/'],
    ['10.0.0.1:5000', 'http://10.0.0.1:5000/v2/'],
  ])('%s, which is said to be insecure, is %s', (registry, url) => {
    expect(endpointOf(registry, env, insecure)).toEqual({ url: new URL(url) });
  });

  it.each([
    'registry.internal:5001',
    'internal',
    'other.registry.internal',
    'registry.internal.example.com',
    '10.0.0.1',
    'docker.io',
  ])('%s stays TLS when others are insecure', registry => {
    expect(endpointOf(registry, env, insecure).url.protocol).toBe('https:');
  });

  it.each(['127.0.0.1:5000', 'registry.internal:5000'])(
    'is TLS for %s too where a certificate was installed for it, and all of them are trusted',
    host => {
      const folder = temporaryFolder();
      const installed = path.join(folder, 'certs.d', host);
      mkdirSync(installed, { recursive: true });
      writeFileSync(path.join(installed, 'b.crt'), 'second');
      writeFileSync(path.join(installed, 'a.crt'), 'first');
      writeFileSync(path.join(installed, 'client.key'), 'not this');
      const endpoint = endpointOf(host, { DOCKER_CONFIG: folder }, insecure);
      expect(endpoint).toEqual({ url: new URL(`https://${host}/v2/`), ca: 'first\nsecond' });
      expect(endpointOf('127.0.0.1:5001', { DOCKER_CONFIG: folder }).url.protocol).toBe('http:');
    },
  );
});

describe("the folder of Docker's configuration", () => {
  it('is what DOCKER_CONFIG says, else in the home folder; empty is absent', () => {
    expect(dockerConfigDirectory({ DOCKER_CONFIG: 'there', HOME: 'home' })).toBe('there');
    expect(dockerConfigDirectory({ DOCKER_CONFIG: '', HOME: 'home' })).toBe(path.join('home', '.docker'));
  });
});
