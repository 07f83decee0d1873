import { sendJson } from '../../lab/parts/http.ts';
import { clientOf, opened } from './clients.ts';
import { pushImage } from './images.ts';
import { type Answer, type RegistryOptions, startRegistry } from './registry.ts';

export async function setUp(options: RegistryOptions = {}) {
  const registry = await opened(startRegistry(options));
  const contents = registry.repository('acme/app');
  return { registry, contents, image: pushImage(contents), client: clientOf(registry) };
}

export const answer =
  (status: number, code: string): Answer =>
  (_, response) =>
    sendJson(response, status, { errors: [{ code, message: code.toLowerCase() }] });
