import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The licences of all packages whose files went into the bundle, one after the other, by name. */
export function licenceText(root, inputs) {
  const folders = new Set(inputs.map(packageFolder).filter(folder => folder !== undefined));
  return [...folders]
    .map(folder => describe(root, folder))
    .sort((a, b) => (a.title < b.title ? -1 : 1))
    .map(({ title, text }) => `${'='.repeat(78)}\n${title}\n${'='.repeat(78)}\n\n${text.trim()}\n`)
    .join('\n');
}

function packageFolder(input) {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

function describe(root, folder) {
  const { name, version, license } = JSON.parse(
    readFileSync(path.join(root, folder, 'package.json'), 'utf8'),
  );
  const files = readdirSync(path.join(root, folder)).filter(file =>
    /^(licen[cs]e|copying|notice)/i.test(file),
  );
  const texts = files.map(file => readFileSync(path.join(root, folder, file), 'utf8'));
  if (texts.length === 0 && !license)
    throw new Error(`${name} ${version} states no licence: it cannot be bundled.`);
  return {
    title: `${name} ${version} (${license ?? 'see below'})`,
    text: texts.join('\n\n') || `Licence: ${license}`,
  };
}
