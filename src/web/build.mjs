// Bundles what browsers get from several files, into one each: node build.mjs OUT_DIR DEPFILE
// Names are fixed, without a hash: the server sends an entity tag with each. DEPFILE says to ninja what was read.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transformWithEsbuild } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));
const [out, depfile] = process.argv.slice(2);
const outDir = resolve(out);
const read = new Set();
/** Notes every file of the bundle. */
const notes = { name: 'notes', generateBundle() { for (const id of this.getModuleIds()) if (id.startsWith('/')) read.add(id.replace(/\?.*/, '')); } };
/** Of a library's module Vite keeps the white space, for bundlers; ours is served as it is. */
const packed = {
  name: 'packed',
  async generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle))
      chunk.code = (await transformWithEsbuild(chunk.code, chunk.fileName, { minify: true, format: 'esm', charset: 'utf8' })).code;
  },
};
const common = { configFile: false, envFile: false, publicDir: false, logLevel: 'warn', plugins: [notes], esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' } };
const output = { outDir, emptyOutDir: false, target: 'es2022', assetsInlineLimit: 0, modulePreload: false };

for (const [format, name] of [['iife', 'widget.js'], ['es', 'widget.mjs']])
  await build({
    ...common, root: join(here, 'widget'), plugins: format === 'es' ? [notes, packed] : [notes], esbuild: { ...common.esbuild, pure: ['console.assert'] },
    build: { ...output, minify: 'esbuild', lib: { entry: format === 'iife' ? 'embed.js' : 'widget.js', formats: [format], name: 'Aerie', fileName: () => name } },
  });
await build({
  ...common, root: join(here, 'console'), base: '/assets/',
  build: { ...output, rollupOptions: { input: join(here, 'console/console.html'), output: { entryFileNames: 'console.js', assetFileNames: 'console.[ext]', inlineDynamicImports: true } } },
});
writeFileSync(depfile, `${join(out, 'console.css')}: ${[...read].join(' ')}\n`);
