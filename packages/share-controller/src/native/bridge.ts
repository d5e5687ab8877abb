/**
 * The native sender of a development machine: `yc-share --control` behind a WebSocket, its lines as text messages.
 * When the connection goes, what runs there has ended; the next command opens another.
 */
import { NativeCommands, asNativeError, type NativeTimeouts } from './commands.ts';
import { NativeError, type NativeSender, type NativeSource, type PrepareRequest, type Prepared, type Thumbnail } from './sender.ts';
import { readEvent, type NativeStatus, type SenderEvent } from './status.ts';
import type { NativeSession, Socket } from 'yc-signalling';

export interface BridgeOptions extends NativeTimeouts {
  /** Opens the socket. Default: the browser's WebSocket. */
  openSocket?: (url: string) => Socket;
}

interface Waiting {
  command: string;
  resolve: (data: unknown) => void;
  reject: (error: NativeError) => void;
}

interface Line {
  socket: Socket;
  opened: Promise<void>;
  waiting: Map<number, Waiting>;
}

export class BridgeNativeSender implements NativeSender {
  readonly kind = 'bridge';
  readonly #url: () => string;
  readonly #openSocket: (url: string) => Socket;
  readonly #commands: NativeCommands;
  readonly #listeners = new Set<(event: SenderEvent) => void>();
  #line: Line | null = null;
  #nextId = 1;
  #disposed = false;

  constructor(url: string | (() => string), options: BridgeOptions = {}) {
    this.#url = typeof url === 'string' ? () => url : url;
    this.#openSocket = options.openSocket ?? ((address) => new WebSocket(address));
    this.#commands = new NativeCommands((command, data) => this.#carry(command, data), options);
  }

  /** The bridge's address where the development server put one into the page; `null` elsewhere. */
  static detect(page: Document = document): string | null {
    const path = page.querySelector<HTMLMetaElement>('meta[name="yc-native-bridge"]')?.content;
    if (!path) return null;
    const url = new URL(path, page.baseURI);
    url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
    return url.href;
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

  /** Where no host is connected there is nothing to stop: none is started for it. */
  async stop(): Promise<void> {
    if (this.#line !== null) await this.#commands.stop();
  }

  status(): Promise<NativeStatus> {
    return this.#commands.status();
  }

  subscribe(listener: (event: SenderEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#listeners.clear();
    const line = this.#line;
    if (line !== null) {
      this.#lose(line, 'the bridge was closed');
      line.socket.close(1000);
    }
  }

  async #carry(command: string, data: Record<string, unknown>): Promise<unknown> {
    if (this.#disposed) throw new NativeError('native_host_lost', `${command}: the bridge is closed`);
    const line = (this.#line ??= this.#open());
    await line.opened;
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      line.waiting.set(id, { command, resolve, reject });
      try {
        line.socket.send(JSON.stringify({ id, command, data }));
      } catch (error) {
        line.waiting.delete(id);
        reject(new NativeError('native_host_lost', `${command}: ${String(error)}`));
      }
    });
  }

  #open(): Line {
    const socket = this.#openSocket(this.#url());
    const waiting = new Map<number, Waiting>();
    const opened = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onclose = () => {
        this.#lose(line, 'the native host has ended');
        reject(new NativeError('native_host_lost', 'the native host cannot be reached'));
      };
    });
    opened.catch(() => {});
    const line: Line = { socket, opened, waiting };
    socket.onmessage = (event) => this.#handle(line, event.data);
    return line;
  }

  #lose(line: Line, message: string): void {
    if (this.#line !== line) return;
    this.#line = null;
    for (const { command, reject } of line.waiting.values()) {
      reject(new NativeError('native_host_lost', `${command}: ${message}`));
    }
    line.waiting.clear();
    this.#tell({ event: 'sender_stopped', reason: 'native_host_lost', detail: message, failure: true });
  }

  #handle(line: Line, text: unknown): void {
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(String(text)) as Record<string, unknown>;
      if (typeof message['event'] === 'string') {
        const event = readEvent(message);
        if (event !== null) this.#tell(event);
        return;
      }
    } catch (error) {
      console.warn('native bridge: a line was ignored:', error);
      return;
    }
    const id = message['id'];
    const waiting = typeof id === 'number' ? line.waiting.get(id) : undefined;
    if (waiting === undefined) return;
    line.waiting.delete(id as number);
    if (message['ok'] === true) waiting.resolve(message['data'] ?? {});
    else waiting.reject(asNativeError(waiting.command, message['error']));
  }

  #tell(event: SenderEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
