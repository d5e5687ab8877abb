/** The WebSocket to the server: requests with replies, and notifications. */
import { type Action, type Data, type Notification, type Reply, isReply, parseServerMessage } from './messages.ts';

/** What of a WebSocket is used here, so that a test can bring its own. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
}

export interface SignalOptions {
  /** Opens the socket. Default: the browser's WebSocket. */
  openSocket?: (url: string) => Socket;
  /** How long the socket may take to open, in milliseconds. Default: 8000. */
  openTimeoutMs?: number;
  /** How long a reply may take, in milliseconds. Default: 10000. */
  replyTimeoutMs?: number;
}

/** Codes of failures on this side; every other code is the server's (docs/signalling.md, Errors). */
export type LocalCode = 'timeout' | 'connection_lost' | 'bad_reply';

/** A request that failed, by its code: one of the server's, or a {@link LocalCode}. */
export class SignalError extends Error {
  readonly code: string;

  constructor(code: LocalCode | (string & {}), message: string) {
    super(message);
    this.name = 'SignalError';
    this.code = code;
  }
}

interface Waiting {
  action: Action;
  settle: (outcome: { data: unknown } | SignalError) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** One open connection. When it closes, what waits for a reply fails with `connection_lost`; it does not open again. */
export class Signal {
  /** Told of every notification that {@link Notification} lists. */
  onNotification: (notification: Notification) => void = () => {};
  /** Told once that the connection has gone, unless {@link close} ended it. */
  onClose: (reason: { code: number; reason: string }) => void = () => {};

  readonly #socket: Socket;
  readonly #replyTimeoutMs: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(notification: Notification) => void>();
  #nextId = 1;
  #open = true;

  private constructor(socket: Socket, replyTimeoutMs: number) {
    this.#socket = socket;
    this.#replyTimeoutMs = replyTimeoutMs;
    socket.onmessage = (event) => this.#handleMessage(event.data);
    socket.onclose = (event) => {
      if (this.#shut('the connection to the server was lost')) {
        this.onClose({ code: event.code, reason: event.reason });
      }
    };
  }

  /** Opens a connection; fails with `connection_lost` or `timeout`. */
  static open(url: string, options: SignalOptions = {}): Promise<Signal> {
    const { openSocket = browserSocket, openTimeoutMs = 8_000, replyTimeoutMs = 10_000 } = options;
    return new Promise((resolve, reject) => {
      const socket = openSocket(url);
      const timer = setTimeout(() => {
        socket.onopen = socket.onclose = null;
        socket.close();
        reject(new SignalError('timeout', `the server did not answer within ${openTimeoutMs} ms`));
      }, openTimeoutMs);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Signal(socket, replyTimeoutMs));
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new SignalError('connection_lost', 'the server cannot be reached'));
      };
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /** Tells `listener` of every notification too, after {@link onNotification}. Returns what ends that. */
  subscribe(listener: (notification: Notification) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a request and waits for its reply; fails with a {@link SignalError}, and with nothing else. */
  request<A extends Action>(action: A, data: Data<A>): Promise<Reply<A>> {
    if (!this.#open) {
      return Promise.reject(new SignalError('connection_lost', `${action}: the connection is closed`));
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new SignalError('timeout', `${action}: no reply within ${this.#replyTimeoutMs} ms`));
      }, this.#replyTimeoutMs);
      const settle = (outcome: { data: unknown } | SignalError): void => {
        clearTimeout(timer);
        if (outcome instanceof SignalError) reject(outcome);
        else if (isReply(action, outcome.data)) resolve(outcome.data);
        else reject(new SignalError('bad_reply', `${action}: the reply lacks fields`));
      };
      this.#waiting.set(id, { action, settle, timer });
      this.#socket.send(JSON.stringify({ id, action, data }));
    });
  }

  /** Closes the connection. {@link onClose} is not called. */
  close(): void {
    if (this.#shut('the connection was closed')) this.#socket.close(1000);
  }

  #handleMessage(text: unknown): void {
    const message = typeof text === 'string' ? parseServerMessage(text) : null;
    if (message === null) {
      console.warn('signalling: a message that docs/signalling.md does not know was ignored');
      return;
    }
    switch (message.type) {
      case 'reply':
        this.#take(message.id)?.settle({ data: message.data });
        break;
      case 'refusal': {
        const waiting = message.id === null ? undefined : this.#take(message.id);
        waiting?.settle(new SignalError(message.code, message.message || `${waiting.action} was refused`));
        break;
      }
      case 'notification':
        this.onNotification(message.notification);
        for (const listener of [...this.#listeners]) listener(message.notification);
        break;
      case 'unknown':
        break;
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #shut(reason: string): boolean {
    if (!this.#open) return false;
    this.#open = false;
    for (const { action, settle } of this.#waiting.values()) {
      settle(new SignalError('connection_lost', `${action}: ${reason}`));
    }
    this.#waiting.clear();
    return true;
  }
}

function browserSocket(url: string): Socket {
  return new WebSocket(url);
}
