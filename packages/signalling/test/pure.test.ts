import { describe, expect, test } from 'vitest';
import { backoffMs } from '../src/backoff.ts';
import { roleOfToken, roomNameProblem } from '../src/token.ts';

describe('the wait before the next try', () => {
  test('doubles from half a second to ten', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 1_000].map((attempt) => backoffMs(attempt, 0))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000,
    ]);
  });

  test('is shortened at random by up to a half', () => {
    expect(backoffMs(1, 0.9)).toBe(550);
    expect(backoffMs(1, 0.5)).toBe(750);
  });
});

describe('a token', () => {
  test.each([
    ['v1.share.1798761600.demo.DnQ5', 'share'],
    ['v1.view.1798761600.demo.DnQ5', 'view'],
    ['v1.both.1798761600.demo.DnQ5', 'both'],
    ['v1.admin.1798761600.demo.DnQ5', 'view'],
    ['v2.share.1798761600.demo.DnQ5', 'view'],
    ['nonsense', 'view'],
    ['', 'view'],
  ])('%j is joined as %s', (token, role) => {
    expect(roleOfToken(token)).toBe(role);
  });

  test.each([
    ['demo', null],
    ['A_b-9', null],
    ['', 'Enter the name of the room.'],
    ['two words', 'The name may hold letters, digits, - and _ only.'],
    ['x'.repeat(64), null],
    ['x'.repeat(65), 'The name has 65 characters; it may have up to 64.'],
  ])('the room name %j: %s', (name, problem) => {
    expect(roomNameProblem(name)).toBe(problem);
  });
});
