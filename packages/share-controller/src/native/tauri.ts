/** The native sender in the process of a Tauri app, by its commands and events. */
import { NativeCommands, type NativeTimeouts } from './commands.ts';
import type { NativeSender, NativeSource, PrepareRequest, Prepared, Thumbnail } from './sender.ts';
import { EVENT_NAMES, readEvent, type NativeStatus, type SenderEvent } from './status.ts';
import type { NativeSession } from 'yc-signalling';

/** What of Tauri's API is used: `core.invoke` and `event.listen`. */
export interface TauriApi {
  invoke(command: string, args: Record<string, unknown>): Promise<unknown>;
  listen(event: string, handler: (event: { payload: unknown }) => void): Promise<() => void>;
}

export class TauriNativeSender implements NativeSender {
  readonly kind = 'tauri';
  readonly #commands: NativeCommands;
  readonly #listeners = new Set<(event: SenderEvent) => void>();
  readonly #unlisten: Promise<(() => void) | null>[];

  constructor(api: TauriApi, timeouts: NativeTimeouts = {}) {
    this.#commands = new NativeCommands((command, request) => api.invoke(command, { request }), timeouts);
    this.#unlisten = EVENT_NAMES.map((name) => {
      const listening = api.listen(name, ({ payload }) => this.#handle(name, payload));
      return listening.catch((error: unknown) => {
        console.warn(`native: events named ${name} will not be heard:`, error);
        return null;
      });
    });
  }

  /** Tauri's API where the app gives it to the page (`app.withGlobalTauri`); `null` elsewhere. */
  static detect(scope: unknown = globalThis): TauriApi | null {
    const tauri = (scope as { __TAURI__?: { core?: Partial<TauriApi>; event?: Partial<TauriApi> } }).__TAURI__;
    const invoke = tauri?.core?.invoke;
    const listen = tauri?.event?.listen;
    return invoke && listen ? { invoke, listen } : null;
  }

  sources(): Promise<NativeSource[]> {
    return this.#commands.sources();
  }

  thumbnail(source: string, maxWidth: number, maxHeight: number): Promise<Thumbnail> {
    return this.#commands.thumbnail(source, maxWidth, maxHeight);
  }

  prepare(request: PrepareRequest): Promise<Prepared> {
    return this.#commands.prepare(request);
  }

  start(request: { session: NativeSession; allowPlainRtp?: boolean }): Promise<void> {
    return this.#commands.start(request);
  }

  stop(): Promise<void> {
    return this.#commands.stop();
  }

  status(): Promise<NativeStatus> {
    return this.#commands.status();
  }

  subscribe(listener: (event: SenderEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops hearing events. What runs in the app goes on: call {@link stop} first. */
  async dispose(): Promise<void> {
    this.#listeners.clear();
    for (const unlisten of await Promise.all(this.#unlisten.splice(0))) unlisten?.();
  }

  #handle(name: string, payload: unknown): void {
    let event: SenderEvent | null;
    try {
      event = readEvent(typeof payload === 'object' ? { ...payload, event: name } : payload);
    } catch (error) {
      console.warn('native: an event was ignored:', error);
      return;
    }
    if (event === null) return;
    for (const listener of [...this.#listeners]) listener(event);
  }
}
