import { svelte } from '@sveltejs/vite-plugin-svelte';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

// The server under which `npm run dev` shows the page; any Loki does, too.
const server = process.env['SILLOK_URL'] ?? 'http://127.0.0.1:3100';

/** licenses.txt: what of other people's work is in the page, and on what terms. */
function licenses(): Plugin {
  return {
    name: 'licenses',
    generateBundle(_, bundle) {
      const files = Object.values(bundle).flatMap((part) =>
        part.type === 'chunk' ? part.moduleIds : part.originalFileNames,
      );
      const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []);
      // Style sheets name no modules; the fonts come through them.
      const fonts = ['inter', 'jetbrains-mono'].map((name) => `node_modules/@fontsource-variable/${name}`);
      const texts = [...new Set([...folders.filter(existsSync), ...fonts])].sort().map(licenseOf);
      this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: texts.join('\n\n') });
    },
  };
}

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
  return `${'-'.repeat(80)}\n${name} ${version} (${license})\n\n${text}`;
}

export default defineConfig({
  base: './', // works under any path prefix
  plugins: [svelte(), licenses()],
  build: {
    outDir: '../sillok/server/static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the content security policy allows no data: fonts
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      '/loki': { target: server, ws: true, changeOrigin: true },
      '/sillok': { target: server, changeOrigin: true },
    },
  },
});
