import { formatPlatform } from '../oci/platform.ts';
import type { NamedTag, TagReport } from '../publish/move-tags.ts';
import type { Publication } from '../publish/publication.ts';
import type { SigningReport } from '../publish/sign.ts';
import { mergeSummary, verifyCommand } from '../report/summary.ts';
import type { Runner } from '../runner/actions.ts';

/** What a merge did. */
export interface MergeResult {
  readonly publications: readonly Publication[];
  readonly tags: TagReport;
  /** Undefined when nothing was signed, as asked. */
  readonly signing: SigningReport | undefined;
  readonly trustedRoot?: string | undefined;
}

/** Tells what a merge did: to later steps as outputs, to people in the log and on the summary page. */
export async function report(runner: Runner, result: MergeResult): Promise<void> {
  const { publications, tags } = result;
  const set = tags.set.map(({ name }) => name);
  for (const tag of tags.set) runner.info(`Tagged ${tag.name} (${cameFrom(tag)}).`);
  for (const { name, reason } of tags.kept) runner.warning(`${name} stays where it is: ${reason}.`);
  const digests = publications.map(({ image }) => image.content.digest);
  if (digests.length === 1) runner.output('digest', digests[0] as string);
  runner.output('tags', set.join('\n'));
  runner.output('unmoved-tags', tags.kept.map(({ name }) => name).join('\n'));
  runner.output('json', JSON.stringify({ components: componentsOf(result) }));
  for (const publication of publications) {
    const command = checkOf(publication, result);
    if (command !== undefined) runner.info(`Check ${publication.component}:\n${command}`);
    await runner.summary(pageOf(publication, result, command));
  }
}

function namesOf({ targets }: Publication): string[] {
  return targets.map(({ client }) => client.name);
}

/** What a tag pointed at before, in words. */
function cameFrom({ was, content }: TagReport['set'][number]): string {
  if (was === undefined) return 'new';
  return was === content.digest ? 'as before' : `was ${was}`;
}

/** The tags of one component among those of all. */
function tagsOf({ component }: Publication, { tags }: MergeResult) {
  const isOurs = (tag: NamedTag): boolean => tag.component === component;
  return {
    tags: tags.set.filter(isOurs).map(({ name }) => name),
    kept: tags.kept.filter(isOurs).map(({ name, reason }) => ({ name, reason })),
  };
}

function checkOf(publication: Publication, { signing, trustedRoot }: MergeResult): string | undefined {
  if (signing === undefined) return undefined;
  const [first] = namesOf(publication);
  return verifyCommand(signing.identity, `${first}@${publication.image.content.digest}`, trustedRoot);
}

function pageOf(publication: Publication, result: MergeResult, check: string | undefined): string {
  const { component, image } = publication;
  return mergeSummary({
    component,
    repositories: namesOf(publication),
    index: image.content,
    images: image.platforms,
    ...tagsOf(publication, result),
    missing: image.missing,
    check,
  });
}

/** What later steps read of the merge, by component. */
function componentsOf(result: MergeResult): Record<string, object> {
  const { publications, signing } = result;
  return Object.fromEntries(
    publications.map(publication => {
      const { component, image } = publication;
      const { digest, mediaType } = image.content;
      const platforms = image.platforms.map(({ platform, manifest, attestations }) => ({
        platform: formatPlatform(platform),
        digest: manifest.digest,
        attestations: attestations.map(attestation => attestation.digest),
      }));
      const { tags, kept } = tagsOf(publication, result);
      const told = {
        digest,
        mediaType,
        images: namesOf(publication),
        tags,
        unmoved: kept,
        platforms,
        missing: image.missing.map(formatPlatform),
        signed: signing === undefined ? null : { ...signing.identity, ...signing.subjects.get(component) },
      };
      return [component, told];
    }),
  );
}
