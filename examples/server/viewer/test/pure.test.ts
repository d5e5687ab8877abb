import { describe, expect, test } from 'vitest';
import { gridColumns } from '../src/layout.ts';
import type { RoomState } from '../src/room.ts';
import { wordsFor } from '../src/words.ts';

describe('the grid', () => {
  test.each([
    [1, 1280, 720, 1],
    [2, 1280, 720, 2],
    [2, 390, 844, 1],
    [3, 1280, 720, 2],
    [4, 1280, 720, 2],
    [5, 1280, 720, 3],
    [4, 390, 844, 1],
    [9, 1920, 1080, 3],
    [3, 3840, 720, 3],
    [0, 1280, 720, 1],
    [3, 0, 0, 3],
  ])('%i shares in %i × %i stand in %i columns', (count, width, height, columns) => {
    expect(gridColumns(count, width, height)).toBe(columns);
  });
});

describe('the words', () => {
  const idle = { name: 'idle' } as const;
  const sharing = { name: 'sharing', producerId: 'p' } as const;
  const watching = { name: 'watching', interrupted: false } as const;

  test.each([
    [{ name: 'connecting' }, 'Connecting…', null],
    [{ name: 'waiting' }, 'Waiting for a share', null],
    [{ name: 'ready' }, 'Ready to share', null],
    [{ name: 'reconnecting', attempt: 2, message: 'lost' }, 'Reconnecting…', 'retry'],
    [{ name: 'unauthorized', message: 'expired' }, 'You are not let in', 'join'],
    [{ name: 'room_full', message: '' }, 'The room is full', 'retry'],
    [{ name: 'failed', code: 'x', message: 'y' }, 'It did not work', 'retry'],
  ] as [RoomState, string, string | null][])('of %j', (state, title, action) => {
    expect(wordsFor(state, 0, idle)).toMatchObject({ title, action });
  });

  test('give the window to the shares, and count them', () => {
    expect(wordsFor(watching, 1, idle)).toMatchObject({ title: null, short: '1 share', tone: 'live' });
    expect(wordsFor(watching, 3, sharing)).toMatchObject({ title: null, short: '3 shares, and yours' });
    expect(wordsFor({ ...watching, interrupted: true }, 1, idle)).toMatchObject({ title: null, tone: 'busy' });
  });

  test('say that this page shares', () => {
    expect(wordsFor({ name: 'waiting' }, 0, sharing)).toMatchObject({ title: 'You are sharing your screen', tone: 'live' });
  });

  test("make sentences of the server's messages", () => {
    expect(wordsFor({ name: 'failed', code: 'x', message: 'the worker died' }, 0, idle).detail).toBe('The worker died.');
    expect(wordsFor({ name: 'room_full', message: 'room demo holds 50 peers.' }, 0, idle).detail).toBe(
      'Room demo holds 50 peers. Try again when somebody has left.',
    );
  });
});
