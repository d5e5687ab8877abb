import { describe, expect, test } from 'vitest';
import type { NativeStatus } from 'yc-share-controller';
import { EventLog, eventRow, stateRow } from '../src/debug/event-log.ts';
import { figuresOf, statusForCopy } from '../src/debug/figures.ts';
import { highestOf, linesOf, niceTop } from '../src/debug/scale.ts';

describe('the scale', () => {
  test.each([
    [0, 30, 30],
    [29, 30, 30],
    [31, 30, 50],
    [60, 30, 100],
    [5_200, 500, 10_000],
    [1_900, 500, 2_000],
    [0, 0, 1],
    [Number.POSITIVE_INFINITY, 30, 1],
  ])('of %d, at least %d, ends at %d', (highest, atLeast, top) => {
    expect(niceTop(highest, atLeast)).toBe(top);
  });

  test('leaves gaps out of the highest value', () => {
    expect(highestOf([{ at: 0, value: null }, { at: 1, value: 3 }], [{ at: 0, value: 7 }])).toBe(7);
    expect(highestOf([])).toBe(0);
  });
});

describe('the lines of a graph', () => {
  const box = { width: 120, height: 10 };
  const lines = (points: { at: number; value: number | null }[]) => linesOf(points, box, 120_000, 120_000, 100);

  test('go from the oldest at the left to now at the right, from 0 at the bottom up', () => {
    expect(lines([{ at: 118_000, value: 0 }, { at: 120_000, value: 100 }])).toEqual([[[118, 10], [120, 0]]]);
  });

  test('end at a gap in the values and in the time', () => {
    expect(lines([{ at: 1_000, value: 50 }, { at: 2_000, value: null }, { at: 3_000, value: 50 }])).toHaveLength(2);
    expect(lines([{ at: 1_000, value: 50 }, { at: 9_000, value: 50 }])).toHaveLength(2);
  });

  test('stay in the box, and leave out what is older or from the future', () => {
    expect(lines([{ at: -1, value: 5 }, { at: 120_000, value: 900 }, { at: 120_001, value: 5 }])).toEqual([[[120, 0]]]);
    expect(lines([{ at: 120_000, value: Number.NaN }])).toEqual([]);
  });
});

describe('the list of events', () => {
  test('keeps the last ones', () => {
    const log = new EventLog(2);
    for (const at of [1, 2, 3]) log.push({ at, name: 'x', code: '', note: '' });
    expect(log.rows.map(({ at }) => at)).toEqual([2, 3]);
    expect(log.total).toBe(3);
  });

  test('has codes, and not the words that may name a window', () => {
    const detail = 'window “Letter to the bank” was closed';
    const stopped = eventRow(7, { event: 'sender_stopped', reason: 'window_closed', detail, failure: false });
    expect(stopped).toEqual({ at: 7, name: 'sender_stopped', code: 'window_closed', note: 'end' });
    const step = eventRow(7, { event: 'fallback_triggered', step: 'next_encoder', from: 'nvenc', to: 'openh264', reason: 'encoder_hung', detail });
    expect(step).toMatchObject({ code: 'encoder_hung', note: 'next_encoder: nvenc → openh264' });
    const failed = stateRow(7, { name: 'failed', reason: 'capture_failed', message: detail });
    expect(JSON.stringify([stopped, step, failed])).not.toContain('bank');
  });

  test('tells each state with its path and reason', () => {
    expect(stateRow(1, { name: 'switching', to: 'browser', reason: 'rtcp_timeout' })).toMatchObject({ note: 'switching to browser', code: 'rtcp_timeout' });
    expect(stateRow(1, { name: 'idle', ended: { reason: 'window_closed', message: '' } })).toMatchObject({ note: 'idle', code: 'window_closed' });
    expect(stateRow(1, { name: 'sharing', path: 'native', producerId: 'p' })).toMatchObject({ note: 'sharing native', code: '' });
  });
});

describe('the figures', () => {
  // Only what is read: the page takes the status as the host tells it.
  const status = {
    phase: 'running',
    versions: { yc_host: '0.1.0' },
    native_sender: {
      state: 'running',
      encoder_backend: 'openh264',
      encoder_why_not: ['nvenc: no such library'],
      capture_why_not: [],
      capture_note: 'the window “Letter to the bank” is on another desktop',
      lifecycle: { encoder_restarts: 0, capture_restarts: 2 },
      dropped: { superseded: 0 },
      stop_reason: null,
      srtp: { suite: 'AEAD_AES_128_GCM', rtcp_rejected: { authentication: 3, replayed: 0 }, not_protected: 0 },
    },
  } as unknown as NativeStatus;

  test('show what is told and leave out what is not', () => {
    const rows = new Map(figuresOf(status, 'tauri'));
    expect(rows.get('native host')).toBe('tauri');
    expect(rows.get('encoder')).toBe('openh264');
    expect(rows.get('encoder: why not others')).toBe('nvenc: no such library');
    expect(rows.get('capture: why not others')).toBe('none');
    expect(rows.get('lifecycle')).toBe('capture_restarts 2');
    expect(rows.get('dropped')).toBe('none');
    expect(rows.get('encryption')).toBe('AEAD_AES_128_GCM');
    expect(rows.get('rejected feedback')).toBe('authentication 3');
    expect(rows.has('stop reason')).toBe(false);
    expect(rows.has('transport')).toBe(false);
  });

  test('are one row without a native sender', () => {
    expect(figuresOf(null, null)).toEqual([['native host', 'none']]);
  });

  test('are copied without what may name a window', () => {
    expect(JSON.stringify(statusForCopy(status))).not.toContain('bank');
    expect(JSON.stringify(statusForCopy(status))).toContain('openh264');
    expect(statusForCopy(null)).toBeNull();
  });
});
