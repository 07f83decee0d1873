type Document = Readonly<Record<string, unknown>>;

/**
 * All differences of two indexes or images, as JSON: `ours: FIELD` and `imagetools: FIELD` for what only one of them
 * has, `other value: FIELD`, `order: FIELD` where the same things stand in another order, and `spelling: the document`
 * where one of them is not written as two spaces of indentation and the fewest escapes make it.
 */
export function differencesOf(ours: string, theirs: string): string[] {
  const documents = [ours, theirs].map(text => JSON.parse(text) as Document);
  const isSpeltAlike = [ours, theirs].every(
    (text, position) => text === JSON.stringify(documents[position], null, 2),
  );
  const [left, right] = documents.map(withNamedChildren) as [Document, Document];
  return [
    ...compareFields([], left, right),
    ...(isSpeltAlike || ours === theirs ? [] : ['spelling: the document']),
  ];
}

function compareFields(path: readonly string[], ours: Document, theirs: Document): string[] {
  const at = (key: string): string => [...path, key].join(' > ');
  const [keys, others] = [Object.keys(ours), Object.keys(theirs)];
  const common = keys.filter(key => others.includes(key));
  const isOrdered = common.join('\n') === others.filter(key => keys.includes(key)).join('\n');
  return [
    ...keys.filter(key => !others.includes(key)).flatMap(key => leaves([...path, key], ours[key], 'ours')),
    ...others
      .filter(key => !keys.includes(key))
      .flatMap(key => leaves([...path, key], theirs[key], 'imagetools')),
    ...(isOrdered ? [] : [`order: ${path.join(' > ') || 'the document'}`]),
    ...common.flatMap(key => {
      const [left, right] = [ours[key], theirs[key]];
      if (isObject(left) && isObject(right)) return compareFields([...path, key], left, right);
      return JSON.stringify(left) === JSON.stringify(right) ? [] : [`other value: ${at(key)}`];
    }),
  ];
}

/** What only one of them has, field by field, so that it tells the same whether its object is there or not. */
function leaves(path: readonly string[], value: unknown, owner: string): string[] {
  if (!isObject(value)) return [`${owner}: ${path.join(' > ')}`];
  return Object.entries(value).flatMap(([key, inner]) => leaves([...path, key], inner, owner));
}

function isObject(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Child {
  readonly digest: string;
  readonly platform: { os: string; architecture: string; variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The children of an index by what they are, in their order. */
function withNamedChildren(document: Document): Document {
  const children = document.manifests as readonly Child[] | undefined;
  if (children === undefined) return document;
  const nameOf = ({ annotations, platform }: Child): string => {
    const about = annotations?.['vnd.docker.reference.digest'];
    const image = children.find(({ digest }) => digest === about);
    if (image !== undefined) return `attestation of ${nameOf(image)}`;
    return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
  };
  return { ...document, manifests: Object.fromEntries(children.map(child => [nameOf(child), child])) };
}
