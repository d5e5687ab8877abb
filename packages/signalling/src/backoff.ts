/**
 * How long to wait before the next try, in milliseconds: doubling from 0.5 s to 10 s, each shortened at random by up to
 * a half, so that the viewers of a room do not all come back to a restarted server at the same moment.
 *
 * @param attempt tries that have failed so far, from 0
 * @param random from 0 (inclusive) to 1 (exclusive)
 */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(full * (1 - random / 2));
}

const FIRST_MS = 500;
const LONGEST_MS = 10_000;
