import { ManifoldError, oneLine } from '../errors.ts';
import { formatPlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { type RegistryInputs, readRegistryInputs, refuseForeign } from './common.ts';
import { type InputReader, missing, uniqueBy } from './reader.ts';

const REQUIREMENTS = ['signatures', 'provenance', 'sbom'] as const;

/** A text that something must be, or an expression that must describe it as a whole. */
export type Wording = { readonly exact: string } | { readonly expression: string };

export interface VerifyInputs extends RegistryInputs {
  readonly mode: 'verify';
  /** Each by tag or digest. */
  readonly images: readonly Reference[];
  /** Who may have signed; undefined: what this workflow is. Nothing of it where there is a key. */
  readonly identity: Wording | undefined;
  readonly issuer: Wording | undefined;
  /** `acme/app`, or an address: whose run it must have been. */
  readonly sourceRepository: string | undefined;
  /** The public key that signed, in a file or in a variable of the job. */
  readonly key: { readonly file: string } | { readonly variable: string } | undefined;
  readonly trustedRoot: string | undefined;
  /** Exactly these; undefined: any. */
  readonly platforms: readonly Platform[] | undefined;
  readonly requirements: ReadonlySet<(typeof REQUIREMENTS)[number]>;
  readonly scope: 'all' | 'index';
  /** What provenance must say: a repository as `acme/app` or an address, and a whole commit. */
  readonly source: string | undefined;
  readonly revision: string | undefined;
}

/** @throws ManifoldError `missing-input`, `invalid-input`, `invalid-platform`, `invalid-reference`, `invalid-digest` */
export function readVerifyInputs(input: InputReader): VerifyInputs {
  refuseForeign(input, 'verify', {
    tags: 'Name each image with its tag in "images": ghcr.io/acme/app:1.2.3.',
    platform: 'Name the platforms that the image must have as "platforms".',
    provenance: 'To ask for provenance, say "require: signatures, provenance".',
    sign: 'To ask for signatures, say "require: signatures", which is the default.',
    'signing-config': 'It says where to sign. Whom to trust says "trusted-root".',
    repository:
      'Name the repository whose run signed as "source-repository", and the source of the image as "source".',
  });
  const platforms = uniqueBy(input.list('platforms', parsePlatform), formatPlatform);
  const [source, revision] = [input.optional('source'), readRevision(input)];
  return {
    mode: 'verify',
    ...readRegistryInputs(input),
    images: readReferences(input),
    ...readPolicy(input),
    trustedRoot: input.optional('trusted-root'),
    platforms: platforms.length === 0 ? undefined : platforms,
    requirements: readRequirements(input, source !== undefined || revision !== undefined),
    scope: input.oneOf('scope', ['all', 'index']) ?? 'all',
    source,
    revision,
  };
}

function readReferences(input: InputReader): Reference[] {
  const references = uniqueBy(input.list('images', parsePointed), formatReference);
  if (references.length > 0) return references;
  throw missing('images', 'Name what to verify by tag or digest, one a line: ghcr.io/acme/app:1.2.3.');
}

function parsePointed(text: string): Reference {
  const reference = parseReference(text);
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  throw new ManifoldError(
    'invalid-reference',
    `"${oneLine(text)}" in "images" says neither a tag nor a digest.`,
    {
      hint: `Say which image of it is meant, ${oneLine(text)}:1.2.3 or ${oneLine(text)}@sha256:…: "latest" is never implied.`,
    },
  );
}

type PolicyInputs = Pick<VerifyInputs, 'identity' | 'issuer' | 'sourceRepository' | 'key'>;

/** What would silently win over the other is refused: a policy is never weaker than what was written. */
function readPolicy(input: InputReader): PolicyInputs {
  const identity = readWording(input, 'certificate-identity');
  const issuer = readWording(input, 'certificate-oidc-issuer');
  const sourceRepository = input.optional('source-repository');
  const key = readKey(input);
  if (key !== undefined && (identity ?? issuer ?? sourceRepository) !== undefined) {
    throw new ManifoldError('invalid-input', 'The input "key" is given, and so is an identity.', {
      hint: 'A signature is by one or the other. Leave one of them out, or verify in two steps.',
    });
  }
  return { identity, issuer, sourceRepository, key };
}

function readWording(input: InputReader, name: string): Wording | undefined {
  const [exact, expression] = [input.optional(name), input.optional(`${name}-regexp`)];
  if (exact !== undefined && expression !== undefined) {
    throw new ManifoldError('invalid-input', `The inputs "${name}" and "${name}-regexp" are both given.`, {
      hint: 'Leave one of them out: the first is the whole text, the second describes it.',
    });
  }
  if (exact !== undefined) return { exact };
  return expression === undefined ? undefined : { expression };
}

function readKey(input: InputReader): VerifyInputs['key'] {
  const text = input.optional('key');
  if (text === undefined) return undefined;
  if (/-----BEGIN /.test(text)) {
    // It may be the private one.
    throw new ManifoldError('invalid-input', 'The input "key" holds a key itself.', {
      hint: 'Say where it is: a file, or "key: env://COSIGN_PUBLIC_KEY" and that variable in "env:" of the step.',
    });
  }
  const variable = /^env:\/\/(.*)$/s.exec(text)?.[1];
  if (variable !== undefined && /^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) return { variable };
  if (variable === undefined && !/^[a-z0-9]+:\/\//i.test(text) && !text.startsWith('pkcs11:'))
    return { file: text };
  throw new ManifoldError('invalid-input', `The input "key" is "${oneLine(text)}".`, {
    hint: 'Here it is a public key, as a file or as env://NAME. Of another kind write the public half with "cosign public-key --key … --outfile cosign.pub".',
  });
}

function readRequirements(input: InputReader, hasOrigin: boolean): VerifyInputs['requirements'] {
  const asked = input.list('require', parseRequirement);
  if (input.optional('require') !== undefined && asked.length === 0)
    throw missing('require', `Say what is asked of the image: ${REQUIREMENTS.join(', ')}.`);
  // Where an image comes from only its provenance says.
  return new Set([
    ...(asked.length === 0 ? (['signatures'] as const) : asked),
    ...(hasOrigin ? (['provenance'] as const) : []),
  ]);
}

function parseRequirement(text: string): (typeof REQUIREMENTS)[number] {
  const found = REQUIREMENTS.find(name => name === text);
  if (found !== undefined) return found;
  throw new ManifoldError('invalid-input', `The input "require" has "${oneLine(text)}".`, {
    hint: `It is a list of ${REQUIREMENTS.join(', ')}.`,
  });
}

function readRevision(input: InputReader): string | undefined {
  const text = input.optional('revision')?.toLowerCase();
  if (text === undefined || /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) return text;
  throw new ManifoldError('invalid-input', `The input "revision" is "${oneLine(text)}".`, {
    hint: 'It is a whole commit, as ${{ github.sha }} gives it: 40 hexadecimal digits. No branch and no tag.',
  });
}
