/** Times in words. Pure. */

/** Elapsed time as `m:ss`, or `h:mm:ss` from an hour on; a clock that was set back gives `0:00`. */
export function elapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours}:${two(minutes % 60)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** How long until `at`, rounded up so that it never says 0 before it is over; `null` once it is. */
export function remaining(at: number | null, now: number): string | null {
  if (at === null || at <= now) return null;
  const seconds = Math.ceil((at - now) / 1_000);
  return seconds < 100 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
