import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeServer, fakeDevice } from 'yc-signalling/testing';
import { ShareRoom, type ShareRoomOptions } from '../src/room.ts';
import type { RoomSession } from '../src/session.ts';

let server: FakeServer;
let room: ShareRoom;
let sessions: (RoomSession | null)[];
let watched: [string, number][];
let devices: number;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
});
afterEach(() => {
  room.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function enter(options: Partial<ShareRoomOptions> = {}): void {
  sessions = [];
  watched = [];
  devices = 0;
  room = new ShareRoom({
    url: 'ws://server/ws',
    room: 'demo',
    token: 'v1.share.x',
    createDevice: () => {
      devices += 1;
      return fakeDevice();
    },
    signal: { openSocket: server.openSocket },
    random: () => 0,
    ...options,
  });
  room.onSession = (session) => sessions.push(session);
  room.onWatchers = (producerId, watchers) => watched.push([producerId, watchers.length]);
  room.start();
}

const quiet = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

test('joins to share, under its name', async () => {
  enter({ name: 'Ada' });
  await quiet();
  expect(server.requests[0]!.data).toEqual({ protocol: 1, room: 'demo', token: 'v1.share.x', role: 'share', name: 'Ada' });
  expect(room.state).toEqual({ name: 'joined', peerId: 'me' });
  expect(sessions).toEqual([room.session]);
});

test('a nameless page sends no name; the device is made once, where it is needed', async () => {
  enter();
  await quiet();
  expect(server.requests[0]!.data).not.toHaveProperty('name');
  expect(devices).toBe(0);
  const [first, second] = await Promise.all([room.session!.device(), room.session!.device()]);
  expect(first).toBe(second);
  expect(first.loaded).toBe(true);
  expect(devices).toBe(1);
});

test('comes back by itself, more slowly each time, and forgets who watched', async () => {
  enter();
  await quiet();
  const watchers = [{ peer_id: 'a', name: null }, { peer_id: 'b', name: 'Bob' }];
  server.connection.say({ event: 'watchers_changed', data: { producer_id: 'p', watchers } });
  expect(room.watchers('p')).toEqual(watchers);
  server.down = true;
  server.connection.drop();
  expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 1 });
  expect(room.watchers('p')).toEqual([]);
  expect(watched).toEqual([['p', 2], ['p', 0]]);
  await quiet(500);
  expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 2 });
  server.down = false;
  await quiet(1_000);
  expect(room.state.name).toBe('joined');
  expect(sessions.map((session) => session !== null)).toEqual([true, false, true]);
});

test.each([
  ['unauthorized', 'failed'],
  ['room_full', 'failed'],
  ['server_error', 'reconnecting'],
])('a join refused with %s: %s', async (code, name) => {
  server.answers['join'] = () => ({ refuse: code, message: 'no' });
  enter();
  await quiet();
  expect(room.state.name).toBe(name);
  expect(server.connection.closedBy).toBe('client');
  expect(sessions).toEqual([]);
  server.answers = {};
  room.retry();
  await quiet();
  expect(room.state.name).toBe('joined');
});

test('stop on the way in leaves nothing open', async () => {
  enter();
  room.stop();
  await quiet();
  expect(room.state).toEqual({ name: 'left' });
  expect(server.connection.closedBy).toBe('client');
  room.retry();
  await quiet(60_000);
  expect(server.connections).toHaveLength(1);
  expect(sessions).toEqual([]);
});

test('stop after it tells that the session is over', async () => {
  enter();
  await quiet();
  room.stop();
  expect(sessions.at(-1)).toBeNull();
  expect(server.connection.closedBy).toBe('client');
});
