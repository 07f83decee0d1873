import { describe, expect, it } from 'vitest';
import { PASSWORD } from '../servers/protected.ts';
import { acr } from './fakes/acr.ts';
import { dockerHub } from './fakes/docker-hub.ts';
import { ecr } from './fakes/ecr.ts';
import { ghcr } from './fakes/ghcr.ts';
import { builtAt } from './run.ts';

describe('a merge into GHCR, Docker Hub, ECR and ACR at once', () => {
  it('gives one digest under the same tags in each', async () => {
    const run = await builtAt(await ghcr(), await dockerHub(), await ecr(), await acr());
    const { digest } = (await run.merge()).outputs;
    for (const position of [0, 1, 2, 3])
      expect(run.tags(position)).toEqual({ '1.0': digest, latest: digest });
  });

  it('brings each login only to the registry that it is for', async () => {
    const fakes = [await ghcr(), await dockerHub(), await ecr(), await acr()];
    const run = await builtAt(...fakes);
    await run.merge({ sign: [] });
    const basic = (user: string) => `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString('base64')}`;
    const seen = run.registries.map(({ log }) => {
      const headers = log.map(({ headers: { authorization = '' } }) => authorization);
      return [...new Set(headers.filter(header => header.startsWith('Basic')))];
    });
    // GHCR's token service is on its own host, Docker Hub's is not, and ACR was given a refresh token.
    expect(seen).toEqual([[basic('ci')], [], [basic('AWS')], []]);
    expect(fakes.map(({ tokens }) => tokens?.asked[0]?.user)).toEqual(['ci', 'ci', undefined, '<token>']);
  });
});
