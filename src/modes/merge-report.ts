import { formatPlatform } from '../oci/platform.ts';
import type { NamedTag, TagReport } from '../publish/move-tags.ts';
import type { Publication } from '../publish/publication.ts';
import type { SigningReport } from '../publish/sign.ts';
import { mergeSummary } from '../report/summary.ts';
import { type SignedAs, type VerifyCommand, verifyCommands } from '../report/verify-commands.ts';
import type { Runner } from '../runner/actions.ts';
import type { Signatory } from '../sign/identity.ts';

/** What a merge did. */
export interface MergeResult {
  readonly publications: readonly Publication[];
  readonly tags: TagReport;
  /** Undefined when nothing was signed, as asked. */
  readonly signing: (SigningReport & SignedAs) | undefined;
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
    const checks = checksOf(publication, result);
    for (const { title, command } of checks)
      runner.info(`Check ${publication.component} by ${title}:\n${command}`);
    await runner.summary(pageOf(publication, result, checks));
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

function checksOf(publication: Publication, { signing }: MergeResult): VerifyCommand[] {
  if (signing === undefined) return [];
  const [first] = namesOf(publication);
  return verifyCommands(`${first}@${publication.image.content.digest}`, signing);
}

function pageOf(publication: Publication, result: MergeResult, checks: readonly VerifyCommand[]): string {
  const { component, image } = publication;
  return mergeSummary({
    component,
    repositories: namesOf(publication),
    index: image.content,
    images: image.platforms,
    ...tagsOf(publication, result),
    missing: image.missing,
    checks,
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
        signed: signing === undefined ? null : signedOf(component, signing),
      };
      return [component, told];
    }),
  );
}

/** Who signed, in which formats, and how many signatures there are. */
function signedOf(component: string, { signatories, formats, subjects }: SigningReport & SignedAs): object {
  const by = signatories.map((signatory: Signatory) =>
    signatory.kind === 'key'
      ? { key: signatory.fingerprint }
      : { identity: signatory.identity.name, issuer: signatory.identity.issuer },
  );
  return { by, formats, ...subjects.get(component) };
}
