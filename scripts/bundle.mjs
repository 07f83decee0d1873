// Bundles src/ into dist/: one entry, split so that each mode loads only what it needs.
// Usage: node scripts/bundle.mjs [output folder, default dist]
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { licenceText } from './licences.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const outdir = path.resolve(process.argv[2] ?? path.join(root, 'dist'));

// Some dependencies are CommonJS and ask for Node's modules by require, which an ES module does not have.
const banner = `import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);`;

/**
 * @actions/artifact can pack and unpack ZIP archives; a record is a single file that is stored as it is. Leaving the
 * packers out saves a third of the size, and a dependency (buffers) whose authors gave it no licence.
 */
const withoutArchives = {
  name: 'without-archives',
  setup(builder) {
    builder.onResolve({ filter: /^(archiver|unzip-stream)$/ }, ({ path: name }) => ({
      path: name,
      namespace: 'absent',
    }));
    builder.onLoad({ filter: /.*/, namespace: 'absent' }, ({ path: name }) => ({
      contents: `
        const absent = () => { throw new Error('This artifact is a ZIP archive, but a record is a plain file (${name}).'); };
        export const Extract = absent;
        export const create = absent;
        export default { Extract, create };`,
    }));
  },
};

/**
 * @actions/core can ask for identity tokens, for which it loads an HTTP client of half a megabyte (undici) with every
 * mode. Ours come by our own transport (src/sign/identity-token.ts), so that this part is never called.
 */
const withoutTokens = {
  name: 'without-tokens',
  setup(builder) {
    builder.onResolve({ filter: /\/oidc-utils(?:\.js)?$/ }, ({ importer }) =>
      importer.includes('@actions/core') ? { path: 'oidc-utils', namespace: 'no-tokens' } : undefined,
    );
    builder.onLoad({ filter: /.*/, namespace: 'no-tokens' }, () => ({
      contents: `
        export class OidcClient {
          static getIDToken() { throw new Error('Identity tokens do not come from @actions/core here.'); }
        }`,
    }));
  },
};

/**
 * Node's own modules are taken as they are, and not by `import`: for that Node reads each export of a module once, and
 * among those of node:http is WebSocket, whose reading loads an HTTP client of a megabyte that nobody here uses.
 * The names that nobody imports are left out of the bundle, so that it does not depend on the Node that makes it.
 */
const withoutFacades = {
  name: 'without-facades',
  setup(builder) {
    builder.onResolve({ filter: /.*/ }, ({ path: name, kind }) =>
      kind === 'import-statement' && isBuiltin(name) ? { path: name, namespace: 'built-in' } : undefined,
    );
    builder.onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path: name }) => ({
      contents: `
        const module = process.getBuiltinModule(${JSON.stringify(name)});
        const property = name => module[name];
        export default module;
        ${Object.getOwnPropertyNames(process.getBuiltinModule(name))
          .filter(each => each !== 'default')
          .map(each => `export const ${each} = /* @__PURE__ */ property('${each}');`)
          .join('\n')}`,
    }));
  },
};

rmSync(outdir, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts'],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  chunkNames: 'chunks/[name]-[hash]',
  minify: true,
  plugins: [withoutArchives, withoutTokens, withoutFacades],
  legalComments: 'none',
  metafile: true,
  banner: { js: banner },
  logLevel: 'warning',
});
mkdirSync(outdir, { recursive: true });
writeFileSync(path.join(outdir, 'LICENSES.txt'), licenceText(root, Object.keys(metafile.inputs)));
// The folder stands alone: it does not need the package.json above it to be read as ES modules.
writeFileSync(path.join(outdir, 'package.json'), `${JSON.stringify({ type: 'module' })}\n`);
const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
console.log(
  `Manifold ${version}: ${Object.keys(metafile.outputs).length} files, ${(bytes / 1024).toFixed(0)} KiB`,
);
