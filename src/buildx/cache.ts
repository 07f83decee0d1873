import { formatPlatform, type Platform } from '../oci/platform.ts';

/**
 * Gives an entry of `cache-from` or `cache-to` a scope of its own where GitHub's cache is meant and none is named: all
 * builds of a repository would else overwrite the one scope "buildkit" (docs.docker.com, "GitHub Actions cache"), so that
 * each platform finds the other's cache and builds from scratch. A scope that somebody chose stays.
 * @param entry `type=gha,mode=max`
 */
export function withCacheScope(entry: string, component: string, platform: Platform): string {
  const attributes = entry.split(',').map(attribute => attribute.trim().toLowerCase());
  if (!attributes.includes('type=gha')) return entry;
  if (attributes.some(attribute => attribute.startsWith('scope='))) return entry;
  return `${entry},scope=${component}-${formatPlatform(platform).replaceAll('/', '-')}`;
}
