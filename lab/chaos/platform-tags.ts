/** What the templates of the merge give, as their documentation says it. */

/** `-{{arch}}` gives 1.2.3-armv7 of 1.2.3 for linux/arm/v7, `-{{platform}}` 1.2.3-linux-arm-v7. */
export function tagOfPlatform(tag: string, suffix: string, platform: string): string {
  return `${tag}${fill(suffix, platform)}`;
}

/** The tag that keeps a manifest. @param platform `unknown/unknown` for an attestation manifest */
export function keepTag(template: string, digest: string, platform: string): string {
  const hex = digest.replace('sha256:', '');
  return fill(template.replace('{{digest}}', hex).replace('{{short}}', hex.slice(0, 12)), platform);
}

/** Whether a tag is one that the template could give to a manifest: it ends in its digest. */
export function isKeptBy(template: string, tag: string, digest: string): boolean {
  const hex = digest.replace('sha256:', '');
  return tag.endsWith(template.includes('{{digest}}') ? `-${hex}` : `-${hex.slice(0, 12)}`);
}

function fill(template: string, platform: string): string {
  const [, architecture = '', variant = ''] = platform.split('/');
  return template
    .replace('{{arch}}', `${architecture}${variant}`)
    .replace('{{platform}}', platform.replaceAll('/', '-'));
}
