import { describe, expect, test } from 'vitest';
import type { NativeSource } from 'yc-share-controller';
import { DEBUG_KEY, debugAllowed } from '../src/gate.ts';
import { detailOf, kindWords, sectionsOf, selectionIn, titleOf } from '../src/picker-model.ts';
import { pathOf } from '../src/probe.ts';
import { elapsed, remaining } from '../src/time.ts';

describe('the debug gate', () => {
  const storing = (value: string | null) => () => ({ getItem: (key: string) => (key === DEBUG_KEY ? value : null) });

  test('is open in a development build', () => {
    expect(debugAllowed(true, storing(null))).toBe(true);
  });

  test.each([
    ['1', true],
    ['0', false],
    ['true', false],
    ['', false],
    [null, false],
  ])('with %j in the storage of another build is open: %s', (value, open) => {
    expect(debugAllowed(false, storing(value))).toBe(open);
  });

  test('is closed where the storage is forbidden', () => {
    const forbidden = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    expect(debugAllowed(false, forbidden)).toBe(false);
  });
});

describe('the picker', () => {
  const source = (id: string, kind: NativeSource['kind'], more: Partial<NativeSource> = {}): NativeSource => {
    return { id, kind, title: id, width: 1920, height: 1080, process: null, backend: 'x11', ...more };
  };
  const screen = source('screen', 'screen');
  const monitor = source('monitor:1', 'monitor');
  const window = source('window:0x1', 'window');
  const pattern = source('test:pattern', 'test');

  test('has a section for each kind that is there, in its own order', () => {
    const second = source('monitor:2', 'monitor');
    const sections = sectionsOf([window, screen, monitor, second]);
    expect(sections.map(({ title, sources }) => [title, sources.map(({ id }) => id)])).toEqual([
      ['Screens', ['screen', 'monitor:1', 'monitor:2']],
      ['Windows', ['window:0x1']],
    ]);
    expect(sectionsOf([pattern]).map(({ title }) => title)).toEqual(['Test pictures']);
    expect(sectionsOf([])).toEqual([]);
  });

  test('leaves the only monitor out beside the whole screen', () => {
    expect(sectionsOf([screen, monitor])[0]!.sources).toEqual([screen]);
    expect(sectionsOf([monitor])[0]!.sources).toEqual([monitor]);
  });

  test('keeps what is selected while it is there, and selects nothing by itself', () => {
    expect(selectionIn([screen, window], 'window:0x1')).toBe('window:0x1');
    expect(selectionIn([screen], 'window:0x1')).toBeNull();
    expect(selectionIn([screen], null)).toBeNull();
  });

  test('names what has no title', () => {
    expect(titleOf({ ...window, title: ' Notes ' })).toBe('Notes');
    expect(titleOf({ ...window, title: '' })).toBe('Window without a title');
    expect(titleOf({ ...window, title: ' ', process: 'xterm' })).toBe('Window of xterm');
    expect(titleOf({ ...screen, title: '' })).toBe('Screen');
  });

  test('tells process and size as far as they are known', () => {
    expect(detailOf({ ...window, process: 'firefox' })).toBe('firefox · 1920 × 1080');
    expect(detailOf({ ...window, width: 0 })).toBe('');
    expect(kindWords('monitor')).toBe('a screen');
  });
});

describe('times', () => {
  test.each([
    [0, '0:00'],
    [59_999, '0:59'],
    [60_000, '1:00'],
    [3_599_000, '59:59'],
    [3_661_000, '1:01:01'],
    [-5_000, '0:00'],
  ])('%i ms have passed as %s', (ms, words) => {
    expect(elapsed(ms)).toBe(words);
  });

  test.each([
    [null, 0, null],
    [1_000, 1_000, null],
    [1_001, 1_000, '1 s'],
    [61_000, 1_000, '60 s'],
    [200_000, 1_000, '4 min'],
  ])('until %s at %i is %s', (at, now, words) => {
    expect(remaining(at, now)).toBe(words);
  });
});

describe('the path of a state', () => {
  test('is the one in use or on its way', () => {
    expect(pathOf({ name: 'sharing', path: 'native', producerId: 'p' })).toBe('native');
    expect(pathOf({ name: 'switching', to: 'browser', reason: 'x' })).toBe('browser');
    expect(pathOf({ name: 'needs_gesture', reason: 'x' })).toBe('browser');
    expect(pathOf({ name: 'waiting', path: 'native' })).toBe('native');
    expect(pathOf({ name: 'idle', ended: null })).toBeNull();
    expect(pathOf({ name: 'failed', reason: 'x', message: '' })).toBeNull();
  });
});
