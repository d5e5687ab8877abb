import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { types } from 'mediasoup-client';
import type { Session } from '../src/room.ts';
import { ShareController } from '../src/share.ts';
import { Signal } from 'yc-signalling';
import { FakeServer, fakeDevice, fakeParameters } from 'yc-signalling/testing';

let server: FakeServer;
let track: FakeMediaStreamTrack;
let captures: number;
let transports: types.Transport[];

beforeEach(() => {
  server = new FakeServer();
  captures = 0;
  transports = [];
});

function controller(): ShareController {
  return new ShareController({
    capture: () => {
      captures += 1;
      track = new FakeMediaStreamTrack({ kind: 'video' });
      return Promise.resolve(track as unknown as MediaStreamTrack);
    },
  });
}

async function session(): Promise<Session> {
  const signal = await Signal.open('ws://server/ws', { openSocket: server.openSocket });
  const device = await fakeDevice();
  await device.load({ routerRtpCapabilities: fakeParameters.generateRouterRtpCapabilities() });
  device.observer.on('newtransport', (transport) => transports.push(transport));
  return { signal, device, peerId: 'me', role: 'both' };
}

const settled = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

describe('sharing', () => {
  test('captures, makes a transport to send by, and produces video within the bitrate', async () => {
    const share = controller();
    share.attach(await session());
    await share.start();
    expect(share.state).toEqual({ name: 'sharing', producerId: 'mine' });
    expect(server.actions).toEqual(['create_transport', 'connect_transport', 'produce']);
    expect(server.requests[0]!.data).toEqual({ direction: 'send' });
    expect(server.requests[2]!.data).toMatchObject({
      kind: 'video',
      rtp_parameters: { encodings: [{ maxBitrate: 8_000_000 }] },
    });
  });

  test('starts once, however often it is asked', async () => {
    const share = controller();
    share.attach(await session());
    await Promise.all([share.start(), share.start()]);
    await share.start();
    expect(captures).toBe(1);
  });

  test('stop closes the producer on both sides and gives the screen back; the transport serves the next share', async () => {
    const share = controller();
    share.attach(await session());
    await share.start();
    share.stop();
    share.stop();
    expect(track.readyState).toBe('ended');
    expect(share.state).toEqual({ name: 'idle' });
    await share.start();
    expect(share.state.name).toBe('sharing');
    expect(server.actions.slice(3)).toEqual(['close_producer', 'produce']);
    expect(transports).toHaveLength(1);
  });

  test("ends when the user ends it in the browser's own bar", async () => {
    const share = controller();
    share.attach(await session());
    await share.start();
    track.onended!(new Event('ended') as never);
    expect(share.state).toEqual({ name: 'idle' });
    expect(server.actions.at(-1)).toBe('close_producer');
  });

  test('goes on in the next session without asking the user again', async () => {
    const share = controller();
    share.attach(await session());
    await share.start();
    share.attach(null);
    expect(share.state).toEqual({ name: 'starting' });
    expect(track.readyState).toBe('live');
    share.attach(await session());
    await settled();
    expect(share.state.name).toBe('sharing');
    expect(captures).toBe(1);
    expect(transports).toMatchObject([{ closed: true }, { closed: false }]);
  });

  test('a choice that is not made is no failure; a capture that fails is one, in words', async () => {
    for (const [error, state] of [
      [new DOMException('declined', 'NotAllowedError'), { name: 'idle' }],
      [new Error('no screen'), { name: 'failed', message: 'no screen' }],
    ] as const) {
      const share = new ShareController({ capture: () => Promise.reject(error) });
      share.attach(await session());
      await share.start();
      expect(share.state).toEqual(state);
    }
  });

  test('a server that refuses is a failure in words that gives the screen back, and can be tried again', async () => {
    const share = controller();
    share.attach(await session());
    server.answers['produce'] = () => ({ refuse: 'limit_reached', message: '8 producers at most' });
    await share.start();
    expect(share.state).toEqual({ name: 'failed', message: '8 producers at most' });
    expect(track.readyState).toBe('ended');
    delete server.answers['produce'];
    await share.start();
    expect(share.state.name).toBe('sharing');
  });

  test('stop while the server is being asked leaves nothing on air', async () => {
    const share = controller();
    share.attach(await session());
    server.answers['produce'] = () => 'silence';
    const starting = share.start();
    await vi.waitUntil(() => server.actions.includes('produce'));
    share.stop();
    const { id } = server.requests.at(-1)!;
    server.connection.say({ id, ok: true, data: { producer_id: 'late' } });
    await starting;
    expect(share.state).toEqual({ name: 'idle' });
    expect(server.requests.at(-1)).toMatchObject({ action: 'close_producer', data: { producer_id: 'late' } });
  });

  test('stop while the user is being asked gives back what is chosen', async () => {
    let choose!: (track: MediaStreamTrack) => void;
    const share = new ShareController({ capture: () => new Promise((resolve) => (choose = resolve)) });
    share.attach(await session());
    const starting = share.start();
    share.stop();
    const chosen = new FakeMediaStreamTrack({ kind: 'video' });
    choose(chosen as unknown as MediaStreamTrack);
    await starting;
    expect(chosen.readyState).toBe('ended');
    expect(server.actions).toEqual([]);
  });
});
