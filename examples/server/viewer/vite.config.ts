import { type Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// Everything the page needs comes from the server that serves it. `ws:` and `wss:` are named because some browsers
// do not count a WebSocket as 'self'. Only in the build: vite's development page runs inline scripts.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self' blob:",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'self'",
].join('; ');

const withContentSecurityPolicy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy },
      injectTo: 'head-prepend',
    },
  ],
};

// `YC_SERVER=http://127.0.0.1:4000 npm run dev` sends the signalling of the development page to that server.
const server = process.env['YC_SERVER'] ?? 'http://127.0.0.1:4000';

export default defineConfig({
  base: './',
  plugins: [withContentSecurityPolicy],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 600 },
  server: { proxy: { '/ws': { target: server, ws: true }, '/api': server } },
  test: { include: ['test/**/*.test.ts'] },
});
