import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { types } from 'mediasoup-client';
import type { Role } from 'yc-signalling';
import { Room, type RoomState, type Session } from '../src/room.ts';
import { FakeServer, fakeDevice, fakeParameters } from 'yc-signalling/testing';

let server: FakeServer;
let room: Room;
let states: string[];
let sessions: (Session | null)[];
let devices: types.Device[];
let transports: types.Transport[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  server = new FakeServer();
  states = [];
  sessions = [];
  devices = [];
  transports = [];
});
afterEach(() => {
  room.stop();
  expect(vi.getTimerCount()).toBe(0);
  expect(server.connections.every(({ closedBy }) => closedBy !== null)).toBe(true);
  vi.useRealTimers();
});

/** A producer as the server lists it. */
function producer(id: string, more: object = {}) {
  return { producer_id: id, peer_id: `peer-of-${id}`, kind: 'video' as const, native: true, ...more };
}

async function enter(role: Role = 'view'): Promise<Room> {
  room = new Room({
    url: 'ws://server/ws',
    room: 'demo',
    token: 'secret',
    role,
    createDevice: async () => {
      const device = await fakeDevice();
      device.observer.on('newtransport', (transport) => transports.push(transport));
      devices.push(device);
      return device;
    },
    signal: { openSocket: server.openSocket },
    random: () => 0,
  });
  room.onChange = () => {
    if (states.at(-1) !== room.state.name) states.push(room.state.name);
  };
  room.onSession = (session) => sessions.push(session);
  room.start();
  await settled();
  return room;
}

/** Lets everything happen that waits for no timer. */
const settled = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));
/** The same, after some milliseconds. */
async function after(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
  await settled();
}
const ids = (): string[] => room.shares.map(({ producerId }) => producerId);
const stateIs = (state: RoomState): void => expect(room.state).toEqual(state);
const setTransportState = (state: types.ConnectionState): void => {
  (transports.at(-1)!.handler as unknown as { setConnectionState(state: string): void }).setConnectionState(state);
};

describe('joining', () => {
  test('an empty room waits for a share, with its transport ready', async () => {
    await enter();
    stateIs({ name: 'waiting' });
    expect(states).toEqual(['connecting', 'waiting']);
    expect(server.actions).toEqual(['join', 'create_transport']);
    expect(server.requests[0]!.data).toEqual({ protocol: 1, room: 'demo', token: 'secret', role: 'view' });
    expect(server.requests[1]!.data).toEqual({ direction: 'recv' });
    expect(room.joinedAtMs).toBeGreaterThan(0);
  });

  test('a room with shares receives each: consume, then resume, in this order for every one', async () => {
    server.producers = [producer('a'), producer('b', { native: false })];
    await enter();
    stateIs({ name: 'watching', interrupted: false });
    expect(room.shares).toMatchObject([
      { producerId: 'a', peerId: 'peer-of-a', native: true, problem: null },
      { producerId: 'b', native: false, problem: null },
    ]);
    for (const id of ['a', 'b']) {
      const consume = server.requests.findIndex(({ action, data }) => action === 'consume' && data['producer_id'] === id);
      const resume = server.requests.findIndex(({ data }) => data['consumer_id'] === `consumer-of-${id}`);
      expect(server.requests[resume]!.action).toBe('resume_consumer');
      expect(consume).toBeGreaterThan(0);
      expect(resume).toBeGreaterThan(consume);
    }
    expect(server.actions.filter((action) => action === 'connect_transport')).toHaveLength(1);
    expect(server.requests.find(({ action }) => action === 'consume')!.data['rtp_capabilities']).toEqual(
      devices[0]!.recvRtpCapabilities,
    );
  });

  test('sound is not received', async () => {
    server.producers = [producer('a', { kind: 'audio' })];
    await enter();
    stateIs({ name: 'waiting' });
    expect(server.actions).not.toContain('consume');
  });

  test('a token that only shares makes no transport to receive by', async () => {
    await enter('share');
    stateIs({ name: 'ready' });
    expect(server.actions).toEqual(['join']);
    expect(sessions).toMatchObject([{ peerId: 'me', role: 'share' }]);
  });

  test.each([
    ['unauthorized', { name: 'unauthorized', message: 'no' }],
    ['room_full', { name: 'room_full', message: 'no' }],
    ['unsupported_protocol', { name: 'failed', code: 'unsupported_protocol', message: 'no' }],
    ['a_code_of_tomorrow', { name: 'failed', code: 'a_code_of_tomorrow', message: 'no' }],
  ] as [string, RoomState][])('a refusal with %s is final and closes the connection', async (code, state) => {
    server.answers['join'] = () => ({ refuse: code, message: 'no' });
    await enter();
    stateIs(state);
    await after(60_000);
    expect(server.connections).toHaveLength(1);
    expect(server.connection.closedBy).toBe('client');
    expect(sessions).toEqual([]);
  });

  test('a full room can be tried again', async () => {
    server.answers['join'] = () => ({ refuse: 'room_full' });
    await enter();
    delete server.answers['join'];
    room.retry();
    await settled();
    stateIs({ name: 'waiting' });
    expect(states).toEqual(['connecting', 'room_full', 'connecting', 'waiting']);
  });

  test('a reply without producers is a failure in words, not a crash', async () => {
    server.answers['join'] = () => ({ protocol: 1, peer_id: 'me' });
    await enter();
    stateIs({ name: 'failed', code: 'bad_reply', message: expect.any(String) as string });
  });

  test('a browser without WebRTC is told so', async () => {
    room = new Room({
      url: 'ws://server/ws',
      room: 'demo',
      token: 't',
      role: 'view',
      createDevice: () => Promise.reject(Object.assign(new Error('device not supported'), { name: 'UnsupportedError' })),
      signal: { openSocket: server.openSocket },
    });
    room.start();
    await settled();
    expect(room.state).toMatchObject({ name: 'failed', code: 'unsupported_by_browser' });
  });
});

describe('shares come and go', () => {
  test('a new producer is received, once, however often it is announced', async () => {
    await enter();
    server.connection.say({ event: 'new_producer', data: producer('a') });
    server.connection.say({ event: 'new_producer', data: producer('a') });
    stateIs({ name: 'watching', interrupted: false });
    await settled();
    expect(room.shares).toMatchObject([{ producerId: 'a', consumer: { id: 'consumer-of-a', closed: false } }]);
    expect(server.actions.filter((action) => action === 'consume')).toHaveLength(1);
  });

  test.each([
    ['producer_closed', { producer_id: 'a' }],
    ['consumer_closed', { consumer_id: 'consumer-of-a' }],
    ['peer_left', { peer_id: 'peer-of-a' }],
  ])('%s takes the share away and closes its consumer', async (event, data) => {
    server.producers = [producer('a'), producer('b')];
    await enter();
    const consumer = room.shares[0]!.consumer!;
    server.connection.say({ event, data });
    expect(ids()).toEqual(['b']);
    expect(consumer.closed).toBe(true);
    stateIs({ name: 'watching', interrupted: false });
  });

  test('the last one gone, the room waits again', async () => {
    server.producers = [producer('a')];
    await enter();
    server.connection.say({ event: 'producer_closed', data: { producer_id: 'a' } });
    stateIs({ name: 'waiting' });
  });

  test('one that is announced before the transport is there is received when it is', async () => {
    server.answers['create_transport'] = () => 'silence';
    await enter();
    server.connection.say({ event: 'new_producer', data: producer('early') });
    await settled();
    expect(server.actions).toEqual(['join', 'create_transport']);
    expect(room.state.name).toBe('connecting');
    delete server.answers['create_transport'];
    const { id, action } = server.requests[1]!;
    server.connection.say({ id, ok: true, data: server.answer({ id, action, data: {} }) });
    await settled();
    expect(room.shares).toMatchObject([{ producerId: 'early', consumer: { id: 'consumer-of-early' } }]);
  });

  test('one that goes before the transport is there is never received', async () => {
    server.producers = [producer('brief')];
    server.answers['create_transport'] = () => 'silence';
    await enter();
    server.connection.say({ event: 'producer_closed', data: { producer_id: 'brief' } });
    delete server.answers['create_transport'];
    const { id, action } = server.requests[1]!;
    server.connection.say({ id, ok: true, data: server.answer({ id, action, data: {} }) });
    await settled();
    stateIs({ name: 'waiting' });
    expect(server.actions).not.toContain('consume');
  });

  test('one that goes while it is being consumed leaves no consumer behind', async () => {
    server.answers['consume'] = () => 'silence';
    server.producers = [producer('a')];
    await enter();
    const consumers: types.Consumer[] = [];
    transports[0]!.observer.on('newconsumer', (consumer) => consumers.push(consumer));
    server.connection.say({ event: 'producer_closed', data: { producer_id: 'a' } });
    delete server.answers['consume'];
    const { id, action, data } = server.requests.at(-1)!;
    server.connection.say({ id, ok: true, data: server.answer({ id, action, data }) });
    await settled();
    expect(consumers).toMatchObject([{ closed: true }]);
    expect(server.actions).not.toContain('resume_consumer');
    stateIs({ name: 'waiting' });
  });

  test('one that is gone when it is consumed is dropped without a word', async () => {
    server.answers['consume'] = () => ({ refuse: 'not_found', message: 'no such producer' });
    server.producers = [producer('a')];
    await enter();
    stateIs({ name: 'waiting' });
  });

  test('one that this browser cannot decode is kept, with the reason', async () => {
    server.answers['consume'] = (data) =>
      data['producer_id'] === 'a' ? { refuse: 'cannot_consume', message: 'video/AV1' } : { refuse: 'limit_reached', message: '256' };
    server.producers = [producer('a'), producer('b')];
    await enter();
    expect(room.shares).toMatchObject([
      { consumer: null, problem: expect.stringContaining('cannot decode this share; it decodes only VP8') as string },
      { consumer: null, problem: '256' },
    ]);
    stateIs({ name: 'watching', interrupted: false });
  });

  test('and so is one that the server would send but this browser does not take', async () => {
    server.answers['consume'] = () => ({
      consumer_id: 'c',
      producer_id: 'a',
      kind: 'video',
      rtp_parameters: fakeParameters.generateConsumerRemoteParameters({ codecMimeType: 'video/H264' }).rtpParameters,
    });
    server.producers = [producer('a')];
    await enter();
    expect(room.shares).toMatchObject([
      { consumer: null, problem: expect.stringContaining('cannot decode this share; it decodes only VP8') as string },
    ]);
  });
});

describe('a lost connection', () => {
  test('comes back by itself with the shares of the new room', async () => {
    server.producers = [producer('a')];
    await enter();
    const consumer = room.shares[0]!.consumer!;
    server.producers = [producer('z')];
    server.connection.drop();
    stateIs({ name: 'reconnecting', attempt: 1, message: 'the connection to the server was lost' });
    expect(ids()).toEqual([]);
    expect(consumer.closed).toBe(true);
    expect(sessions.at(-1)).toBeNull();
    await after(500);
    expect(ids()).toEqual(['z']);
    expect(states).toEqual(['connecting', 'watching', 'reconnecting', 'watching']);
    expect(sessions).toMatchObject([{ peerId: 'me' }, null, { peerId: 'me' }]);
  });

  test('is tried more and more rarely, up to every ten seconds', async () => {
    server.down = true;
    await enter();
    const gaps: number[] = [];
    for (let tries = server.connections.length, waited = 0; gaps.length < 7; waited += 100) {
      if (server.connections.length > tries) {
        tries = server.connections.length;
        gaps.push(waited);
        waited = 0;
      }
      await after(100);
    }
    expect(gaps).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 8 });
  });

  test('is tried at once on retry, and not twice at the same time', async () => {
    await enter();
    server.connection.drop();
    room.retry();
    room.retry();
    await settled();
    stateIs({ name: 'waiting' });
    await after(60_000);
    expect(server.connections).toHaveLength(2);
  });

  test('a server that drops everyone just after they joined is not hammered', async () => {
    await enter();
    for (let round = 0; round < 4; round += 1) {
      server.connection.drop();
      room.retry();
      await settled();
    }
    server.connection.drop();
    expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 5 });
    await after(7_900);
    expect(server.connections).toHaveLength(5);
    await after(100);
    expect(server.connections).toHaveLength(6);
    await after(5_000);
    server.connection.drop();
    expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 1 });
  });

  test('a refusal on the way back is final', async () => {
    await enter();
    server.answers['join'] = () => ({ refuse: 'unauthorized', message: 'expired' });
    server.connection.drop();
    await after(500);
    stateIs({ name: 'unauthorized', message: 'expired' });
  });

  test('a join that is never answered is tried again', async () => {
    server.answers['join'] = () => 'silence';
    await enter();
    await after(10_000);
    expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 1 });
    expect(server.connection.closedBy).toBe('client');
  });

  test('media that stops is said, and joined anew when it has failed for good', async () => {
    server.producers = [producer('a')];
    await enter();
    setTransportState('connected');
    setTransportState('disconnected');
    stateIs({ name: 'watching', interrupted: true });
    setTransportState('connected');
    stateIs({ name: 'watching', interrupted: false });
    setTransportState('failed');
    expect(room.state).toMatchObject({ name: 'reconnecting', attempt: 1 });
    expect(server.connection.closedBy).toBe('client');
  });
});

describe('leaving', () => {
  test('closes everything, and what arrives afterwards changes nothing', async () => {
    server.producers = [producer('a')];
    await enter();
    const consumer = room.shares[0]!.consumer!;
    const { connection } = server;
    room.stop();
    expect(consumer.closed).toBe(true);
    expect(transports[0]!.closed).toBe(true);
    connection.closedBy = null;
    connection.say({ event: 'new_producer', data: producer('late') });
    connection.close();
    stateIs({ name: 'left' });
    expect(ids()).toEqual([]);
  });

  test.each(['join', 'create_transport'])('while %s is on its way leaves nothing open', async (action) => {
    server.answers[action] = () => 'silence';
    await enter();
    room.stop();
    await settled();
    stateIs({ name: 'left' });
    expect(server.connection.closedBy).toBe('client');
    expect(sessions).toEqual([]);
  });

  test('before the socket is open closes it', async () => {
    const entering = enter();
    room.stop();
    await entering;
    stateIs({ name: 'left' });
    expect(server.connection.closedBy).toBe('client');
    expect(server.actions).toEqual([]);
  });
});
