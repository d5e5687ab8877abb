/** What was sent in the last two minutes, for graphs; from the native sender or from the browser. */
import type { SenderStatus } from './native/status.ts';

export interface HistorySample {
  /** In milliseconds of the clock that the owner reads. */
  at: number;
  path: 'native' | 'browser';
  fps: number | null;
  bitrateKbps: number | null;
  /** From the capture to the last packet, in milliseconds; the browser does not tell it. */
  latencyP50Ms: number | null;
  latencyP95Ms: number | null;
  /** Of the degradation ladder: 0 (nothing is held back) to 3; null in the browser. */
  level: number | null;
}

export class StatusHistory {
  readonly #spanMs: number;
  #samples: HistorySample[] = [];
  #bytes: { at: number; sent: number } | null = null;

  /** @param spanMs how far back it goes, in milliseconds. Default: 120000 */
  constructor(spanMs = 120_000) {
    this.#spanMs = spanMs;
  }

  /** Oldest first. */
  get samples(): readonly HistorySample[] {
    return this.#samples;
  }

  pushNative(at: number, status: SenderStatus): void {
    this.#bytes = null;
    const { count, p50_ms, p95_ms } = status.latency.total;
    this.#push({
      at,
      path: 'native',
      fps: status.fps,
      bitrateKbps: status.bitrate_kbps,
      latencyP50Ms: count > 0 ? p50_ms : null,
      latencyP95Ms: count > 0 ? p95_ms : null,
      level: status.degradation.level,
    });
  }

  /** The report of `getStats` of a producer. */
  pushBrowser(at: number, report: Iterable<unknown>): void {
    const entries = [...report].map((entry) => (Array.isArray(entry) ? (entry[1] as unknown) : entry));
    const sent = entries.find((entry) => isFields(entry) && entry['type'] === 'outbound-rtp') as Record<string, unknown> | undefined;
    const bytes = typeof sent?.['bytesSent'] === 'number' ? sent['bytesSent'] : null;
    const fps = sent?.['framesPerSecond'];
    const earlier = this.#bytes;
    this.#bytes = bytes === null ? null : { at, sent: bytes };
    const known = earlier !== null && bytes !== null && at > earlier.at && bytes >= earlier.sent;
    this.#push({
      at,
      path: 'browser',
      fps: typeof fps === 'number' ? fps : null,
      // Bits a millisecond are thousands of bits a second.
      bitrateKbps: known ? Math.round((8 * (bytes - earlier.sent)) / (at - earlier.at)) : null,
      latencyP50Ms: null,
      latencyP95Ms: null,
      level: null,
    });
  }

  clear(): void {
    this.#samples = [];
    this.#bytes = null;
  }

  #push(sample: HistorySample): void {
    this.#samples = [...this.#samples.filter(({ at }) => at > sample.at - this.#spanMs && at <= sample.at), sample];
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
