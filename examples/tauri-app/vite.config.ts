// By its path, so that vite compiles it with this file: Node 20 reads no TypeScript by itself.
import { nativeBridge } from '../../packages/share-controller/bridge/plugin.ts';
import { defineConfig } from 'vitest/config';

// Development only, and not while the unit tests run: the built page finds its native sender in the Tauri window, or does without.
// `YC_BRIDGE_FAULTS=1` lets the page's `?fault=` make parts of that sender fail on a script.
const bridge = { ...nativeBridge({ allowFaults: process.env['YC_BRIDGE_FAULTS'] === '1' }), apply: developmentServer };

function developmentServer(_: unknown, { command, mode, isPreview }: { command: string; mode: string; isPreview?: boolean }): boolean {
  return command === 'serve' && mode !== 'test' && isPreview !== true;
}

export default defineConfig({
  base: './',
  plugins: [bridge],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 600 },
  // The port that src-tauri/tauri.conf.json names; another one would leave the window empty.
  server: { port: 5173, strictPort: true, watch: { ignored: ['**/src-tauri/**'] } },
  test: { include: ['test/**/*.test.ts'] },
});
