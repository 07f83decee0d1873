import { describe, expect, it } from 'vitest';
import { type BuildOptions, buildArguments } from '../../src/buildx/command.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { parseRepository } from '../../src/oci/reference.ts';

const LEAST: BuildOptions = {
  platform: parsePlatform('linux/arm/v7'),
  images: [parseRepository('ghcr.io/acme/app')],
  context: '.',
  format: 'oci',
  insecureRegistries: new Set(),
  builder: undefined,
  file: undefined,
  target: undefined,
  buildArgs: [],
  labels: [],
  cacheFrom: [],
  cacheTo: [],
  attestations: [],
  secretVariables: {},
  metadataFile: 'metadata.json',
  imageIdFile: 'image-id',
};

describe('the arguments of buildx', () => {
  it('are these for the least that a build needs', () => {
    expect(buildArguments(LEAST)).toEqual([
      'build',
      ...['--iidfile', 'image-id'],
      ...['--metadata-file', 'metadata.json'],
      ...[
        '--output',
        'type=image,"name=ghcr.io/acme/app",push-by-digest=true,name-canonical=true,push=true,oci-mediatypes=true',
      ],
      ...['--platform', 'linux/arm/v7'],
      '.',
    ]);
  });

  it('are these for everything', () => {
    const options = {
      ...LEAST,
      images: ['ghcr.io/acme/app', 'alpine'].map(parseRepository),
      context: 'https://github.com/acme/app.git#abc',
      builder: 'builder0',
      file: 'Containerfile',
      target: 'final',
      buildArgs: ['A=1', 'B=two words, and "quotes"'],
      labels: ['a=b', 'c=$(d)'],
      cacheFrom: ['type=gha', 'type=registry,ref=x'],
      cacheTo: ['type=gha,mode=max'],
      attestations: ['type=provenance,mode=max'],
      secretVariables: { 'GIT_AUTH_TOKEN.github.com': 'THE_TOKEN' },
    };
    expect(buildArguments(options)).toEqual([
      'build',
      ...['--attest', 'type=provenance,mode=max'],
      ...['--build-arg', 'A=1', '--build-arg', 'B=two words, and "quotes"'],
      ...['--builder', 'builder0'],
      ...['--cache-from', 'type=gha', '--cache-from', 'type=registry,ref=x'],
      ...['--cache-to', 'type=gha,mode=max'],
      ...['--file', 'Containerfile'],
      ...['--iidfile', 'image-id'],
      ...['--label', 'a=b', '--label', 'c=$(d)'],
      ...['--metadata-file', 'metadata.json'],
      '--output',
      'type=image,"name=ghcr.io/acme/app,docker.io/library/alpine",push-by-digest=true,name-canonical=true,push=true,oci-mediatypes=true',
      ...['--platform', 'linux/arm/v7'],
      ...['--secret', 'id=GIT_AUTH_TOKEN.github.com,env=THE_TOKEN'],
      ...['--target', 'final'],
      'https://github.com/acme/app.git#abc',
    ]);
  });

  it('ask for Docker media types, and for plain HTTP, where that is wanted for all names', () => {
    const images = ['vm:5000/acme/app', 'other:5000/acme/app'].map(parseRepository);
    const outputOf = (...hosts: string[]): string | undefined => {
      const args = buildArguments({ ...LEAST, images, format: 'docker', insecureRegistries: new Set(hosts) });
      return args[args.indexOf('--output') + 1];
    };
    expect(outputOf('vm:5000')).toMatch(/,oci-mediatypes=false$/);
    expect(outputOf('vm:5000', 'other:5000')).toMatch(/,oci-mediatypes=false,registry\.insecure=true$/);
  });

  it('never hold a tag', () => {
    expect(buildArguments(LEAST)).not.toContain('--tag');
  });
});
