/** How long the native path is left alone after it failed. Kept in memory; the time is an argument. */
export class CoolDown {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #failures = 0;
  #until: number | null = null;

  /**
   * @param firstMs after the first failure; each further one doubles it
   * @param longestMs the bound of the doubling. Default: 30 minutes
   */
  constructor(firstMs: number, longestMs = LONGEST_MS) {
    this.#firstMs = firstMs;
    this.#longestMs = Math.max(firstMs, longestMs);
  }

  /** The native path failed at `now`, in milliseconds. */
  fail(now: number): void {
    const waitMs = Math.min(this.#longestMs, this.#firstMs * 2 ** Math.min(this.#failures, 32));
    this.#failures += 1;
    this.#until = now + waitMs;
  }

  /** The native path ran well for `forMs` milliseconds: after as long as the longest cool-down, what failed before is forgotten. */
  ranWell(forMs: number): void {
    if (forMs < this.#longestMs) return;
    this.#failures = 0;
    this.#until = null;
  }

  /** When it is over, in the clock's milliseconds; null where none holds at `now`. */
  until(now: number): number | null {
    return this.#until !== null && this.#until > now ? this.#until : null;
  }
}

const LONGEST_MS = 30 * 60_000;
