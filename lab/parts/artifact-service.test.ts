import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultArtifactClient } from '@actions/artifact';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ArtifactService, startArtifactService } from './artifact-service.ts';

// The real client of the field, over real HTTP: nobody knows the protocol better.
const client = new DefaultArtifactClient();
let service: ArtifactService;
let directory: string;

beforeEach(async () => {
  service = await startArtifactService();
  directory = mkdtempSync(join(tmpdir(), 'manifold-artifacts-'));
  // The client talks to the log by standard output.
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  become('1001', 'build');
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
  await service.close();
});

function become(run: string, job: string, attempt = 1): void {
  for (const [name, value] of Object.entries(service.jobEnvironment(run, job, attempt)))
    vi.stubEnv(name, value);
}

async function upload(file: string, text: string, skipArchive = true) {
  writeFileSync(join(directory, file), text);
  return client.uploadArtifact(file, [join(directory, file)], directory, { skipArchive, retentionDays: 1 });
}

test('a raw file goes up and comes down under its name, with its digest', async () => {
  const up = await upload('record.json', '{"a":1}');
  const { artifacts } = await client.listArtifacts();
  expect(artifacts).toMatchObject([
    { name: 'record.json', id: up.id, size: 7, digest: `sha256:${up.digest}` },
  ]);
  const path = join(directory, 'down');
  const options = { path, expectedHash: `sha256:${up.digest}` };
  expect(await client.downloadArtifact(up.id ?? 0, options)).toMatchObject({ digestMismatch: false });
  expect(readFileSync(join(path, 'record.json'), 'utf8')).toBe('{"a":1}');
  expect(service.artifacts('1001')[0]).toMatchObject({
    mimeType: 'application/json',
    job: 'build',
    attempt: 1,
  });
});

test('an archive of several blocks is put together and unpacked', async () => {
  const text = 'x'.repeat(20_000_000);
  writeFileSync(join(directory, 'big.txt'), text);
  const up = await client.uploadArtifact('big', [join(directory, 'big.txt')], directory, {
    compressionLevel: 0,
  });
  const path = join(directory, 'down');
  await client.downloadArtifact(up.id ?? 0, { path });
  expect(readFileSync(join(path, 'big.txt'), 'utf8') === text).toBe(true);
});

test('a name is taken once in a run', async () => {
  await upload('record.json', 'first');
  await expect(upload('record.json', 'second')).rejects.toThrow(/\(409\).*already exists/);
});

test('runs do not see each other', async () => {
  const up = await upload('record.json', 'mine');
  become('1002', 'merge');
  expect((await client.listArtifacts()).artifacts).toEqual([]);
  await expect(client.getArtifact('record.json')).rejects.toThrow(/not found/);
  await expect(client.downloadArtifact(up.id ?? 0, { path: directory })).rejects.toThrow(
    /No artifacts found/,
  );
  await upload('record.json', 'theirs');
});

test('a later attempt sees what the earlier one left, and the newest of a name wins', async () => {
  await upload('record.json', 'first');
  become('1001', 'build', 2);
  await upload('record.json', 'second');
  expect((await client.listArtifacts()).artifacts).toHaveLength(2);
  const { artifacts } = await client.listArtifacts({ latest: true });
  expect(artifacts).toMatchObject([{ size: 6 }]);
  become('1001', 'build', 1);
  expect((await client.listArtifacts()).artifacts).toHaveLength(1);
  become('1001', 'build', 3);
  service.startAfresh('1001', 3);
  expect((await client.listArtifacts()).artifacts).toEqual([]);
});

test('an artifact can be listed and yet be withheld', async () => {
  const old = await upload('record.json', 'first');
  become('1001', 'build', 2);
  service.withhold(artifact => artifact.attempt < 2);
  const download = client.downloadArtifact(old.id ?? 0, { path: directory });
  await expect(download).rejects.toThrow(/\(404\).*workflow run not found/);
  // The REST path reaches every attempt.
  vi.stubEnv('GITHUB_API_URL', service.url);
  const listed = await fetch(`${service.url}/repos/acme/widget/actions/runs/1001/artifacts?per_page=100`, {
    headers: { authorization: `Bearer ${service.restToken}` },
  });
  const { artifacts } = (await listed.json()) as { artifacts: { archive_download_url: string }[] };
  const file = await fetch(artifacts[0]?.archive_download_url ?? '', {
    headers: { authorization: `Bearer ${service.restToken}` },
  });
  expect(await file.text()).toBe('first');
});

test('bytes that were changed behind its back are noticed by their digest', async () => {
  const up = await upload('record.json', 'true');
  service.tamper({ run: '1001', name: 'record.json' }, Buffer.from('false'));
  const options = { path: directory, expectedHash: `sha256:${up.digest}` };
  expect(await client.downloadArtifact(up.id ?? 0, options)).toMatchObject({ digestMismatch: true });
});

test('a deleted artifact is gone', async () => {
  await upload('record.json', 'text');
  await client.deleteArtifact('record.json');
  expect(service.artifacts()).toEqual([]);
});

test('a token that the service did not make is refused', async () => {
  const forged = service.runtimeToken('1001', 'build').replace(/\.[^.]*$/, '.AAAA');
  vi.stubEnv('ACTIONS_RUNTIME_TOKEN', forged);
  await expect(client.listArtifacts()).rejects.toThrow(/\(401\)/);
});
