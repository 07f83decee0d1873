import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePlatform } from '../../src/oci/platform.ts';
import { collectRecords } from '../../src/records/collect.ts';
import { FolderStore } from '../../src/records/folder-store.ts';
import { formatRecordName } from '../../src/records/name.ts';
import { formatRecord } from '../../src/records/record.ts';
import { failureOf, temporaryFolder } from '../servers/clients.ts';
import { made, ORIGIN, recordOf, TYPES } from '../servers/images.ts';

const nameOf = (platform: string, attempt = 1): string =>
  formatRecordName({ component: 'app', platform: parsePlatform(platform), attempt });
const record = (platform: string, attempt = 1) =>
  recordOf(made(TYPES.index, `${platform} ${attempt}`), platform, { source: { runAttempt: attempt } });

async function save(folder: string, platform: string, attempt = 1) {
  const kept = record(platform, attempt);
  await new FolderStore(folder).save(nameOf(platform, attempt), formatRecord(kept));
  return kept;
}

describe('records in a folder', () => {
  it('come back as they were, the newest attempt of each platform', async () => {
    const folder = path.join(temporaryFolder(), 'made', 'here');
    await save(folder, 'linux/amd64');
    const renewed = await save(folder, 'linux/amd64', 2);
    const other = await save(folder, 'linux/arm/v7');
    const { builds } = await collectRecords(new FolderStore(folder), ORIGIN);
    expect(builds).toHaveLength(2);
    expect(builds).toEqual(expect.arrayContaining([renewed, other]));
    expect(readdirSync(folder)).toHaveLength(3);
  });

  it('are found in subfolders, where downloads of several uploads put them', async () => {
    const folder = temporaryFolder();
    const [one, two] = [
      await save(path.join(folder, 'a'), 'linux/amd64'),
      await save(path.join(folder, 'b'), 'linux/arm64'),
    ];
    const { builds } = await collectRecords(new FolderStore(folder), ORIGIN);
    expect(builds).toEqual(expect.arrayContaining([one, two]));
  });

  it('do not include other files, nor what was half written', async () => {
    const folder = temporaryFolder();
    await save(folder, 'linux/amd64');
    writeFileSync(path.join(folder, 'notes.txt'), 'nothing');
    writeFileSync(path.join(folder, `${nameOf('linux/arm64')}.part`), '{');
    mkdirSync(path.join(folder, nameOf('linux/s390x')));
    expect((await collectRecords(new FolderStore(folder), ORIGIN)).builds).toHaveLength(1);
  });

  it('that are there twice are refused, as nothing tells which is meant', async () => {
    const folder = temporaryFolder();
    await save(path.join(folder, 'today'), 'linux/amd64');
    await save(path.join(folder, 'yesterday'), 'linux/amd64');
    const error = await failureOf(() => collectRecords(new FolderStore(folder), ORIGIN));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain(`"${nameOf('linux/amd64')}" twice`);
  });

  it('may lie beside what bears a name that is nearly ours, be it there twice', async () => {
    const folder = temporaryFolder();
    await save(folder, 'linux/amd64');
    for (const part of ['a', 'b']) {
      mkdirSync(path.join(folder, part));
      writeFileSync(path.join(folder, part, 'manifold-sbom.json'), '{}');
    }
    expect((await collectRecords(new FolderStore(folder), ORIGIN)).builds).toHaveLength(1);
  });

  it.each(['manifold-plan.1', nameOf('linux/amd64')])('are refused when %s is there twice', async name => {
    const folder = temporaryFolder();
    for (const part of ['a', 'b']) {
      mkdirSync(path.join(folder, part));
      writeFileSync(path.join(folder, part, name), '{}');
    }
    const error = await failureOf(() => new FolderStore(folder).list());
    expect(error.message).toContain(`"${name}" twice`);
  });

  it('of which one is an archive are refused without a word of uploads', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, nameOf('linux/amd64')), 'PK\u0003\u0004...');
    const error = await failureOf(() => collectRecords(new FolderStore(folder), ORIGIN));
    expect(error.message).toMatch(/^The file ".*" is a ZIP archive/);
    expect(error.hint).toContain('take it out of the folder');
    expect(error.hint).not.toContain('upload');
  });

  it('under an illegible name are refused without a word of uploads', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'manifold-build.oops'), '{}');
    const error = await failureOf(() => collectRecords(new FolderStore(folder), ORIGIN));
    expect(error.hint).toContain('rename');
    expect(error.hint).not.toContain('upload');
  });

  it('that are much too long are refused before they are read', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, nameOf('linux/amd64')), '');
    truncateSync(path.join(folder, nameOf('linux/amd64')), 9_000_000_000);
    const error = await failureOf(() => collectRecords(new FolderStore(folder), ORIGIN));
    expect(error.code).toBe('invalid-record');
    expect(error.message).toContain('9000000000 bytes');
  });

  it('that went between listing and reading are an error', async () => {
    const folder = temporaryFolder();
    await save(folder, 'linux/amd64');
    const [file] = await new FolderStore(folder).list();
    rmSync(path.join(folder, nameOf('linux/amd64')));
    const error = await failureOf(() => file?.read());
    expect(error.code).toBe('record-store');
    expect(error.message).toContain(nameOf('linux/amd64'));
  });

  it('of a folder that is not there are an error that says what the path means', async () => {
    const error = await failureOf(() => new FolderStore(path.join(temporaryFolder(), 'absent')).list());
    expect(error.code).toBe('record-store');
    expect(error.hint).toContain('relative to the workspace');
  });

  it('that cannot be written are an error', async () => {
    const file = path.join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    const error = await failureOf(() =>
      new FolderStore(file).save('manifold-build.app.linux-amd64.1', Buffer.from('{}')),
    );
    expect(error.code).toBe('record-store');
  });
});
