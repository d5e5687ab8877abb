import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ShareState } from 'yc-share-controller';
import {
  because,
  degradationWords,
  endWords,
  nativeAgainWords,
  nativeWaitWords,
  pathWords,
  problemWords,
  roomWords,
  sharingWords,
  watcherName,
  watcherWords,
} from '../src/words.ts';

describe('the words for a code', () => {
  test('exist for every failure that the sender documents', () => {
    const page = readFileSync(new URL('../../../docs/failures.md', import.meta.url), 'utf8');
    const [, ends, ...failures] = page.split(/^## /m);
    const codes = (section: string): string[] => [...section.matchAll(/^### `(\w+)`$/gm)].map((match) => match[1]!);
    expect(codes(ends!).filter((code) => code !== 'requested' && endWords({ reason: code, message: '' }) === null)).toEqual([]);
    const missing = failures.flatMap(codes).filter((code) => code !== 'cool_down_over' && because(code).includes(code));
    expect(missing).toEqual([]);
  });

  test('name a code that is not known', () => {
    expect(because('moon_phase')).toContain('moon_phase');
    expect(problemWords({ code: 'moon_phase', message: 'the moon is full' })).toBe('The moon is full.');
  });

  test('say what to do about a refused permission', () => {
    expect(problemWords({ code: 'capture_denied', message: 'x' })).toMatch(/does not let this app capture.*privacy settings/);
  });
});

describe('the words for a state', () => {
  const words = (state: ShareState, browserThere = true, fellBack: string | null = null) => {
    return sharingWords(state, 'a window', browserThere, fellBack);
  };

  test.each([
    [{ name: 'starting', path: 'native' }, 'Starting…', 'busy'],
    [{ name: 'sharing', path: 'native', producerId: 'p' }, 'You are sharing a window', 'live'],
    [{ name: 'sharing', path: 'browser', producerId: 'p' }, 'You are sharing by the browser', 'live'],
    [{ name: 'switching', to: 'browser', reason: 'encoder_hung' }, 'Switching to the browser…', 'busy'],
    [{ name: 'switching', to: 'native', reason: 'go_native' }, 'Going back to native…', 'busy'],
    [{ name: 'needs_gesture', reason: 'encoder_hung' }, 'Continue sharing?', 'attention'],
    [{ name: 'waiting', path: 'native' }, 'Waiting for the server…', 'busy'],
    [{ name: 'stopping' }, 'Stopping…', 'busy'],
    [{ name: 'failed', reason: 'capture_denied', message: 'x' }, 'Sharing does not work', 'bad'],
  ] as [ShareState, string, string][])('%j', (state, title, tone) => {
    expect(words(state)).toMatchObject({ title, tone });
  });

  test('leave the page to the picker while nothing is shared', () => {
    expect(words({ name: 'idle', ended: null })).toBeNull();
    expect(words({ name: 'disposed' })).toBeNull();
  });

  test('say why the browser takes over', () => {
    expect(words({ name: 'switching', to: 'browser', reason: 'encoder_hung' })?.detail).toContain('the encoder does not answer');
    expect(pathWords('browser', 'encoder_hung')).toContain('the encoder does not answer');
    expect(pathWords('browser', null)).not.toContain('native');
  });

  test('say that the browser cannot take over where there is no WebRTC', () => {
    const failed: ShareState = { name: 'failed', reason: 'browser_unsupported', message: 'x' };
    expect(words(failed, false, 'encoder_unsupported')?.detail).toMatch(/no video encoder works here.*no WebRTC/);
    expect(words(failed, true, 'encoder_unsupported')?.detail).toMatch(/no video encoder.*cannot capture a screen here/);
    expect(words(failed, true)?.detail).toBe('The browser cannot capture a screen here.');
  });
});

describe('the end of a share', () => {
  test('is said where its source ended, and not where the user did', () => {
    expect(endWords({ reason: 'window_closed', message: '' })).toBe('The window you shared was closed.');
    expect(endWords({ reason: 'requested', message: '' })).toBeNull();
    expect(endWords(null)).toBeNull();
    expect(endWords({ reason: 'sun_set', message: 'the sun has set' })).toBe('The sun has set.');
  });
});

describe('who watches', () => {
  test('is counted and named', () => {
    expect(watcherWords([])).toBe('Nobody is watching yet');
    expect(watcherWords([{ peer_id: '1', name: 'Ada' }])).toBe('1 person is watching');
    expect(watcherWords([{ peer_id: '1', name: 'Ada' }, { peer_id: '2', name: null }])).toBe('2 people are watching');
    expect(watcherName({ peer_id: '2', name: null })).toBe('Viewer');
    expect(watcherName({ peer_id: '1', name: 'Ada' })).toBe('Ada');
  });
});

describe('the rest', () => {
  test('degradation has words for its level and its cause', () => {
    expect(degradationWords(0, 'bandwidth')).toBe('Full quality');
    expect(degradationWords(1, 'bandwidth')).toBe('Slightly reduced quality: the network is slow');
    expect(degradationWords(3, null)).toBe('Lowest quality');
    expect(degradationWords(7, 'gravity')).toBe('Reduced quality (level 7): gravity');
  });

  test('the way back to native says when it is open', () => {
    expect(nativeAgainWords(61_000, 1_000)).toMatch(/in 60 s/);
    expect(nativeAgainWords(61_000, 61_000)).toMatch(/may be tried again\./);
    expect(nativeAgainWords(null, 0)).toMatch(/may be tried again\./);
    expect(nativeWaitWords(null, 0)).toBeNull();
    expect(nativeWaitWords(5_000, 1_001)).toMatch(/in 4 s/);
  });

  test('a room that cannot be entered says what to do', () => {
    expect(roomWords({ code: 'unauthorized', message: 'the token has expired' })).toMatch(/^The token has expired\. The token may/);
    expect(roomWords({ code: 'odd', message: '' })).toBe('Odd.');
  });
});
