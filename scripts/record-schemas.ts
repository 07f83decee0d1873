/**
 * Writes the JSON Schemas of the records, from the schemas by which the code reads them, into docs/.
 *
 *   lab/node scripts/record-schemas.ts
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import { digestSchema } from '../src/oci/digest.ts';
import { planRecord } from '../src/records/plan.ts';
import { buildRecord } from '../src/records/record.ts';

interface SchemaFile {
  /** Below the root of the repository. */
  readonly file: string;
  readonly title: string;
  readonly description: string;
  readonly schema: GenericSchema;
}

const SCHEMAS: readonly SchemaFile[] = [
  {
    file: 'docs/build-record.schema.json',
    title: "Manifold's build record, version 1",
    description: 'What one build job tells the merge: docs/records.md.',
    schema: buildRecord,
  },
  {
    file: 'docs/plan-record.schema.json',
    title: "Manifold's plan record, version 1",
    description: 'What a run is going to build and publish: docs/records.md.',
    schema: planRecord,
  },
];

const CONFIG: ConversionConfig = {
  target: 'draft-2020-12',
  errorMode: 'throw',
  // Checks in code: the patterns that stand beside them say what a schema can, the descriptions say the rest.
  ignoreActions: ['check', 'raw_check'],
  overrideSchema: ({ valibotSchema }) =>
    valibotSchema === digestSchema ? { type: 'string', pattern: '^sha256:[0-9a-f]{64}$' } : undefined,
};

const ROOT = path.dirname(import.meta.dirname);

/** As the formatter of this repository would write it. */
function formatted(file: string, document: object): string {
  const biome = path.join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const input = JSON.stringify(document);
  return execFileSync(process.execPath, [biome, 'format', '--stdin-file-path', file], {
    cwd: ROOT,
    input,
    encoding: 'utf8',
  });
}

/** The text of every schema by its file. */
export function schemaTexts(): Map<string, string> {
  return new Map(
    SCHEMAS.map(({ file, title, description, schema }) => {
      const { $schema, ...rest } = toJsonSchema(schema, CONFIG);
      return [file, formatted(file, { $schema, title, description, ...rest })];
    }),
  );
}

if (import.meta.main) {
  for (const [file, text] of schemaTexts()) writeFileSync(path.join(ROOT, file), text);
}
