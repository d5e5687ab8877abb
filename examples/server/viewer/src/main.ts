/** Starts the page: from the address to a room, and from what happens in it to what is seen. */
import { Device } from 'mediasoup-client';
import { roleOfToken, roomNameProblem } from 'yc-signalling';
import type { Section } from './panel.ts';
import { exposeProbe, shareStats } from './probe.ts';
import { Room } from './room.ts';
import { type SentStats, readSentStats, sentRows } from './sent-stats.ts';
import { ShareController } from './share.ts';
import { type VideoStats, statsRows, videoRates } from './stats.ts';
import { View } from './view.ts';
import { wordsFor } from './words.ts';

const STATISTICS_EVERY_MS = 1_000;

const sharing = new ShareController();
const view = new View(document.getElementById('app')!, {
  join: (name, token) => {
    history.pushState(null, '', `?${new URLSearchParams({ room: name, token })}`);
    enterByAddress();
  },
  askAgain: () => leave(),
  retry: () => room?.retry(),
  startSharing: () => void sharing.start(),
  stopSharing: () => sharing.stop(),
  toggleStatistics: () => toggleStatistics(),
});
let room: Room | null = null;

exposeProbe(view.stage, () => ({ room, sharing: sharing.state.name }));
addEventListener('popstate', enterByAddress);
addEventListener('online', () => room?.retry());
addEventListener('pagehide', () => room?.stop());
addEventListener('pageshow', (event) => {
  if (event.persisted) enterByAddress();
});
enterByAddress();

/** Joins the room that the address names, or asks for what it lacks. */
function enterByAddress(): void {
  room?.stop();
  room = null;
  sharing.stop();
  const { name, token } = readAddress();
  if (token === '' || roomNameProblem(name) !== null) view.showForm(name, token);
  else enter(name, token);
}

function enter(name: string, token: string): void {
  const role = roleOfToken(token);
  const entered = new Room({ url: signallingUrl(), room: name, token, role, createDevice: () => Device.factory() });
  const show = (): void => {
    if (room !== entered) return;
    const { state, shares } = entered;
    const mayShare = role !== 'view' && (state.name === 'waiting' || state.name === 'watching' || state.name === 'ready');
    view.showRoom(name, wordsFor(state, shares.length, sharing.state), shares, sharing.state, mayShare);
  };
  room = entered;
  entered.onChange = sharing.onChange = show;
  entered.onSession = (session) => sharing.attach(session);
  show();
  entered.start();
}

/** Gives the room up and asks for another token. */
function leave(): void {
  room?.stop();
  room = null;
  sharing.stop();
  view.showForm(readAddress().name, '');
}

function readAddress(): { name: string; token: string } {
  const address = new URLSearchParams(location.search);
  return { name: address.get('room')?.trim() ?? '', token: address.get('token')?.trim() ?? '' };
}

function signallingUrl(): string {
  const url = new URL('./ws', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = url.hash = '';
  return url.href;
}

let statisticsTimer: ReturnType<typeof setInterval> | undefined;
const earlier = new Map<string, VideoStats>();
let earlierSent: SentStats | null = null;

function toggleStatistics(): void {
  clearInterval(statisticsTimer);
  view.statisticsOpen = !view.panel.open;
  if (!view.panel.open) return;
  void updateStatistics();
  statisticsTimer = setInterval(() => void updateStatistics(), STATISTICS_EVERY_MS);
}

async function updateStatistics(): Promise<void> {
  if (!view.panel.open) return;
  const shares = room?.shares ?? [];
  const sections = await Promise.all(
    shares.map(async (share): Promise<Section> => {
      const stats = await shareStats(share);
      const rows = statsRows(stats, videoRates(earlier.get(share.producerId) ?? null, stats));
      earlier.set(share.producerId, stats);
      return { key: share.producerId, title: view.stage.nameOf(share.producerId), rows };
    }),
  );
  for (const id of earlier.keys()) {
    if (!shares.some(({ producerId }) => producerId === id)) earlier.delete(id);
  }
  const report = await sharing.stats();
  if (report) {
    const sent = readSentStats(report.values());
    sections.push({ key: 'own', title: 'Your screen', rows: sentRows(earlierSent, sent) });
    earlierSent = sent;
  }
  view.panel.update(sections);
}
