/**
 * The list of sources and their pictures, fetched again and again while somebody looks: one request at a time, so that
 * a slow capture is never asked twice.
 */
import { NativeError, type NativeSender, type NativeSource, type Thumbnail } from 'yc-share-controller';

export interface LiveSourcesOptions {
  native: Pick<NativeSender, 'sources' | 'thumbnail'>;
  /** The sources whose pictures are wanted now: those in view. */
  wanted: () => readonly string[];
  /** Told of each list, and of one without a source that turned out to be gone. */
  onSources: (sources: readonly NativeSource[]) => void;
  /** `null`: there is no picture of it, as `problem` says. */
  onThumbnail: (source: string, thumbnail: Thumbnail | null, problem: NativeError | null) => void;
  /** Told why there is no list; `null` once there is one again. */
  onProblem: (problem: NativeError | null) => void;
  /** From the beginning of one round to that of the next, in milliseconds. Default: 1500. */
  everyMs?: number;
  /** The same while there is no list. Default: 5000. */
  retryMs?: number;
}

export class LiveSources {
  readonly #options: LiveSourcesOptions;
  #sources: readonly NativeSource[] = [];
  /** Counts the starts and stops: what an earlier run still brings is not told. */
  #run = 0;
  #running = false;
  #wake: () => void = () => {};
  #ended: Promise<void> = Promise.resolve();

  constructor(options: LiveSourcesOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    const run = ++this.#run;
    // The request of an earlier run comes to its end first.
    this.#ended = this.#ended.then(() => this.#repeat(run));
  }

  stop(): void {
    this.#running = false;
    this.#run += 1;
    this.#wake();
  }

  /** Begins the next round now. */
  retry(): void {
    this.#wake();
  }

  async #repeat(run: number): Promise<void> {
    const { everyMs = 1_500, retryMs = 5_000 } = this.#options;
    while (run === this.#run) {
      const began = performance.now();
      const listed = await this.#list(run);
      if (listed) await this.#fetchThumbnails(run);
      if (run !== this.#run) return;
      const rest = (listed ? everyMs : retryMs) - (performance.now() - began);
      await this.#wait(Math.max(rest, SHORTEST_PAUSE_MS));
    }
  }

  async #list(run: number): Promise<boolean> {
    try {
      const sources = await this.#options.native.sources();
      if (run !== this.#run) return false;
      this.#sources = sources;
      this.#options.onProblem(null);
      this.#options.onSources(sources);
      return true;
    } catch (error) {
      if (run === this.#run) this.#options.onProblem(asNativeError(error));
      return false;
    }
  }

  async #fetchThumbnails(run: number): Promise<void> {
    for (const source of [...this.#options.wanted()]) {
      if (run !== this.#run) return;
      // It may have gone out of view while others were fetched.
      if (!this.#options.wanted().includes(source)) continue;
      try {
        const thumbnail = await this.#options.native.thumbnail(source, THUMBNAIL.width, THUMBNAIL.height);
        if (run === this.#run) this.#options.onThumbnail(source, thumbnail, null);
      } catch (error) {
        if (run === this.#run) this.#handleProblem(source, asNativeError(error));
      }
    }
  }

  #handleProblem(source: string, problem: NativeError): void {
    if (problem.code !== 'source_not_found') {
      this.#options.onThumbnail(source, null, problem);
      return;
    }
    this.#sources = this.#sources.filter(({ id }) => id !== source);
    this.#options.onSources(this.#sources);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function asNativeError(error: unknown): NativeError {
  return error instanceof NativeError ? error : new NativeError('internal_error', error instanceof Error ? error.message : String(error));
}

/** In pixels; twice what a card shows, for dense screens. */
const THUMBNAIL = { width: 400, height: 225 };
/** A round that took longer than its time is followed by a pause all the same. */
const SHORTEST_PAUSE_MS = 200;
