import { defineConfig } from 'vitest/config';

// Each step stands on the one before it: in order, and over at the first that fails.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.test.ts'],
    fileParallelism: false,
    bail: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // The WebSocket of Node 20, for Firefox.
    execArgv: ['--experimental-websocket'],
    reporters: ['verbose'],
  },
});
