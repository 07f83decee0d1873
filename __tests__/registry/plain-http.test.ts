import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { failureOf, opened, registries, temporaryFolder } from '../servers/clients.ts';
import { startRegistry } from '../servers/registry.ts';
import { newAuthority, pem } from '../servers/x509.ts';

/** Clients for which the registry of this host speaks TLS, as a certificate was installed for it. */
function clientsOverTls(host: string) {
  const folder = temporaryFolder();
  const installed = path.join(folder, 'certs.d', host);
  mkdirSync(installed, { recursive: true });
  writeFileSync(path.join(installed, 'ca.crt'), pem(newAuthority('test authority').certificate));
  return registries({ env: { DOCKER_CONFIG: folder } });
}

it('a registry without TLS is to be named as one that is insecure', async () => {
  const { host } = await opened(startRegistry());
  const client = clientsOverTls(host).repository({ registry: host, path: 'acme/app' });
  const error = await failureOf(() => client.findManifest('1.0'));
  expect(error.code).toBe('service-unreachable');
  expect(error.message).toContain('tried once');
  expect(error.hint).toContain(`if it speaks plain HTTP, name ${host} in "insecure-registries"`);
  expect(error.cause).toBeInstanceOf(Error);
});

it('a registry without TLS is told apart also where a blob is read from it', async () => {
  const [{ host }, target] = [await opened(startRegistry()), await opened(startRegistry())];
  const clients = clientsOverTls(host);
  const source = clients.repository({ registry: host, path: 'acme/app' });
  const copy = clients.repository({ registry: target.host, path: 'acme/app' });
  const descriptor = { digest: digestOf(Buffer.from('x')), size: 1 };
  const error = await failureOf(() => copy.copyBlob(descriptor, source));
  expect(error.hint).toContain(`name ${host} in "insecure-registries"`);
});

it('a token service without TLS is no reason to speak plain HTTP to its registry', async () => {
  const service = await opened(startRegistry());
  const realm = `https://${service.host}/token`;
  const registry = await opened(startRegistry({ bearer: { realm, service: 's' } }));
  const client = registries().repository({ registry: registry.host, path: 'acme/app' });
  const error = await failureOf(() => client.findManifest('1.0'));
  expect(error.message).toContain(service.host);
  expect(error.hint).not.toContain('insecure-registries');
});
