/** How soon the others hear of it when a browser that shares is gone without a goodbye: killed, crashed, closed, frozen. */
import { readFileSync, readdirSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSharing } from './desktop.ts';
import { Harness, type Server, within } from './harness.ts';

/** Longer than any of these may take, the frozen one left out. */
const SOON = 5_000;

const harness = new Harness();
let server: Server;

beforeAll(async () => {
  server = await harness.server();
  await harness.display();
});
afterAll(() => harness.end());

test('two tabs whose browser is killed', async () => {
  const room = await shared('killed', 2);
  await measured('browser killed', room, () => processes('browser').forEach((id) => process.kill(id, 'SIGKILL')));
});

test('two tabs whose renderers are killed', async () => {
  const room = await shared('crashed', 2);
  await measured('renderers killed', room, () => processes('renderer').forEach((id) => process.kill(id, 'SIGKILL')));
});

test('two tabs that are closed without being asked', async () => {
  const room = await shared('closed', 2);
  await measured('tabs closed', room, () => Promise.all(room.pages.map((page) => page.close({ runBeforeUnload: false }))));
});

test('the network process of the browser is killed', async () => {
  const room = await shared('network', 1);
  await measured('network process killed', room, () => processes('utility').forEach((id) => process.kill(id, 'SIGKILL')));
});

test('a page that closes its connection and stays in the room', async () => {
  const room = await shared('stayed', 1);
  await measured('connection closed', room, () => room.pages[0]!.evaluate(() => connections.forEach((connection) => connection.close())));
});

test(
  'a browser that hangs, as a machine that sleeps',
  async () => {
    const room = await shared('frozen', 1);
    const all = (['browser', 'renderer', 'utility'] as const).flatMap((kind) => processes(kind));
    await measured('browser stopped', room, () => all.forEach((id) => process.kill(id, 'SIGSTOP')), 50_000);
  },
  90_000,
);

/** The page's connections, collected before its scripts run. */
declare const connections: RTCPeerConnection[];

interface Room {
  pages: Page[];
  /** When each producer was said to be closed; once all were. */
  closed: Promise<number[]>;
}

/** A browser that shares from that many tabs, and a peer that hears of it. */
async function shared(name: string, tabs: number): Promise<Room> {
  const socket = new WebSocket(`${server.origin.replace('http', 'ws')}/ws`);
  const moments: number[] = [];
  let all: (moments: number[]) => void;
  const closed = new Promise<number[]>((done) => (all = done));
  socket.addEventListener('message', ({ data }) => {
    const { event } = JSON.parse(String(data)) as { event?: string };
    if (event !== 'producer_closed') return;
    moments.push(performance.now());
    if (moments.length === tabs) all(moments);
  });
  await new Promise((done) => socket.addEventListener('open', done));
  const token = await server.token(name, 'view');
  socket.send(JSON.stringify({ id: 1, action: 'join', data: { protocol: 1, room: name, token, role: 'view' } }));
  harness.defer(() => socket.close());

  const browser = await harness.chromium({ window: true });
  const pages: Page[] = [];
  for (let count = 0; count < tabs; count += 1) {
    const page = await browser.newPage();
    await page.addInitScript(() => {
      const all: RTCPeerConnection[] = [];
      Object.assign(window, { connections: all });
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(configuration?: RTCConfiguration) {
          super(configuration);
          all.push(this);
        }
      };
    });
    await page.goto(await server.page(name, 'share'));
    await startSharing(page);
    pages.push(page);
  }
  return { pages, closed };
}

async function measured(what: string, room: Room, end: () => unknown, most = SOON): Promise<void> {
  const family = processes('any');
  const begun = performance.now();
  await end();
  const moments = await within(60_000, `${what}: producer_closed`, room.closed);
  const waits = moments.map((moment) => Math.round(moment - begun));
  console.log(`${what}: producer_closed after ${waits.join(', ')} ms`);
  // The next test's processes are those of its own browser; and who is stopped would never end by itself.
  for (const id of family) {
    try {
      process.kill(id, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  expect(Math.max(...waits)).toBeLessThan(most);
}

/** The Chromium processes of a kind that this check started: those below its own process. */
function processes(kind: 'browser' | 'renderer' | 'utility' | 'any'): number[] {
  const found: { id: number; parent: number; line: string }[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, 'utf8'))?.[1]);
      found.push({ id: Number(entry), parent, line: readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ') });
    } catch {
      // It ended meanwhile.
    }
  }
  const own = new Set([process.pid]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { id, parent } of found) {
      if (own.has(parent) && !own.has(id)) {
        own.add(id);
        grown = true;
      }
    }
  }
  return found
    .filter(({ id, line }) => own.has(id) && /chrom/.test(line))
    .filter(({ line }) => {
      if (kind === 'any') return true;
      const type = /--type=(\S+)/.exec(line)?.[1];
      if (kind === 'browser') return type === undefined && line.includes('--user-data-dir');
      if (kind === 'utility') return type === 'utility' && line.includes('network.mojom');
      return type === kind;
    })
    .map(({ id }) => id);
}
