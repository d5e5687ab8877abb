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

test('Firefox takes a native H264 share if it has a decoder for it, and says in words that it has none', async () => {
  await announceNativeShare();
  await until('the native share', () => firefox.evaluate('ycViewer.shares().some((share) => share.native)'));
  const decodes = await firefox.evaluate<boolean>(
    "RTCRtpReceiver.getCapabilities('video').codecs.some((codec) => codec.mimeType === 'video/H264')",
  );
  console.log(`Firefox here decodes H264: ${decodes}`);
  if (decodes) {
    const native = 'ycViewer.stats(ycViewer.shares().find((share) => share.native).producerId)';
    await until('the codec', () => firefox.evaluate(`${native}.then((stats) => stats.codec === 'H264')`));
  } else {
    const words = 'This browser cannot decode this share; it decodes only VP8';
    await until('the words', () => firefox.evaluate(`document.body.innerText.includes('${words}')`));
  }
  await firefox.screenshot(harness.screenshot('firefox-native'));
});

test('the page complained of nothing', () => {
  expect(firefox.complaints).toEqual([]);
});

/** Announces a native share that sends nothing yet: what a browser says of its codec needs no packet. */
async function announceNativeShare(): Promise<void> {
  const socket = new WebSocket(`${server.origin.replace('http', 'ws')}/ws`);
  harness.defer(() => socket.close());
  await new Promise((done) => (socket.onopen = done));
  const token = await server.token('demo', 'share');
  const codecs = [{ mime_type: 'video/H264', profile_level_id: '42c028', packetization_mode: 1 }];
  const requests = [
    { id: 1, action: 'join', data: { protocol: 1, room: 'demo', token, role: 'share' } },
    { id: 2, action: 'create_native_sender_session', data: { protocol: 1, codecs, rtx: false, srtp: null } },
  ];
  for (const request of requests) {
    const reply = new Promise<MessageEvent>((done) => (socket.onmessage = done));
    socket.send(JSON.stringify(request));
    expect(JSON.parse(String((await reply).data))).toMatchObject({ id: request.id, ok: true });
  }
}
