import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Notification } from '../src/messages.ts';
import { Signal } from '../src/signal.ts';
import { FakeServer } from '../testing/fake-server.ts';

const URL = 'ws://server/ws';
let server: FakeServer;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  server = new FakeServer();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const open = (): Promise<Signal> => Signal.open(URL, { openSocket: server.openSocket });
const leave = (signal: Signal) => signal.request('leave', {});

describe('opening', () => {
  test('fails with connection_lost where no server answers', async () => {
    server.down = true;
    await expect(open()).rejects.toMatchObject({ code: 'connection_lost' });
  });

  test('fails with timeout and closes the socket where the server never answers', async () => {
    const opening = Signal.open(URL, {
      openSocket: () => {
        const socket = server.openSocket();
        Object.defineProperty(socket, 'onopen', { set: () => {}, get: () => null });
        return socket;
      },
      openTimeoutMs: 700,
    });
    const failed = expect(opening).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('700 ms') });
    await vi.advanceTimersByTimeAsync(700);
    await failed;
    expect(server.connection.closedBy).toBe('client');
  });
});

describe('a request', () => {
  test('is sent as the contract says and resolves with the data of its reply', async () => {
    const signal = await open();
    const reply = await signal.request('produce', { transport_id: 't', kind: 'video', rtp_parameters: { codecs: [] } });
    expect(reply.producer_id).toBe('mine');
    expect(server.requests).toEqual([
      { id: 1, action: 'produce', data: { transport_id: 't', kind: 'video', rtp_parameters: { codecs: [] } } },
    ]);
  });

  test('is matched with its reply by id, whatever the order', async () => {
    server.answers['close_producer'] = () => 'silence';
    server.answers['produce'] = () => 'silence';
    const signal = await open();
    const closed = signal.request('close_producer', { producer_id: 'p' });
    const produced = signal.request('produce', { transport_id: 't', kind: 'video', rtp_parameters: { codecs: [] } });
    server.connection.say({ id: 2, ok: true, data: { producer_id: 'second' } });
    server.connection.say({ id: 1, ok: true });
    await expect(produced).resolves.toEqual({ producer_id: 'second' });
    await expect(closed).resolves.toEqual({});
  });

  test("fails with the server's code and message", async () => {
    server.answers['leave'] = () => ({ refuse: 'not_joined', message: 'join first' });
    await expect(leave(await open())).rejects.toMatchObject({ code: 'not_joined', message: 'join first' });
  });

  test('fails with timeout where no reply comes, and a late reply harms nothing', async () => {
    server.answers['leave'] = () => 'silence';
    const signal = await open();
    const failed = expect(leave(signal)).rejects.toMatchObject({ code: 'timeout' });
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    server.connection.say({ id: 1, ok: true, data: {} });
    expect(signal.open).toBe(true);
  });

  test.each([
    ['no data at all', undefined],
    ['a producer without its id', { producer: 'x' }],
    ['an id that is a number', { producer_id: 7 }],
    ['an array', []],
  ])('fails with bad_reply on a reply with %s', async (_name, data) => {
    server.answers['produce'] = () => 'silence';
    const signal = await open();
    const produced = signal.request('produce', { transport_id: 't', kind: 'video', rtp_parameters: { codecs: [] } });
    server.connection.say({ id: 1, ok: true, data });
    await expect(produced).rejects.toMatchObject({ code: 'bad_reply' });
  });

  test('fails with connection_lost when the connection goes, and so does every later one', async () => {
    server.answers['leave'] = () => 'silence';
    const signal = await open();
    const lost = vi.fn();
    signal.onClose = lost;
    const waiting = expect(leave(signal)).rejects.toMatchObject({ code: 'connection_lost' });
    server.connection.drop(1001);
    await waiting;
    await expect(leave(signal)).rejects.toMatchObject({ code: 'connection_lost' });
    expect(lost).toHaveBeenCalledExactlyOnceWith({ code: 1001, reason: '' });
  });

  test('fails when this side closes, without a word to onClose', async () => {
    server.answers['leave'] = () => 'silence';
    const signal = await open();
    signal.onClose = () => expect.unreachable();
    const waiting = expect(leave(signal)).rejects.toMatchObject({ code: 'connection_lost' });
    signal.close();
    await waiting;
    expect(server.connection.closedBy).toBe('client');
  });
});

describe('a notification', () => {
  test('is handed on, and those that are unknown or faulty are not', async () => {
    const signal = await open();
    const heard: Notification[] = [];
    signal.onNotification = (notification) => heard.push(notification);
    const closed = { event: 'producer_closed', data: { producer_id: 'p' } };
    for (const message of [
      'no JSON',
      '[]',
      'null',
      { event: 'weather', data: { sun: true } },
      { event: 'new_producer', data: { producer_id: 'p', peer_id: 'q', kind: 'smell', native: true } },
      { event: 'producer_closed', data: {} },
      { id: 99, ok: true, data: {} },
      { id: null, ok: false, error: { code: 'bad_message', message: 'not JSON' } },
      closed,
    ]) {
      server.connection.say(message);
    }
    expect(heard).toEqual([closed]);
    expect(signal.open).toBe(true);
  });
});
