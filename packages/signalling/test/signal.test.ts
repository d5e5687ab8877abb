import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Notification } from '../src/messages.ts';
import { Signal } from '../src/signal.ts';
import { FakeServer, nativeSession } from '../testing/fake-server.ts';

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

describe('a native session', () => {
  const offer = { protocol: 1, codecs: [{ mime_type: 'video/H264', profile_level_id: '42c028', packetization_mode: 1 }] };

  test('is asked for with the offer as it is', async () => {
    const signal = await open();
    const session = await signal.request('create_native_sender_session', offer);
    expect(session).toMatchObject({ rtp_target: '127.0.0.1:40123', producer_id: 'producer-native', srtp: null });
    expect(server.requests[0]!.data).toEqual(offer);
    await expect(signal.request('close_native_sender_session', { session_id: session.session_id })).resolves.toEqual({});
  });

  test.each([
    ['rtp_target', undefined],
    ['ssrc', '7'],
    ['rtcp_mux', null],
    ['codec', { mime_type: 'video/H264' }],
    ['codec', { mime_type: 'video/H264', clock_rate: 90_000, fmtp: { x: [] } }],
    ['rtx', { payload_type: 97 }],
    ['header_extensions', [{ uri: 'urn:x' }]],
    ['rtcp_feedback', [{ parameter: 'pli' }]],
    ['mid', 0],
    ['srtp', { crypto_suite: 'AEAD_AES_256_GCM' }],
  ])('fails with bad_reply where %s is %j', async (field, value) => {
    server.answers['create_native_sender_session'] = (data) => ({ ...nativeSession(data), [field]: value });
    const signal = await open();
    await expect(signal.request('create_native_sender_session', offer)).rejects.toMatchObject({ code: 'bad_reply' });
  });

  test('may lack what has a default', async () => {
    server.answers['create_native_sender_session'] = (data) => {
      const { rtx, header_extensions, rtcp_feedback, mid, srtp, ...rest } = nativeSession(data);
      return rest;
    };
    const signal = await open();
    await expect(signal.request('create_native_sender_session', offer)).resolves.toMatchObject({ payload_type: 96 });
  });
});

describe('a notification', () => {
  test('goes to those who subscribed too, until they end it', async () => {
    const signal = await open();
    const heard: Notification[] = [];
    const end = signal.subscribe((notification) => heard.push(notification));
    const watchers = [{ peer_id: 'a', name: 'Ada' }, { peer_id: 'b', name: null }];
    const messages = [
      { event: 'watchers_changed', data: { producer_id: 'p', watchers } },
      { event: 'native_session_closed', data: { session_id: 's', reason: 'no_media' } },
    ];
    for (const message of messages) server.connection.say(message);
    for (const faulty of [
      { event: 'watchers_changed', data: { producer_id: 'p', watchers: [{ peer_id: 'a' }] } },
      { event: 'watchers_changed', data: { producer_id: 'p' } },
      { event: 'native_session_closed', data: { session_id: 's' } },
    ]) {
      server.connection.say(faulty);
    }
    end();
    server.connection.say({ event: 'peer_left', data: { peer_id: 'a' } });
    expect(heard).toEqual(messages);
  });

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
