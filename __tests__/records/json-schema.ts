/** A JSON Schema as far as docs/ has it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

type Check = (value: unknown, argument: never, schema: JsonSchema) => boolean;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: value => typeof value === 'string',
  boolean: value => typeof value === 'boolean',
  null: value => value === null,
  integer: value => Number.isInteger(value),
};

const about = {
  $schema: () => true,
  title: () => true,
  description: () => true,
};

/** JSON Schema Validation 2020-12, sections 6 and Core, section 10. Lengths count code points. */
const KEYWORDS: Readonly<Record<string, Check>> = {
  ...about,
  type: (value, type: string) => TYPES[type]?.(value) ?? unknownKeyword(`type ${type}`),
  const: (value, expected: unknown) => value === expected,
  anyOf: (value, schemas: JsonSchema[]) => schemas.some(schema => accepts(schema, value)),
  pattern: (value, pattern: string) => typeof value !== 'string' || new RegExp(pattern, 'u').test(value),
  minLength: (value, length: number) => typeof value !== 'string' || [...value].length >= length,
  maxLength: (value, length: number) => typeof value !== 'string' || [...value].length <= length,
  minimum: (value, least: number) => typeof value !== 'number' || value >= least,
  maximum: (value, most: number) => typeof value !== 'number' || value <= most,
  items: (value, items: JsonSchema) => !Array.isArray(value) || value.every(item => accepts(items, item)),
  minItems: (value, least: number) => !Array.isArray(value) || value.length >= least,
  uniqueItems: (value, unique: boolean) =>
    !unique ||
    !Array.isArray(value) ||
    new Set(value.map(item => JSON.stringify(item))).size === value.length,
  required: (value, names: string[]) => !isObject(value) || names.every(name => Object.hasOwn(value, name)),
  properties: (value, properties: Record<string, JsonSchema>) =>
    !isObject(value) ||
    Object.entries(properties).every(
      ([name, schema]) => !Object.hasOwn(value, name) || accepts(schema, value[name]),
    ),
  additionalProperties: (value, allowed: boolean, { properties = {} }) =>
    allowed ||
    !isObject(value) ||
    Object.keys(value).every(name => Object.hasOwn(properties as object, name)),
};

/** Tells whether a value is what a schema describes. @throws Error for a keyword that this does not know */
export function accepts(schema: JsonSchema, value: unknown): boolean {
  return Object.entries(schema).every(([keyword, argument]) => {
    const check = KEYWORDS[keyword] ?? unknownKeyword(keyword);
    return check(value, argument as never, schema);
  });
}

function unknownKeyword(keyword: string): never {
  throw new Error(`this reader of JSON Schema does not know "${keyword}"`);
}
