/** Looks at what is sent, about once a second, while something is. */
import { bounded } from './bounded.ts';
import { instability, recent, type InstabilityLimits, type Sample, type Verdict } from './instability.ts';
import { NativeError } from './native/sender.ts';
import type { NativeStatus } from './native/status.ts';

export interface MonitorOptions {
  clock: () => number;
  /** In milliseconds. */
  pollMs: number;
  limits: InstabilityLimits;
}

export class StatusMonitor {
  /** Told of each status. It may call {@link stop}. */
  onStatus: (status: NativeStatus) => void = () => {};
  /** Told once that the sender is of no use any more, with numbers for the server. */
  onVerdict: (verdict: Verdict, detail: Record<string, unknown>) => void = () => {};

  readonly #options: MonitorOptions;
  #samples: Sample[] = [];
  #status: NativeStatus | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts what is watched: an answer that comes after the end of it is not looked at. */
  #watch = 0;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** The last status; kept after the end. */
  get status(): NativeStatus | null {
    return this.#status;
  }

  watchNative(ask: () => Promise<NativeStatus>): void {
    this.stop();
    this.#samples = [];
    this.#status = null;
    this.#repeat(async (watch) => {
      const late = (): NativeError => new NativeError('native_timeout', `no status within ${STATUS_MS} ms`);
      const status = await bounded(ask(), STATUS_MS, late).catch(() => null);
      if (watch === this.#watch) this.#take(status, watch);
    });
  }

  /** Only repeats `look`. */
  watchBrowser(look: () => Promise<void>): void {
    this.stop();
    this.#repeat(look);
  }

  stop(): void {
    this.#watch += 1;
    clearTimeout(this.#timer);
  }

  #take(status: NativeStatus | null, watch: number): void {
    const { clock, limits } = this.#options;
    const now = clock();
    this.#samples = [...recent(this.#samples, now, limits), { at: now, status: status?.native_sender ?? null }];
    if (status !== null) {
      this.#status = status;
      this.onStatus(status);
      if (watch !== this.#watch) return;
    }
    const verdict = instability(this.#samples, limits);
    if (verdict === null) return;
    this.stop();
    const sender = status?.native_sender;
    this.onVerdict(verdict, sender ? { transport_state: sender.transport_state, frames_sent: sender.frames_sent, lifecycle: sender.lifecycle } : {});
  }

  #repeat(look: (watch: number) => Promise<void>): void {
    const watch = this.#watch;
    const again = (): void => {
      this.#timer = setTimeout(() => {
        void look(watch)
          .catch((error: unknown) => console.error('share controller: a look at what is sent failed:', error))
          .then(() => {
            if (watch === this.#watch) again();
          });
      }, this.#options.pollMs);
    };
    again();
  }
}

/** How long a status may take before it counts as failed, in milliseconds. */
const STATUS_MS = 2_000;
