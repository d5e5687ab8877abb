import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ShareController, type ShareControllerOptions } from '../src/controller.ts';
import { nativeSession } from 'yc-signalling/testing';
import type { RoomSession } from '../src/session.ts';
import type { ShareState } from '../src/state.ts';
import { CountingServer, KEY, ScriptedNative, Screen, fail, lose, never, refusal, running, session } from './support.ts';

const SOURCE = { source: 'window:0x3a00007' };
let server: CountingServer;
let native: ScriptedNative;
let screen: Screen;
let share: ShareController;
let states: string[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'error').mockImplementation((...words) => expect.unreachable(words.join(' ')));
  server = new CountingServer();
  native = new ScriptedNative();
  screen = new Screen();
});
afterEach(async () => {
  const disposed = share.dispose();
  await vi.advanceTimersByTimeAsync(20_000);
  await disposed;
  expect(share.state).toEqual({ name: 'disposed' });
  expect(server.mostOpen).toBeLessThanOrEqual(1);
  expect([...server.open]).toEqual([]);
  expect(screen.live).toBe(0);
  expect(native.listeners.size).toBe(0);
  expect(native.active).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function make(options: Partial<ShareControllerOptions> = {}): ShareController {
  share = new ShareController({ native, browser: { capture: screen.capture }, ...options });
  states = [];
  share.onChange = () => {
    const shown = label(share.state);
    if (states.at(-1) !== shown) states.push(shown);
  };
  return share;
}

function label(state: ShareState): string {
  switch (state.name) {
    case 'starting':
    case 'sharing':
    case 'waiting':
      return `${state.name} ${state.path}`;
    case 'switching':
      return `switching to ${state.to}: ${state.reason}`;
    case 'idle':
      return state.ended === null ? 'idle' : `ended: ${state.ended.reason}`;
    case 'failed':
    case 'needs_gesture':
      return `${state.name}: ${state.reason}`;
    default:
      return state.name;
  }
}

const quiet = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

async function joined(): Promise<RoomSession> {
  const made = await session(server);
  share.attach(made);
  return made;
}

async function sharing(options: Partial<ShareControllerOptions> = {}, request = SOURCE as { source?: string }): Promise<RoomSession> {
  make(options);
  const made = await joined();
  await share.start(request);
  expect(share.state.name).toBe('sharing');
  return made;
}

describe('the native path', () => {
  test('is taken first: prepare, the place at the server, start; the browser is not asked', async () => {
    await sharing();
    expect(states).toEqual(['starting native', 'sharing native']);
    expect(native.calls.filter((call) => call !== 'status')).toEqual(['prepare', 'start']);
    expect(server.actions).toEqual(['create_native_sender_session']);
    expect(share.state).toEqual({ name: 'sharing', path: 'native', producerId: 'producer-1' });
    expect(screen.asked).toBe(0);
  });

  test('the key goes to the server and the sender, and is in nothing else that is told or shown', async () => {
    const told: unknown[] = [];
    const started = vi.spyOn(native, 'start');
    await sharing();
    share.onDiagnostic = (diagnostic) => told.push(diagnostic);
    share.onStatus = (status) => told.push(status);
    await quiet(3_000);
    native.tell({ event: 'sender_stopped', reason: 'socket_failed', detail: 'broken', failure: true });
    await quiet();
    const holding = server.requests.filter((request) => JSON.stringify(request).includes(KEY));
    expect(holding.map(({ action }) => action)).toEqual(['create_native_sender_session']);
    expect(JSON.stringify(started.mock.calls)).toContain(KEY);
    told.push(share.state, states, share.history.samples, server.requests.filter(({ action }) => action === 'client_diagnostic'));
    expect(told.length).toBeGreaterThan(4);
    expect(JSON.stringify(told)).not.toContain(KEY);
  });

  test('stop closes the place at the server and the sender', async () => {
    await sharing();
    await share.stop();
    expect(states.slice(2)).toEqual(['stopping', 'idle']);
    expect(native.calls).toContain('stop');
    expect(server.actions.at(-1)).toBe('close_native_sender_session');
  });

  test('stop is not held up by a sender that does not answer', async () => {
    await sharing();
    native.before.stop = never;
    server.answers['close_native_sender_session'] = () => 'silence';
    const stopped = share.stop();
    await quiet(1_000);
    await stopped;
    expect(share.state.name).toBe('idle');
    server.open.clear();
    await quiet(10_000);
  });

  test.each(['prepare', 'start'] as const)('stop ends a %s that hangs', async (command) => {
    make();
    await joined();
    native.before[command] = never;
    void share.start(SOURCE);
    await quiet(100);
    expect(states).toEqual(['starting native']);
    await share.stop();
    expect(states.slice(1)).toEqual(['stopping', 'idle']);
    expect(native.calls).toContain('stop');
  });

  test('a place that the server makes too late is closed when it comes', async () => {
    make();
    await joined();
    server.answers['create_native_sender_session'] = () => 'silence';
    void share.start(SOURCE);
    await quiet(100);
    await share.stop();
    const { id, data } = server.requests.at(-1)!;
    delete server.answers['create_native_sender_session'];
    server.connection.say({ id, ok: true, data: server.answer({ id, action: 'create_native_sender_session', data }) });
    await quiet();
    expect(server.actions.at(-1)).toBe('close_native_sender_session');
    expect(server.open.size).toBe(0);
  });

  test('another start right after a stop shares the other source', async () => {
    await sharing();
    void share.stop();
    await share.start({ source: 'monitor:1' });
    expect(share.state).toMatchObject({ name: 'sharing', path: 'native', producerId: 'producer-2' });
    expect(native.calls.filter((call) => call !== 'status')).toEqual(['prepare', 'start', 'stop', 'prepare', 'start']);
  });

  test('start does nothing while something is shared', async () => {
    await sharing();
    await share.start({ source: 'monitor:1' });
    expect(server.actions).toEqual(['create_native_sender_session']);
  });
});

describe('falling back', () => {
  test.each([
    ['prepare', 'capture_denied'],
    ['prepare', 'encoder_unsupported'],
    ['prepare', 'native_timeout'],
    ['start', 'internal_error'],
    ['start', 'transport_hung'],
  ] as const)('a %s that fails with %s leads to the browser', async (command, code) => {
    make();
    await joined();
    native.before[command] = fail(code);
    await share.start(SOURCE);
    expect(states).toEqual(['starting native', `switching to browser: ${code}`, 'sharing browser']);
    expect(server.diagnostics()).toEqual([`native_start_failed ${code}`, `fallback_triggered ${code}`]);
    expect(share.lastFallback).toMatchObject({ reason: code, message: expect.stringContaining('in words') });
    expect(share.nativeAvailableAt).toBe(Date.now() + 60_000);
  });

  test('diagnostics tell backend, level and versions, but nothing that the source says', async () => {
    native.status_ = running({ degradation: { level: 2, cause: 'queue' } });
    await sharing({ versions: { app: '1.2.3' } });
    await quiet(1_000);
    native.tell({ event: 'sender_stopped', reason: 'encoder_hung', detail: 'while "Secret window" was encoded', failure: true });
    await quiet();
    const told = server.requests.filter(({ action }) => action === 'client_diagnostic').map(({ data }) => data);
    expect(told).toHaveLength(2);
    for (const data of told) {
      expect(data).toMatchObject({ encoder_backend: 'openh264', degradation_level: 2 });
      expect(data['versions']).toEqual({ share_controller: '0.1.0', app: '1.2.3', yc_host: '0.1.0' });
      expect(JSON.stringify(data)).not.toMatch(/Secret|0x3a00007/);
    }
  });

  test('a reply that the guard refuses is not started on', async () => {
    make();
    await joined();
    server.answers['create_native_sender_session'] = (data) => ({ ...nativeSession(data), payload_type: 64 });
    await share.start(SOURCE);
    expect(share.state).toMatchObject({ name: 'sharing', path: 'browser' });
    expect(native.calls).not.toContain('start');
    expect(native.calls).toContain('stop');
    expect(server.diagnostics()).toEqual(['negotiation_failed negotiation_failed', 'fallback_triggered negotiation_failed']);
    expect(share.lastFallback?.message).toBe('payload_type 64 is not from 96 to 127');
  });

  test('a refusal of the server counts as a failure of the native path', async () => {
    make();
    await joined();
    server.answers['create_native_sender_session'] = () => ({ refuse: 'unsupported_codec', message: 'none of them' });
    await share.start(SOURCE);
    expect(states.at(-1)).toBe('sharing browser');
    expect(server.diagnostics()).toEqual(['native_start_failed unsupported_codec', 'fallback_triggered unsupported_codec']);
  });

  test('a sender that stops by a failure leads to the browser, once', async () => {
    await sharing();
    native.stopped('capture_device_lost', true);
    native.stopped('capture_device_lost', true);
    await quiet();
    expect(states.slice(2)).toEqual(['switching to browser: capture_device_lost', 'sharing browser']);
    expect(server.diagnostics()).toEqual(['sender_stopped capture_device_lost', 'fallback_triggered capture_device_lost']);
    const order = server.actions.filter((action) => action !== 'client_diagnostic');
    expect(order).toEqual(['create_native_sender_session', 'close_native_sender_session', 'create_transport', 'connect_transport', 'produce']);
  });

  test('a host that dies in mid-command leads to the browser, once', async () => {
    make();
    await joined();
    native.before.start = () => {
      native.stopped('native_host_lost', true);
      fail('native_host_lost')();
    };
    await share.start(SOURCE);
    expect(states.at(-1)).toBe('sharing browser');
    expect(server.diagnostics()).toEqual(['sender_stopped native_host_lost', 'fallback_triggered native_host_lost']);
  });

  test('a place that the server closes leads to the browser', async () => {
    await sharing();
    server.open.clear();
    server.connection.say({ event: 'native_session_closed', data: { session_id: 'session-of-another', reason: 'no_media' } });
    server.connection.say({ event: 'native_session_closed', data: { session_id: 'session-1', reason: 'no_media' } });
    await quiet();
    expect(states.slice(2)).toEqual(['switching to browser: native_session_closed', 'sharing browser']);
    expect(server.actions).not.toContain('close_native_sender_session');
    expect(native.calls).toContain('stop');
  });

  test('an unstable sender leads to the browser', async () => {
    await sharing();
    native.status_ = running({ transport_state: 'silent' });
    await quiet(6_000);
    expect(share.state).toMatchObject({ path: 'native' });
    await quiet(1_500);
    expect(states.slice(2)).toEqual(['switching to browser: native_transport_silent', 'sharing browser']);
    expect(server.diagnostics()).toEqual(['fallback_triggered native_transport_silent']);
  });

  test('status calls that hang lead to the browser', async () => {
    await sharing();
    native.before.status = never;
    await quiet(9_500);
    expect(states.slice(2)).toEqual(['switching to browser: native_status_failed', 'sharing browser']);
  });

  test('a status that says it is over counts where the event was lost', async () => {
    await sharing();
    native.status_ = { ...running({ state: 'failed', stop_reason: 'socket_failed' }), phase: 'over' };
    await quiet(1_000);
    expect(states.slice(2)).toEqual(['switching to browser: socket_failed', 'sharing browser']);
  });

  test('the browser is asked while the native path is still being closed', async () => {
    await sharing();
    native.before.stop = never;
    native.stopped('transport_hung', true);
    await quiet(10);
    expect(screen.asked).toBe(1);
    expect(share.state.name).toBe('switching');
    await quiet(1_000);
    expect(states.at(-1)).toBe('sharing browser');
  });

  test('a browser that wants a click waits for it', async () => {
    await sharing();
    screen.before = refusal('InvalidStateError');
    native.stopped('encoder_failed', true);
    await quiet();
    expect(share.state).toEqual({ name: 'needs_gesture', reason: 'encoder_failed' });
    expect(server.open.size).toBe(0);
    await quiet(60_000);
    expect(screen.asked).toBe(1);
    screen.before = () => {};
    const continued = share.continueInBrowser();
    expect(screen.asked).toBe(2);
    await continued;
    expect(share.state).toMatchObject({ name: 'sharing', path: 'browser' });
  });

  test('a user who declines is not asked again', async () => {
    await sharing();
    screen.before = refusal('NotAllowedError');
    native.stopped('encoder_failed', true);
    await quiet(60_000);
    expect(share.state).toMatchObject({ name: 'failed', reason: 'declined', message: expect.stringContaining('because of encoder_failed') });
    expect(screen.asked).toBe(1);
  });

  test('a platform without getDisplayMedia says so, and why the native path failed', async () => {
    make({ browser: { supported: () => false } });
    await joined();
    native.before.prepare = fail('capture_unsupported');
    await share.start(SOURCE);
    expect(share.state).toMatchObject({ name: 'failed', reason: 'browser_unsupported' });
    expect(share.nativeAvailableAt).toBeNull();
    expect((share.state as { message: string }).message).toMatch(/capture_unsupported in words.*no getDisplayMedia/);
    await share.stop();
    expect(share.state).toEqual({ name: 'idle', ended: null });
  });

  test('a diagnostic that is refused disturbs nothing', async () => {
    await sharing();
    server.answers['client_diagnostic'] = () => ({ refuse: 'bad_message' });
    native.stopped('encoder_failed', true);
    await quiet();
    expect(states.at(-1)).toBe('sharing browser');
  });
});

describe('an end that is no failure', () => {
  test.each(['window_closed', 'monitor_removed', 'end_of_file', 'requested'])('%s ends the share', async (reason) => {
    await sharing();
    native.stopped(reason, false);
    await quiet();
    expect(states.slice(2)).toEqual(['stopping', `ended: ${reason}`]);
    expect(server.diagnostics()).toEqual([]);
    expect(share.nativeAvailableAt).toBeNull();
    expect(screen.asked).toBe(0);
  });

  test('what the stop of an earlier share tells ends nothing', async () => {
    make();
    await joined();
    native.before.stop = () => native.stopped('requested', false);
    void share.start(SOURCE);
    await quiet();
    void share.stop();
    await share.start(SOURCE);
    native.stopped('requested', false);
    expect(share.state).toMatchObject({ name: 'sharing', path: 'native' });
    await quiet();
  });

  test('the user ending it in the bar of the browser ends the share', async () => {
    await sharing({}, {});
    screen.tracks[0]!.onended!(new Event('ended') as never);
    await quiet();
    expect(states.at(-1)).toBe('ended: browser_stopped');
    expect(server.open.size).toBe(0);
  });
});

describe('the browser path', () => {
  test('is the only one in a plain browser, and sends no diagnostics', async () => {
    await sharing({ native: null });
    expect(states).toEqual(['starting browser', 'sharing browser']);
    expect(server.actions).toEqual(['create_transport', 'connect_transport', 'produce']);
    expect(server.requests[2]!.data).toMatchObject({ kind: 'video', rtp_parameters: { encodings: [{ maxBitrate: 8_000_000 }] } });
  });

  test('asks in the click itself', async () => {
    make({ native: null });
    await joined();
    void share.start();
    expect(screen.asked).toBe(1);
    await quiet();
  });

  test('a declined start is an answer, not a failure', async () => {
    make({ native: null });
    await joined();
    screen.before = refusal('NotAllowedError');
    await share.start();
    expect(share.state).toMatchObject({ name: 'idle', ended: { reason: 'declined' } });
    expect(screen.asked).toBe(1);
  });

  test('a declined start is not asked again when the room comes', async () => {
    make({ native: null });
    screen.before = refusal('NotAllowedError');
    await share.start();
    expect(states.at(-1)).toBe('ended: declined');
    await joined();
    await quiet();
    expect(screen.asked).toBe(1);
  });

  test('another failure is told in words', async () => {
    make({ native: null });
    await joined();
    screen.before = refusal('NotReadableError');
    await share.start();
    expect(share.state).toMatchObject({ name: 'failed', reason: 'browser_failed', message: expect.stringContaining('could not capture') });
    screen.before = () => {};
    await share.start();
    expect(share.state.name).toBe('sharing');
  });

  test('a producer that the server refuses is told in words', async () => {
    make({ native: null });
    await joined();
    server.answers['produce'] = () => ({ refuse: 'limit_reached', message: '8 producers already' });
    await share.start();
    expect(share.state).toEqual({ name: 'failed', reason: 'limit_reached', message: '8 producers already' });
    expect(screen.live).toBe(0);
  });

  test('a stop while the user is being asked gives the screen back when it comes', async () => {
    make({ native: null });
    await joined();
    let answer = (): void => {};
    screen.before = () => new Promise((resolve) => (answer = resolve));
    void share.start();
    await quiet();
    await share.stop();
    answer();
    await quiet();
    expect(screen.tracks).toHaveLength(1);
    expect(screen.live).toBe(0);
    expect(states.at(-1)).toBe('idle');
  });

  test('a stop and a start while the user is being asked ask once', async () => {
    make({ native: null });
    await joined();
    let answer = (): void => {};
    screen.before = () => new Promise((resolve) => (answer = resolve));
    void share.start();
    await quiet();
    void share.stop();
    void share.start();
    await quiet();
    answer();
    await quiet();
    expect(screen.asked).toBe(1);
    expect(states.at(-1)).toBe('sharing browser');
  });
});

test('a stop and a start whose capture wants a click leave no producer of the first share', async () => {
  await sharing({}, {});
  screen.before = refusal('InvalidStateError');
  void share.stop();
  await share.start();
  expect(share.state).toEqual({ name: 'needs_gesture', reason: 'needs_gesture' });
  expect(server.open.size).toBe(0);
});

describe('the cool-down', () => {
  test('start during it goes to the browser at once; after it natively again', async () => {
    make();
    await joined();
    native.before.prepare = fail('capture_failed');
    await share.start(SOURCE);
    await share.stop();
    native.before = {};
    await share.start(SOURCE);
    expect(share.state).toMatchObject({ name: 'sharing', path: 'browser' });
    await share.stop();
    await quiet(60_000);
    expect(share.nativeAvailableAt).toBeNull();
    await share.start(SOURCE);
    expect(share.state).toMatchObject({ name: 'sharing', path: 'native' });
  });

  test('its end is told', async () => {
    await sharing({ coolDownMs: 5_000 });
    native.stopped('encoder_failed', true);
    await quiet(4_999);
    const changed = vi.fn();
    share.onChange = changed;
    await quiet(1);
    expect(changed).toHaveBeenCalledOnce();
    expect(share.nativeAvailableAt).toBeNull();
  });
});

describe('going native again', () => {
  async function fallenBack(): Promise<void> {
    await sharing();
    native.stopped('encoder_failed', true);
    await quiet();
    expect(states.at(-1)).toBe('sharing browser');
    states.length = 0;
    server.requests.length = 0;
  }

  test('is refused before the cool-down is over', async () => {
    await fallenBack();
    await share.goNative();
    expect(states).toEqual([]);
  });

  test('prepares while the browser shares, closes its producer, then starts', async () => {
    await fallenBack();
    await quiet(60_000);
    native.calls.length = 0;
    native.before.prepare = () => {
      expect(server.open.size).toBe(1);
      expect(screen.live).toBe(1);
    };
    native.before.start = () => {
      expect([...server.open]).toEqual([expect.stringMatching(/^session-/)]);
      expect(screen.live).toBe(1);
    };
    await share.goNative();
    expect(states).toEqual(['sharing browser', 'switching to native: go_native', 'sharing native']);
    expect(screen.live).toBe(0);
    expect(server.actions).toEqual(['close_producer', 'create_native_sender_session', 'client_diagnostic']);
    expect(server.diagnostics()).toEqual(['fallback_completed go_native']);
  });

  test.each(['prepare', 'start'] as const)('if its %s fails, the browser goes on without asking, and the cool-down doubles', async (command) => {
    await fallenBack();
    await quiet(60_000);
    native.before[command] = fail('encoder_failed');
    await share.goNative();
    const closed = command === 'start' ? ['switching to browser: encoder_failed'] : [];
    expect(states.slice(1)).toEqual(['switching to native: go_native', ...closed, 'sharing browser']);
    expect(native.calls.at(-1)).toBe('stop');
    expect(server.actions.filter((action) => action === 'produce')).toHaveLength(closed.length);
    expect(screen.asked).toBe(1);
    expect(server.diagnostics()).toEqual(['native_start_failed encoder_failed', 'fallback_triggered encoder_failed']);
    expect(share.nativeAvailableAt).toBe(Date.now() + 120_000);
  });
});

describe('the room going away', () => {
  test('stops the native sender, which starts again in the next session', async () => {
    await sharing();
    lose(server);
    share.attach(null);
    await quiet();
    expect(share.state).toEqual({ name: 'waiting', path: 'native' });
    expect(native.active).toBe(false);
    await joined();
    await quiet();
    expect(share.state).toMatchObject({ name: 'sharing', path: 'native', producerId: 'producer-2' });
    expect(server.diagnostics()).toEqual([]);
  });

  test('in the middle of the negotiation is no failure of the native path', async () => {
    make();
    await joined();
    server.answers['create_native_sender_session'] = () => 'silence';
    void share.start(SOURCE);
    await quiet();
    lose(server);
    await quiet();
    expect(share.state).toEqual({ name: 'waiting', path: 'native' });
    share.attach(null);
    server.answers = {};
    await joined();
    await quiet();
    expect(share.state).toMatchObject({ name: 'sharing', path: 'native' });
    expect(share.lastFallback).toBeNull();
  });

  test('keeps the capture of the browser, which is not asked again', async () => {
    await sharing({ native: null });
    lose(server);
    share.attach(null);
    await quiet();
    expect(share.state).toEqual({ name: 'waiting', path: 'browser' });
    await joined();
    await quiet();
    expect(share.state).toMatchObject({ name: 'sharing', path: 'browser', producerId: 'web-2' });
    expect(screen.asked).toBe(1);
  });

  test('a failure meanwhile is told when the room is back', async () => {
    await sharing();
    server.answers['close_native_sender_session'] = () => ({});
    native.stopped('encoder_failed', true);
    lose(server);
    share.attach(null);
    await quiet();
    expect(share.state).toEqual({ name: 'waiting', path: 'browser' });
    await joined();
    await quiet();
    expect(states.at(-1)).toBe('sharing browser');
    expect(server.diagnostics()).toEqual(['sender_stopped encoder_failed', 'fallback_triggered encoder_failed']);
  });

  test('a needed click is still needed after it', async () => {
    await sharing();
    screen.before = refusal('InvalidStateError');
    native.stopped('encoder_failed', true);
    await quiet();
    share.attach(null);
    await quiet();
    expect(share.state.name).toBe('waiting');
    await joined();
    await quiet();
    expect(share.state.name).toBe('needs_gesture');
    expect(screen.asked).toBe(1);
  });
});

describe('disposing', () => {
  test('ends what runs and makes every later call do nothing', async () => {
    const made = await sharing();
    await share.dispose();
    expect(states.slice(2)).toEqual(['stopping', 'disposed']);
    share.attach(null);
    share.attach(made);
    await Promise.all([share.start(SOURCE), share.stop(), share.goNative(), share.continueInBrowser(), share.dispose()]);
    native.stopped('encoder_failed', true);
    expect(share.state).toEqual({ name: 'disposed' });
    expect(server.open.size).toBe(0);
  });
});

test('the history has a sample a second, from whichever path', async () => {
  await sharing();
  await quiet(3_000);
  expect(share.history.samples).toHaveLength(3);
  expect(share.history.samples[0]).toMatchObject({ path: 'native', fps: 30, bitrateKbps: 2_500, latencyP50Ms: 8, latencyP95Ms: 12, level: 0 });
  native.stopped('encoder_failed', true);
  await quiet(2_500);
  expect(share.history.samples.map(({ path }) => path)).toEqual(['native', 'native', 'native', 'browser', 'browser']);
});
