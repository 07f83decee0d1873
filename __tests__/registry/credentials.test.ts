import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
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
  it.each(['ghcr.io', 'https://ghcr.io', 'https://ghcr.io/'])('is found under %s', async key => {
    expect(await login({ auths: { [key]: { auth: AUTH } } }).find('ghcr.io')).toEqual(LOGIN);
  });

  it.each(['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'])(
    'for Docker Hub is found under %s',
    async key => {
      expect(await login({ auths: { [key]: { auth: AUTH } } }).find('docker.io')).toEqual(LOGIN);
    },
  );

  it.each(['evilghcr.io', 'ghcr.io.example.com', 'ghcr.io:443', 'https://ghcr.io/acme', 'http://ghcr.io'])(
    'for %s is not one for ghcr.io',
    async key => {
      expect(await login({ auths: { [key]: { auth: AUTH } } }).find('ghcr.io')).toBeUndefined();
    },
  );

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
function helper(script: string, config: object) {
  const folder = temporaryFolder();
  const program = path.join(folder, 'docker-credential-test');
  const asked = path.join(folder, 'asked');
  writeFileSync(asked, '');
  writeFileSync(program, `#!/bin/sh\nserver=$(cat)\necho "$1 $server" >>'${asked}'\n${script}\n`);
  chmodSync(program, 0o755);
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const env = { DOCKER_CONFIG: folder, PATH: `${folder}:${process.env.PATH}` };
  return { credentials: new Credentials(env), asked: () => readFileSync(asked, 'utf8').trim().split('\n') };
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
