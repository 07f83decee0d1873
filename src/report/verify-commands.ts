import type { SignatureFormat } from '../sign/finding.ts';
import type { Signatory } from '../sign/identity.ts';

/** How an image was signed, as far as it matters to who checks it. */
export interface SignedAs {
  readonly signatories: readonly Signatory[];
  readonly formats: readonly SignatureFormat[];
  /** The file that describes a Sigstore of one's own; undefined for the public one. */
  readonly trustedRoot: string | undefined;
  /** Whether the time of a bundle stands in a time stamp only, as its log (Rekor of version 2) gives none. */
  readonly hasTimestampsOnly: boolean;
  /** Whether what a key has signed is in a log. */
  readonly isKeyLogged: boolean;
}

/** A command for consumers, and the tool that it is for. */
export interface VerifyCommand {
  readonly title: string;
  readonly command: string;
}

/**
 * The commands by which a consumer checks what was signed, for each who signed: by today's cosign, and by older ones where
 * they need other words.
 * @param reference name and digest, or tag, of the image
 */
export function verifyCommands(reference: string, signed: SignedAs): VerifyCommand[] {
  return signed.signatories.flatMap(signatory => commandsOf(signatory, reference, signed));
}

function commandsOf(signatory: Signatory, reference: string, signed: SignedAs): VerifyCommand[] {
  const { trustedRoot } = signed;
  const isKey = signatory.kind === 'key';
  const flags = [
    ...(trustedRoot === undefined ? [] : [`--trusted-root ${shellQuote(trustedRoot)}`]),
    ...(isKey && !signed.isKeyLogged ? ['--insecure-ignore-tlog'] : []),
    ...signatoryFlags(signatory),
  ];
  const note = isKey ? ', with your public key in cosign.pub' : '';
  const command = commandLine(flags, reference);
  // cosign 2.6 judges a bundle wherever there is one, also beside a legacy signature.
  const needsTime = !isKey && signed.formats.includes('bundle') && signed.hasTimestampsOnly;
  if (!needsTime) return [{ title: `${readersOf(isKey, signed)}${note}`, command }];
  return [
    { title: 'cosign 3', command },
    { title: 'cosign 2.6', command: commandLine([...flags, '--use-signed-timestamps'], reference) },
  ];
}

/** Which releases of cosign understand the same command. */
function readersOf(isKey: boolean, { formats, trustedRoot }: SignedAs): string {
  if (trustedRoot !== undefined) return 'cosign 2.6 or newer';
  // Wherever there is a bundle, cosign 2.6 wants a trusted root, also where a key decides alone.
  if (isKey && formats.includes('bundle')) return 'cosign 3 (cosign 2.6 asks the public Sigstore besides)';
  return formats.includes('legacy') ? 'cosign 2 or newer' : 'cosign 2.6 or newer';
}

function signatoryFlags(signatory: Signatory): string[] {
  if (signatory.kind === 'key') return ['--key cosign.pub'];
  const { name, issuer } = signatory.identity;
  const source = signatory.claims?.sourceRepository;
  // A reusable workflow has one name for all who call it: whose run it was tells them apart.
  const isCalled = source !== undefined && !name.startsWith(`${source}/`);
  return [
    `--certificate-identity ${shellQuote(name)}`,
    `--certificate-oidc-issuer ${shellQuote(issuer)}`,
    ...(isCalled
      ? [`--certificate-github-workflow-repository ${shellQuote(new URL(source).pathname.slice(1))}`]
      : []),
  ];
}

function commandLine(flags: readonly string[], reference: string): string {
  return ['cosign verify', ...flags.map(flag => `  ${flag}`), `  ${shellQuote(reference)}`].join(' \\\n');
}

function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
