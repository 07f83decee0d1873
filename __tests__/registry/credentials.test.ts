import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { keepSecret } from '../../src/errors.ts';
import { Credentials } from '../../src/registry/credentials.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const AUTH = base64('user:pass:with:colons');
const LOGIN = { kind: 'password', username: 'user', password: 'pass:with:colons' };

/** A login folder with this config.json. */
function login(config: unknown): Credentials {
  const folder = temporaryFolder();
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  writeFileSync(path.join(folder, 'config.json'), text);
  return new Credentials({ DOCKER_CONFIG: folder });
}

describe('a login', () => {
  it.each([
    'ghcr.io',
    'https://ghcr.io',
    'https://ghcr.io/',
    'https://ghcr.io/v2/',
    'https://ghcr.io/v2',
    'https://ghcr.io/v1/',
  ])('is found under %s', async key => {
    const credentials = login({ auths: { [key]: { auth: AUTH } } });
    expect(await credentials.find('ghcr.io')).toEqual(LOGIN);
    expect(await credentials.find('ghcr.io', 'acme/app')).toEqual(LOGIN);
  });

  it.each([
    'https://index.docker.io/v1/',
    'https://index.docker.io/v2/',
    'index.docker.io',
    'docker.io',
    'https://docker.io',
    'registry-1.docker.io',
    'https://registry-1.docker.io/v2/',
    'registry.hub.docker.com',
  ])('for Docker Hub is found under %s', async key => {
    expect(await login({ auths: { [key]: { auth: AUTH } } }).find('docker.io', 'acme/app')).toEqual(LOGIN);
  });

  it.each([
    'evilghcr.io',
    'ghcr.io.example.com',
    'ghcr.io:443',
    'https://ghcr.io/acme',
    'https://ghcr.io/v3/',
    'http://ghcr.io',
    'evilghcr.io/acme',
    'ghcr.io/acm',
    'ghcr.io/acme/app/deep',
    'acme/app',
  ])('for %s is not one for ghcr.io/acme/app', async key => {
    const credentials = login({ auths: { [key]: { auth: AUTH } } });
    expect(await credentials.find('ghcr.io', 'acme/app')).toBeUndefined();
    expect(await credentials.scopeOf('ghcr.io', 'acme/app')).toBe('ghcr.io');
  });

  it('for the longest part of a name comes first, as podman writes it', async () => {
    const entry = (name: string) => ({ auth: base64(`${name}:word`) });
    const credentials = login({
      auths: {
        'ghcr.io': entry('host'),
        'ghcr.io/acme/app': entry('app'),
        'ghcr.io/acme': entry('acme'),
        'docker.io/acme': entry('hub-acme'),
        'https://index.docker.io/v1/': entry('hub'),
      },
      credHelpers: { 'ghcr.io': 'absent' },
    });
    const nameOf = async (registry: string, repository: string) => {
      const found = await credentials.find(registry, repository);
      return [found?.kind === 'password' && found.username, await credentials.scopeOf(registry, repository)];
    };
    expect(await nameOf('ghcr.io', 'acme/app')).toEqual(['app', 'ghcr.io/acme/app']);
    expect(await nameOf('ghcr.io', 'acme/app/deep')).toEqual(['app', 'ghcr.io/acme/app']);
    expect(await nameOf('ghcr.io', 'acme/api')).toEqual(['acme', 'ghcr.io/acme']);
    expect(await nameOf('docker.io', 'acme/app')).toEqual(['hub-acme', 'docker.io/acme']);
    expect(await nameOf('docker.io', 'library/app')).toEqual(['hub', 'docker.io']);
  });

  it('for a part of a name that names no login leaves the one for the host', async () => {
    const credentials = login({ auths: { 'ghcr.io/acme': {}, 'ghcr.io': { auth: AUTH } } });
    expect(await credentials.find('ghcr.io', 'acme/app')).toEqual(LOGIN);
  });

  it('for Docker Hub is given to nobody whose name only ends like it', async () => {
    const credentials = login({ auths: { 'https://index.docker.io/v1/': { auth: AUTH } } });
    expect(await credentials.find('evildocker.io')).toBeUndefined();
  });

  it('keeps a host and its port apart', async () => {
    const credentials = login({ auths: { 'localhost:5000': { auth: AUTH } } });
    expect(await credentials.find('localhost:5000')).toEqual(LOGIN);
    expect(await credentials.find('localhost:5001')).toBeUndefined();
    expect(await credentials.find('localhost')).toBeUndefined();
  });

  it('is found where name and password stand apart', async () => {
    const { username, password } = LOGIN;
    expect(await login({ auths: { 'ghcr.io': { username, password } } }).find('ghcr.io')).toEqual(LOGIN);
  });

  it('with a refresh token is that, before the password', async () => {
    const credentials = login({ auths: { 'acr.example.com': { auth: AUTH, identitytoken: 'refresh' } } });
    expect(await credentials.find('acr.example.com')).toEqual({ kind: 'refresh-token', token: 'refresh' });
  });

  it('is none where there is no file, no entry, or an empty entry', async () => {
    expect(await new Credentials({ DOCKER_CONFIG: temporaryFolder() }).find('ghcr.io')).toBeUndefined();
    expect(await login({}).find('ghcr.io')).toBeUndefined();
    expect(await login({ auths: { 'ghcr.io': {} } }).find('ghcr.io')).toBeUndefined();
  });

  it('leaves what else stands in the file alone', async () => {
    const config = {
      auths: { 'ghcr.io': { auth: AUTH, email: 'x' } },
      HttpHeaders: { a: 1 },
      currentContext: 'c',
    };
    expect(await login(config).find('ghcr.io')).toEqual(LOGIN);
  });

  it.each([
    ['no JSON'],
    [5],
    [{ auths: 5 }],
    [{ auths: { 'ghcr.io': { auth: base64('nocolon') } } }],
    [{ auths: { 'ghcr.io': { auth: base64(':x') } } }],
  ])('in an illegible file is an error and not "anonymous": %j', async config => {
    const error = await failureOf(() => login(config).find('ghcr.io'));
    expect(error.code).toBe('credentials');
  });

  it.each([
    { auths: { 'ghcr.io': AUTH } },
    { auths: { 'ghcr.io': { identitytoken: [AUTH] } } },
    { auths: { 'ghcr.io': { auth: { value: AUTH } } } },
    `{"auths": {"ghcr.io": {"auth": ${AUTH}}}}`,
    AUTH,
    JSON.stringify(AUTH),
  ])('that is malformed is not shown in the error: %j', async config => {
    const error = await failureOf(() => login(config).find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).not.toContain(AUTH.slice(0, 8));
  });

  it('whose file is a folder is an error', async () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'config.json'));
    const error = await failureOf(() => new Credentials({ DOCKER_CONFIG: folder }).find('ghcr.io'));
    expect(error.code).toBe('credentials');
  });
});

/** A credential helper: a real program that answers by the server that it is asked about, and keeps what it was asked. */
function helper(script: string, config: object, timeout?: number) {
  const folder = temporaryFolder();
  const program = path.join(folder, 'docker-credential-test');
  const asked = path.join(folder, 'asked');
  writeFileSync(asked, '');
  writeFileSync(program, `#!/bin/sh\nserver=$(cat)\necho "$1 $server" >>'${asked}'\n${script}\n`);
  chmodSync(program, 0o755);
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const env = { DOCKER_CONFIG: folder, PATH: `${folder}:${process.env.PATH}` };
  return {
    credentials: new Credentials(env, timeout),
    asked: () => readFileSync(asked, 'utf8').trim().split('\n'),
  };
}

const answers = (username: string, secret: string): string =>
  `printf '{"ServerURL":"%s","Username":"${username}","Secret":"${secret}"}' "$server"`;
const NOT_FOUND = 'echo "credentials not found in native keychain"; exit 1';

describe('a credential helper', () => {
  it('is asked for the registry that it is named for, and before everything else', async () => {
    const config = {
      credHelpers: { 'ghcr.io': 'test' },
      auths: { 'ghcr.io': { auth: AUTH } },
      credsStore: 'other',
    };
    const { credentials, asked } = helper(answers('name', 'word'), config);
    expect(await credentials.find('ghcr.io')).toEqual({
      kind: 'password',
      username: 'name',
      password: 'word',
    });
    expect(asked()).toEqual(['get ghcr.io']);
  });

  it('is not asked for other registries', async () => {
    const { credentials, asked } = helper(answers('name', 'word'), { credHelpers: { 'ghcr.io': 'test' } });
    expect(await credentials.find('quay.io')).toBeUndefined();
    expect(asked()).toEqual(['']);
  });

  it('that is the store is asked for every registry, Docker Hub by its old address', async () => {
    const config = { credsStore: 'test', auths: { 'https://index.docker.io/v1/': {} } };
    const { credentials, asked } = helper(answers('name', 'word'), config);
    expect(await credentials.find('docker.io')).toMatchObject({ username: 'name' });
    expect(asked()).toEqual(['get https://index.docker.io/v1/']);
  });

  it('gives a refresh token where the user is <token>', async () => {
    const { credentials } = helper(answers('<token>', 'refresh'), { credsStore: 'test' });
    expect(await credentials.find('ghcr.io')).toEqual({ kind: 'refresh-token', token: 'refresh' });
  });

  it('that knows nothing of a registry makes it anonymous', async () => {
    const { credentials } = helper(NOT_FOUND, { credsStore: 'test' });
    expect(await credentials.find('ghcr.io')).toBeUndefined();
  });

  it('that fails otherwise is an error with what it said', async () => {
    const { credentials } = helper('echo "the vault is locked"; exit 1', { credsStore: 'test' });
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).toContain('the vault is locked');
  });

  it.each([
    ["printf 'user:se-cret-word'"],
    [`printf '{"Username":"u","Secret":["se-cret-word"]}'`],
    [`printf '"se-cret-word"'`],
    [`printf '{"Username":["se-cret-word"]}'`],
  ])('that answers something else is an error without what it said: %s', async script => {
    const { credentials } = helper(script, { credsStore: 'test' });
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).not.toContain('se-cret-word');
  });

  it('that fails with a word on stderr is an error with that word, in one line and without what is secret', async () => {
    keepSecret('the-known-password');
    const script = 'printf "no session\\n::error::the-known-password" >&2; exit 3';
    const { credentials } = helper(script, { credsStore: 'test' });
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).toContain('no session');
    expect(error.message).not.toMatch(/\n|the-known-password/);
  });

  it.each(['>&2; exit 1', '; exit 1'])('that fails with an answer does not show it: %s', async end => {
    const { credentials } = helper(`${answers('name', 'se-cret-word')} ${end}`, { credsStore: 'test' });
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.message).toContain('exit code 1');
    expect(error.message).not.toContain('se-cret');
  });

  it('that does not answer is given up', async () => {
    const { credentials } = helper('exec sleep 600', { credsStore: 'test' }, 1);
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).toContain('docker-credential-test did not answer within 0.001 s');
  });

  it('that never stops talking is ended', async () => {
    const { credentials } = helper('exec yes', { credsStore: 'test' });
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).toContain('more than any login needs');
  });

  it('that is not there is named', async () => {
    const { credentials } = helper('', { credsStore: 'absent' });
    const error = await failureOf(() => credentials.find('ghcr.io'));
    expect(error.code).toBe('credentials');
    expect(error.message).toContain('docker-credential-absent');
  });

  it('that ends without reading its input does no harm', async () => {
    const folder = temporaryFolder();
    const program = path.join(folder, 'docker-credential-deaf');
    writeFileSync(program, `#!/bin/sh\nprintf '{"Username":"u","Secret":"s"}'\n`);
    chmodSync(program, 0o755);
    writeFileSync(path.join(folder, 'config.json'), '{"credsStore":"deaf"}');
    const credentials = new Credentials({ DOCKER_CONFIG: folder, PATH: folder });
    expect(await credentials.find('ghcr.io')).toMatchObject({ username: 'u' });
  });
});
