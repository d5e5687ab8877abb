/** The page in real Firefox: it sees what Chromium shares. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProbedStats } from '../src/probe.ts';
import { animate, startSharing } from './desktop.ts';
import { Firefox } from './firefox.ts';
import { Harness, type Server, until } from './harness.ts';

const harness = new Harness();
let server: Server;
let firefox: Firefox;

beforeAll(async () => {
  harness.useNetworkAddress();
  server = await harness.server();
  await harness.display();
  firefox = await Firefox.start(harness);
});
afterAll(() => harness.end());

test('Firefox asks for room and token, and waits in an empty room', async () => {
  await firefox.open(`${server.origin}/`, 1280, 720);
  expect(await firefox.evaluate('ycViewer.state()')).toBe('form');
  await firefox.screenshot(harness.screenshot('firefox-form'));
  await firefox.open(await server.page('demo', 'view'), 1280, 720);
  await until('waiting', () => firefox.evaluate("ycViewer.state() === 'waiting'"));
});

test('Firefox sees what Chromium shares', async () => {
  const chromium = await harness.chromium({ window: true });
  const sharer = await (await chromium.newContext()).newPage();
  await sharer.goto(await server.page('demo', 'both'));
  await startSharing(sharer);
  await animate(chromium);
  const stats = await until('30 decoded frames', async () => {
    const read = await firefox.evaluate<ProbedStats | null>('ycViewer.stats()');
    return read && (read.framesDecoded ?? 0) > 30 ? read : null;
  });
  expect(stats).toMatchObject({ frameWidth: 1280, frameHeight: 720, packetsLost: 0 });
  expect(stats.firstFrameAtMs).toBeGreaterThan(stats.announcedAtMs);
  expect(await firefox.evaluate('ycViewer.video().videoWidth')).toBe(1280);
  console.log(`Firefox: ${JSON.stringify(stats)}`);
  await firefox.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', { key: 's' }))");
  await until('a bitrate', () => firefox.evaluate(String.raw`/ [kM]bit\/s/.test(document.querySelector('#statistics').innerText)`));
  await firefox.screenshot(harness.screenshot('firefox-statistics'));
});

test('the page complained of nothing', () => {
  expect(firefox.complaints).toEqual([]);
});
