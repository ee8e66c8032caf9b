import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// The server under which `npm run dev` shows the page; any Loki does, too.
const server = process.env['SILLOK_URL'] ?? 'http://127.0.0.1:3100';

export default defineConfig({
  base: './', // works under any path prefix
  plugins: [svelte()],
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
