import { describe, expect, test } from 'vitest';
import { CoolDown } from '../src/cooldown.ts';
import { asCode } from '../src/diagnostics.ts';
import { StatusHistory } from '../src/history.ts';
import { DEFAULT_LIMITS, instability, recent, type Sample } from '../src/instability.ts';
import type { SenderStatus } from '../src/native/status.ts';
import { senderStatus } from './support.ts';

describe('the cool-down', () => {
  test('doubles from its first length to 30 minutes', () => {
    const coolDown = new CoolDown(60_000);
    const lengths = Array.from({ length: 8 }, () => {
      coolDown.fail(1_000);
      return (coolDown.until(1_000)! - 1_000) / 60_000;
    });
    expect(lengths).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
  });

  test('is over when its time is', () => {
    const coolDown = new CoolDown(60_000);
    expect(coolDown.until(0)).toBeNull();
    coolDown.fail(0);
    expect(coolDown.until(59_999)).toBe(60_000);
    expect(coolDown.until(60_000)).toBeNull();
  });

  test('begins anew after a share that ran well for as long as the longest', () => {
    const coolDown = new CoolDown(60_000);
    coolDown.fail(0);
    coolDown.fail(0);
    coolDown.ranWell(29 * 60_000);
    coolDown.fail(0);
    expect(coolDown.until(0)).toBe(240_000);
    coolDown.ranWell(30 * 60_000);
    coolDown.fail(0);
    expect(coolDown.until(0)).toBe(60_000);
  });
});

describe('instability', () => {
  /** A sample a second; `null` for a status that did not come. */
  const row = (count: number, status: (at: number) => Partial<SenderStatus> | null): Sample[] =>
    Array.from({ length: count }, (_, at) => {
      const change = status(at);
      return { at: at * 1_000, status: change && senderStatus({ frames_captured: at * 30, frames_sent: at * 30, ...change }) };
    });
  const restarts = (encoder_restarts: number): Partial<SenderStatus> => ({ lifecycle: { ...senderStatus().lifecycle, encoder_restarts } });
  const lowest = { degradation: { level: 3, cause: 'bandwidth' } };

  test.each<[string, Sample[], string | null]>([
    ['no samples', [], null],
    ['a sender that is well', row(120, () => ({})), null],
    ['a still screen', row(120, () => ({ frames_captured: 5, frames_sent: 5 })), null],
    ['a receiver silent for 6 s', row(7, () => ({ transport_state: 'silent' })), 'native_transport_silent'],
    ['a receiver silent for 5 s', row(6, () => ({ transport_state: 'silent' })), null],
    ['a receiver heard in between', row(12, (at) => ({ transport_state: at === 6 ? 'connected' : 'silent' })), null],
    ['nothing sent for 10 s', row(11, () => ({ frames_sent: 7 })), 'native_stalled'],
    ['nothing sent for 9 s', row(10, () => ({ frames_sent: 7 })), null],
    ['the lowest level for 60 s', row(61, () => lowest), 'native_degraded'],
    ['the lowest level for 59 s', row(60, () => lowest), null],
    ['level 2 for two minutes', row(120, () => ({ degradation: { level: 2, cause: 'queue' } })), null],
    ['5 restarts in 60 s', row(60, (at) => restarts(Math.min(5, Math.floor(at / 10)))), 'native_restarts'],
    ['4 restarts in 60 s', row(60, (at) => restarts(Math.min(4, Math.floor(at / 10)))), null],
    ['many restarts over a long time', row(600, (at) => restarts(Math.floor(at / 20))), null],
    ['three failed statuses in a row', row(8, (at) => (at >= 5 ? null : {})), 'native_status_failed'],
    ['two failed statuses in a row', row(8, (at) => (at >= 6 ? null : {})), null],
    ['failed statuses now and then', row(60, (at) => (at % 3 > 0 ? null : {})), null],
  ])('of %s', (_name, samples, reason) => {
    expect(instability(samples)?.reason ?? null).toBe(reason);
    const now = samples.at(-1)?.at ?? 0;
    // What is forgotten would not have changed the verdict.
    expect(instability(recent(samples, now, DEFAULT_LIMITS))?.reason ?? null).toBe(reason);
  });
});

describe('the history', () => {
  test('goes back two minutes', () => {
    const history = new StatusHistory();
    for (let at = 0; at <= 300_000; at += 1_000) history.pushNative(at, senderStatus());
    expect(history.samples).toHaveLength(120);
    expect(history.samples[0]!.at).toBe(181_000);
  });

  test("reads the browser's report, and the bitrate from two", () => {
    const history = new StatusHistory();
    const report = (bytesSent: number): Map<string, unknown> => new Map([['o', { type: 'outbound-rtp', framesPerSecond: 24, bytesSent }]]);
    history.pushBrowser(0, report(1_000));
    history.pushBrowser(1_000, report(251_000));
    history.pushBrowser(2_000, report(0));
    expect(history.samples.map(({ bitrateKbps }) => bitrateKbps)).toEqual([null, 2_000, null]);
    expect(history.samples[1]).toMatchObject({ path: 'browser', fps: 24, latencyP50Ms: null, level: null });
    history.clear();
    expect(history.samples).toEqual([]);
  });

  test('tells no latency where none was measured', () => {
    const history = new StatusHistory();
    const none = { count: 0, p50_ms: 0, p95_ms: 0, p99_ms: 0, max_ms: 0 };
    history.pushNative(0, senderStatus({ latency: { ...senderStatus().latency, total: none } }));
    expect(history.samples[0]).toMatchObject({ latencyP50Ms: null, latencyP95Ms: null });
  });
});

test('a reason becomes a code that the server takes', () => {
  expect(asCode('Capture Failed: x')).toBe('capture_failed_x');
  expect(asCode('')).toBe('unknown');
  expect(asCode('x'.repeat(100))).toHaveLength(64);
});
