import { describe, expect, it } from 'vitest';
import { chooseNode } from '../../src/buildx/preflight.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { failureOf } from '../servers/clients.ts';

const AMD64 = parsePlatform('linux/amd64');

const builder = (driver: string, ...platforms: (string | undefined)[]) => ({
  name: 'builder',
  driver,
  nodes: platforms.map((list, number) => ({
    name: `node${number}`,
    buildkit: 'v0.34.2',
    ...(list === undefined ? {} : { platforms: list }),
  })),
});

const choose = (driver: string, platform: string, ...lists: (string | undefined)[]) =>
  chooseNode(builder(driver, ...lists), parsePlatform(platform), AMD64);

describe('a builder', () => {
  it('with the driver docker is refused with the step to add', async () => {
    const error = await failureOf(() => choose('docker', 'linux/amd64', 'linux/amd64'));
    expect(error.code).toBe('builder-unsuitable');
    expect(error.message).toContain('"docker"');
    expect(error.hint).toContain('docker/setup-buildx-action');
  });

  it('that lacks the platform is refused with what it has and what to do', async () => {
    const error = await failureOf(() => choose('docker-container', 'linux/arm64', 'linux/amd64,linux/386'));
    expect(error.code).toBe('builder-unsuitable');
    expect(error.message).toContain('cannot build linux/arm64. It builds: linux/amd64, linux/386.');
    expect(error.hint).toContain('docker/setup-qemu-action');
  });

  it('that says nothing of platforms is refused', async () => {
    expect((await failureOf(() => choose('docker-container', 'linux/amd64', undefined))).message).toContain(
      'It builds: none',
    );
  });

  it('gives the node that builds the platform', () => {
    const node = choose('docker-container', 'linux/arm64', 'linux/amd64', 'linux/arm64/v8');
    expect(node).toEqual({ name: 'node1', driver: 'docker-container', buildkit: 'v0.34.2', emulated: true });
  });

  it('may list a variant that we have no name for, and a star for what is preferred', () => {
    expect(
      choose('docker-container', 'linux/amd64', 'linux/amd64/v2, weird/thing/x/y,linux/amd64').name,
    ).toBe('node0');
  });

  it('on this machine builds natively what this machine runs', () => {
    const all = 'linux/amd64,linux/amd64/v2,linux/arm64,linux/386';
    expect(choose('docker-container', 'linux/amd64', all).emulated).toBe(false);
    expect(choose('docker-container', 'linux/amd64/v2', all).emulated).toBe(false);
    expect(choose('docker-container', 'linux/386', all).emulated).toBe(false);
    expect(choose('docker-container', 'linux/arm64', all).emulated).toBe(true);
  });

  it('elsewhere builds natively what it names first', () => {
    expect(choose('remote', 'linux/arm64', 'linux/arm64,linux/arm/v7,linux/amd64').emulated).toBe(false);
    expect(choose('remote', 'linux/arm/v7', 'linux/arm64,linux/arm/v7,linux/amd64').emulated).toBe(false);
    expect(choose('remote', 'linux/amd64', 'linux/arm64,linux/arm/v7,linux/amd64').emulated).toBe(true);
    expect(choose('kubernetes', 'linux/amd64', 'linux/amd64,linux/arm64').emulated).toBe(false);
  });
});
