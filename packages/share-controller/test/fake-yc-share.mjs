#!/usr/bin/env node
// A fake `yc-share --control` for the tests of the bridge: it answers every command with what it was told.
import { createInterface } from 'node:readline';

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ event: 'host_ready', versions: { yc_host: '0.1.0' }, commands: [], arguments: process.argv.slice(2) });
process.stderr.write(`pid ${process.pid}\n`);
const stubborn = process.argv.includes('--stubborn');
if (stubborn) setInterval(() => {}, 1_000);

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, command, data } = JSON.parse(line);
    if (command === 'native_capture_stop' && data.die) process.exit(3);
    if (command === 'native_capture_sources') {
      const source = { id: 'test:0', kind: 'test', title: 'Grüße', width: 640, height: 360, process: null, backend: 'synthetic' };
      say({ id, ok: true, data: { sources: [source] } });
    } else if (command === 'native_capture_thumbnail') {
      say({ id, ok: true, data: { width: 1, height: 1, png_base64: 'A'.repeat(data.max_width) } });
    } else if (command === 'native_capture_start') {
      say({ id, ok: false, error: { code: 'not_prepared', message: 'prepare first' } });
      say({ event: 'source_paused' });
    } else if (command === 'native_capture_prepare') {
      process.exit(3);
    } else {
      say({ id, ok: true, data: {} });
    }
  })
  .on('close', () => {
    if (!stubborn) process.exit(0);
  });
