import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Socket } from 'yc-signalling';
import { BridgeNativeSender } from '../src/native/bridge.ts';
import { readEvent, readSources, readStatus, type SenderEvent } from '../src/native/status.ts';
import { TauriNativeSender } from '../src/native/tauri.ts';
import { OFFER, running } from './support.ts';

const PREPARED = { capture_backend: 'x11', encoder_backend: 'openh264', offer: OFFER };

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, 'warn').mockImplementation(() => {});
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('what a host says', () => {
  test('is taken with fields that a later host adds', () => {
    const status = { ...running(), later: 1, native_sender: { ...running().native_sender, later: { deep: true } } };
    expect(readStatus(status)).toEqual(status);
    expect(readEvent({ event: 'source_paused', later: 1 })).toEqual({ event: 'source_paused', later: 1 });
  });

  test.each<[string, (status: Record<string, Record<string, unknown>>) => void]>([
    ['degradation.level is missing', (status) => (status['native_sender']!['degradation'] = {})],
    ['frames_sent is "7", not a number', (status) => (status['native_sender']!['frames_sent'] = '7')],
    ['versions.yc_host is 7, not a string', (status) => (status['versions']!['yc_host'] = 7)],
    ['latency.queue.p95_ms is missing', (status) => void delete (status['native_sender']!['latency'] as Record<string, Record<string, unknown>>)['queue']!['p95_ms']],
    ['phase is missing', (status) => void delete status['phase']],
  ])('is refused where %s', (words, change) => {
    const status = structuredClone(running()) as unknown as Record<string, Record<string, unknown>>;
    change(status);
    expect(() => readStatus(status)).toThrow(words);
  });

  test.each([null, 7, [], 'x'])('is refused where it is %j', (data) => {
    expect(() => readStatus(data)).toThrow(/native_capture_status/);
    expect(() => readSources(data)).toThrow(/sources is missing/);
    expect(readEvent(data)).toBeNull();
  });

  test('is left alone where it is an event that nobody knows, and refused where it is half of one', () => {
    expect(readEvent({ event: 'toString' })).toBeNull();
    expect(() => readEvent({ event: 'sender_stopped', reason: 'requested', detail: null })).toThrow('sender_stopped: failure is missing, not a boolean');
  });
});

describe('by Tauri', () => {
  const handlers = new Map<string, (event: { payload: unknown }) => void>();
  const api = (answer: (command: string, args: unknown) => Promise<unknown>) => ({
    invoke: vi.fn(answer),
    listen: (name: string, handler: (event: { payload: unknown }) => void): Promise<() => void> => {
      handlers.set(name, handler);
      return Promise.resolve(() => handlers.delete(name));
    },
  });

  test('commands go out with one argument named request', async () => {
    const tauri = api(() => Promise.resolve(PREPARED));
    const sender = new TauriNativeSender(tauri);
    await expect(sender.prepare({ source: 'window:1', bitrateKbps: 4_000, srtp: 'aead_aes_256_gcm' })).resolves.toMatchObject({ encoderBackend: 'openh264', offer: OFFER });
    expect(tauri.invoke).toHaveBeenCalledWith('native_capture_prepare', { request: { source: 'window:1', bitrate_kbps: 4_000, srtp: 'aead_aes_256_gcm' } });
  });

  test.each<[unknown, string, string]>([
    [{ code: 'capture_denied', message: 'no' }, 'capture_denied', 'no'],
    ['command not found', 'internal_error', 'command not found'],
    [undefined, 'internal_error', 'native_capture_stop failed'],
  ])('a rejection with %j is an error with the code %s', async (error, code, message) => {
    const sender = new TauriNativeSender(api(() => Promise.reject(error)));
    await expect(sender.stop()).rejects.toMatchObject({ name: 'NativeError', code, message });
  });

  test.each([['prepare', 15_000], ['start', 15_000], ['stop', 5_000], ['status', 5_000], ['sources', 5_000]] as const)('%s takes %i ms at most', async (method, limit) => {
    const sender = new TauriNativeSender(api(() => new Promise(() => {})));
    const late = expect((sender[method] as (request: unknown) => Promise<unknown>)({ source: 'x' })).rejects.toMatchObject({ code: 'native_timeout' });
    await vi.advanceTimersByTimeAsync(limit);
    await late;
  });

  test('events are heard until dispose', async () => {
    const sender = new TauriNativeSender(api(() => Promise.resolve({})));
    const heard: SenderEvent[] = [];
    sender.subscribe((event) => heard.push(event));
    handlers.get('sender_stopped')!({ payload: { event: 'sender_stopped', reason: 'requested', detail: null, failure: false } });
    handlers.get('sender_stopped')!({ payload: null });
    expect(heard).toHaveLength(1);
    await sender.dispose();
    expect(handlers.size).toBe(0);
  });

  test('is there where the app gives its API to the page', () => {
    const { invoke, listen } = api(() => Promise.resolve());
    expect(TauriNativeSender.detect({ __TAURI__: { core: { invoke }, event: { listen } } })).toEqual({ invoke, listen });
    expect(TauriNativeSender.detect({ __TAURI__: {} })).toBeNull();
    expect(TauriNativeSender.detect({})).toBeNull();
  });
});

describe('by the bridge', () => {
  class Line implements Socket {
    onopen: ((event: Event) => void) | null = null;
    onmessage: ((event: MessageEvent) => void) | null = null;
    onclose: ((event: CloseEvent) => void) | null = null;
    readonly sent: { id: number; command: string; data: unknown }[] = [];
    send(text: string): void {
      this.sent.push(JSON.parse(text) as never);
    }
    close(): void {}
    say(message: unknown): void {
      this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) } as MessageEvent);
    }
  }
  let opened: Line[];
  let heard: SenderEvent[];
  const make = (): BridgeNativeSender => {
    opened = [];
    heard = [];
    const sender = new BridgeNativeSender(() => 'ws://bridge', {
      openSocket: () => {
        const line = new Line();
        opened.push(line);
        queueMicrotask(() => line.onopen?.(new Event('open')));
        return line;
      },
    });
    sender.subscribe((event) => heard.push(event));
    return sender;
  };
  const tick = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

  test('replies are matched by id, whatever the order, and nonsense is left alone', async () => {
    const sender = make();
    const prepared = sender.prepare({ source: 'window:1' });
    const status = sender.status();
    await tick();
    const [line] = opened as [Line];
    expect(line.sent).toEqual([
      { id: 1, command: 'native_capture_prepare', data: { source: 'window:1' } },
      { id: 2, command: 'native_capture_status', data: {} },
    ]);
    for (const nonsense of ['{', '[]', { id: 99, ok: true }, { event: 'sender_stopped' }, { event: 'later' }]) line.say(nonsense);
    line.say({ id: 2, ok: true, data: running() });
    line.say({ id: 1, ok: false, error: { code: 'source_not_found', message: 'it is gone' } });
    await expect(status).resolves.toMatchObject({ phase: 'running' });
    await expect(prepared).rejects.toMatchObject({ code: 'source_not_found', message: 'it is gone' });
    expect(heard).toEqual([]);
  });

  test('when the host dies, what waits fails and sender_stopped is told; the next command opens another line', async () => {
    const sender = make();
    const failed = expect(sender.status()).rejects.toMatchObject({ code: 'native_host_lost' });
    await tick();
    opened[0]!.onclose!({} as CloseEvent);
    await failed;
    expect(heard).toMatchObject([{ event: 'sender_stopped', reason: 'native_host_lost', failure: true }]);
    await sender.stop();
    expect(opened).toHaveLength(1);
    const status = sender.status();
    await tick();
    opened[1]!.say({ id: 2, ok: true, data: running() });
    await expect(status).resolves.toMatchObject({ phase: 'running' });
  });

  test('a reply that is late harms nothing', async () => {
    const sender = make();
    const late = expect(sender.status()).rejects.toMatchObject({ code: 'native_timeout' });
    await vi.advanceTimersByTimeAsync(5_000);
    await late;
    opened[0]!.say({ id: 1, ok: true, data: running() });
    await sender.dispose();
    await expect(sender.status()).rejects.toMatchObject({ code: 'native_host_lost' });
  });
});
