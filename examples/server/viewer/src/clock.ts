/** Milliseconds since 1970-01-01T00:00:00Z, from the page's own steady clock: differences never run backwards. */
export function unixMs(): number {
  return performance.timeOrigin + performance.now();
}
