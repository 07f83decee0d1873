import { describe, expect, it } from 'vitest';
import { imagesOf, readImages, readImageTemplates } from '../../src/inputs/image-templates.ts';
import { InputReader } from '../../src/inputs/reader.ts';
import { formatRepository } from '../../src/oci/reference.ts';
import { failureOf } from '../servers/clients.ts';
import { step } from './step.ts';

const read = (images: string) => readImageTemplates(new InputReader(step({ images })));
const named = (images: string, component = 'app') =>
  imagesOf(read(images) ?? [], component).map(formatRepository);

describe('the images of a merge', () => {
  it.each(['', ' \n', '# ghcr.io/acme/app'])('are not given by %j', text => {
    expect(read(text)).toBeUndefined();
  });

  it('are names by line or comma', () => {
    expect(named('ghcr.io/acme/app, quay.io/acme/app,\nacme/app')).toEqual([
      'ghcr.io/acme/app',
      'quay.io/acme/app',
      'docker.io/acme/app',
    ]);
  });

  it('are each there once, however they are written', () => {
    expect(named('acme/app\ndocker.io/acme/app, acme/app\nname=acme/app')).toEqual(['docker.io/acme/app']);
  });

  it('are names as docker/metadata-action takes them, one a line', () => {
    const text = 'name=ghcr.io/acme/app,enable=true\nname=quay.io/acme/app,enable=false\nname=acme/app';
    expect(named(text)).toEqual(['ghcr.io/acme/app', 'docker.io/acme/app']);
  });

  it.each(['{{component}}', '{{ component }}', '{{  component}}'])(
    'have the component in the place of %s',
    word => {
      const text = `ghcr.io/acme/${word}\nname=quay.io/acme/all-${word},enable=true`;
      expect(named(text, 'app-api')).toEqual(['ghcr.io/acme/app-api', 'quay.io/acme/all-app-api']);
    },
  );

  it.each(['ghcr.io/acme/{{componnet}}', 'name=ghcr.io/acme/{{name}}', 'ghcr.io/{{owner}}/{{component}}'])(
    'know one placeholder only: %s',
    async text => {
      const error = await failureOf(() => read(text));
      expect(error.code).toBe('invalid-reference');
      expect(error.message).toMatch(/"images" holds \{\{(?:componnet|name|owner)\}\}/);
      expect(error.hint).toBe('Only {{component}} is known, in the images of a merge.');
    },
  );

  it('may have any name where they are not enabled', () => {
    expect(named('acme/app\nname={{none}},enable=false')).toEqual(['docker.io/acme/app']);
  });

  it('are all disabled: that is said, and not taken for absent', async () => {
    const error = await failureOf(() => read('name=ghcr.io/acme/app,enable=false'));
    expect(error.code).toBe('invalid-input');
    expect(error.message).toContain('enable=false');
  });

  it.each([
    ['ghcr.io/acme/app:1', 'invalid-reference'],
    ['ghcr.io/acme/App', 'invalid-reference'],
    ['ghcr.io/acme/{{name}}', 'invalid-reference'],
    ['name=ghcr.io/acme/app,enable=maybe', 'invalid-input'],
    ['name=ghcr.io/acme/app,tag=1', 'invalid-input'],
    ['name=,enable=true', 'invalid-input'],
  ])('%j are refused when they are read', async (text, code) => {
    const error = await failureOf(() => read(text));
    expect(error.code).toBe(code);
    expect(error.hint).toBeTruthy();
  });
});

it('the images of a build know no placeholder', async () => {
  const images = new InputReader(step({ images: 'ghcr.io/acme/{{component}}' }));
  const error = await failureOf(() => readImages(images));
  expect(error.code).toBe('invalid-reference');
  expect(error.message).toContain('{{component}}');
  expect(error.hint).toBe('Only {{component}} is known, in the images of a merge.');
});
