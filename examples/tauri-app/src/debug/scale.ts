/** From numbers over time to points of a canvas. Pure. */

/** One value at a time in milliseconds; `null` is a gap. */
export interface Point {
  at: number;
  value: number | null;
}

export interface Box {
  width: number;
  height: number;
}

/** The top of a graph that holds `highest`: 1, 2 or 5 times a power of ten, and never below `atLeast`. */
export function niceTop(highest: number, atLeast: number): number {
  const wanted = Math.max(highest, atLeast);
  if (!Number.isFinite(wanted) || wanted <= 0) return 1;
  if (highest <= atLeast) return atLeast;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return ([1, 2, 5, 10].find((factor) => factor * power >= wanted) ?? 10) * power;
}

/** The highest value, 0 if there is none. */
export function highestOf(...series: readonly (readonly Point[])[]): number {
  let highest = 0;
  for (const points of series) for (const { value } of points) highest = Math.max(highest, value ?? 0);
  return highest;
}

/**
 * Lines to draw through points, oldest first: `now` is the right edge, `now - spanMs` the left one, 0 the bottom. A gap
 * in the values, or more than `gapMs` without one, ends a line. What is outside is left out.
 */
export function linesOf(points: readonly Point[], box: Box, now: number, spanMs: number, top: number, gapMs = 5_000): [x: number, y: number][][] {
  const lines: [number, number][][] = [];
  let line: [number, number][] | null = null;
  let last = -Infinity;
  for (const { at, value } of points) {
    if (at < now - spanMs || at > now) continue;
    if (value === null || !Number.isFinite(value)) {
      line = null;
      continue;
    }
    if (line === null || at - last > gapMs) lines.push((line = []));
    last = at;
    const share = Math.min(1, Math.max(0, value / top));
    line.push([((at - (now - spanMs)) / spanMs) * box.width, (1 - share) * box.height]);
  }
  return lines;
}
