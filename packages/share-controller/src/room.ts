/** A room to share into: joins it, comes back when the connection is lost, and knows who watches what this page sends. */
import type { types } from 'mediasoup-client';
import { PROTOCOL, Signal, SignalError, backoffMs, type Notification, type Role, type SignalOptions, type Watcher } from 'yc-signalling';
import type { RoomSession } from './session.ts';

export type ShareRoomState =
  /** On the way in, for the first time. */
  | { name: 'connecting' }
  | { name: 'joined'; peerId: string }
  /** The connection was lost, or the server cannot be reached, as `message` says. `attempt` counts from 1. */
  | { name: 'reconnecting'; attempt: number; message: string }
  /** The server does not let this page in, for a `code` of its own. Final, until {@link ShareRoom.retry}. */
  | { name: 'failed'; code: string; message: string }
  /** {@link ShareRoom.stop} was called. */
  | { name: 'left' };

export interface ShareRoomOptions {
  /** The server's `ws:` or `wss:` address. */
  url: string;
  room: string;
  token: string;
  /** Default: `share`. */
  role?: Role;
  /** How others call this page: 1 to 64 characters, none of them a control character. */
  name?: string;
  /** Makes mediasoup-client's device, a fresh one for each connection; only where the browser path is taken. */
  createDevice: () => Promise<types.Device>;
  signal?: SignalOptions;
  /** From 0 (inclusive) to 1 (exclusive). Default: `Math.random`. */
  random?: () => number;
  /** In milliseconds. Default: `Date.now`. */
  clock?: () => number;
}

export class ShareRoom {
  /** Told after {@link state} has changed. */
  onChange: () => void = () => {};
  /** Told when the room has been joined, and with null when that is over. */
  onSession: (session: RoomSession | null) => void = () => {};
  /** Told when those who watch a producer of this page have changed. */
  onWatchers: (producerId: string, watchers: readonly Watcher[]) => void = () => {};

  readonly #options: ShareRoomOptions;
  readonly #watchers = new Map<string, readonly Watcher[]>();
  #state: ShareRoomState = { name: 'connecting' };
  #session: RoomSession | null = null;
  /** The newest try. */
  #try = 0;
  #signal: Signal | null = null;
  #joinedAt = 0;
  #failures = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ShareRoomOptions) {
    this.#options = options;
  }

  get state(): ShareRoomState {
    return this.#state;
  }

  get session(): RoomSession | null {
    return this.#session;
  }

  /** Who watches this producer now; empty for one that is not known. */
  watchers(producerId: string): readonly Watcher[] {
    return this.#watchers.get(producerId) ?? [];
  }

  /** Joins. Call once. */
  start(): void {
    void this.#connect();
  }

  /** Tries at once, where it is waiting for its next try or has been refused. */
  retry(): void {
    const { name } = this.#state;
    if ((name === 'reconnecting' || name === 'failed') && this.#signal === null) void this.#connect();
  }

  /** Leaves for good. */
  stop(): void {
    this.#disconnect();
    this.#enter({ name: 'left' });
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const attempt = ++this.#try;
    if (this.#state.name !== 'reconnecting') this.#enter({ name: 'connecting' });
    try {
      await this.#join(attempt);
    } catch (error) {
      if (attempt === this.#try) this.#handleFailure(error);
    }
  }

  async #join(attempt: number): Promise<void> {
    const { url, room, token, role = 'share', name } = this.#options;
    const signal = await Signal.open(url, this.#options.signal);
    if (attempt !== this.#try) {
      signal.close();
      return;
    }
    this.#signal = signal;
    signal.onClose = () => {
      if (attempt === this.#try) this.#reconnect('the connection to the server was lost');
    };
    signal.onNotification = (notification) => this.#handleNotification(notification);
    const joined = await signal.request('join', { protocol: PROTOCOL, room, token, role, ...(name === undefined ? {} : { name }) });
    if (attempt !== this.#try) return;
    let device: Promise<types.Device> | null = null;
    this.#session = {
      signal,
      peerId: joined.peer_id,
      device: () => (device ??= this.#load(joined.router_rtp_capabilities)),
    };
    this.#joinedAt = this.#now();
    this.#enter({ name: 'joined', peerId: joined.peer_id });
    this.onSession(this.#session);
  }

  async #load(routerRtpCapabilities: types.RtpCapabilities): Promise<types.Device> {
    const device = await this.#options.createDevice();
    await device.load({ routerRtpCapabilities });
    return device;
  }

  #handleNotification(notification: Notification): void {
    if (notification.event !== 'watchers_changed') return;
    const { producer_id: producerId, watchers } = notification.data;
    if (watchers.length === 0) this.#watchers.delete(producerId);
    else this.#watchers.set(producerId, watchers);
    this.onWatchers(producerId, watchers);
  }

  #handleFailure(error: unknown): void {
    const code = error instanceof SignalError ? error.code : 'page_error';
    const message = error instanceof Error ? error.message : String(error);
    if (PASSING.has(code)) {
      this.#reconnect(message);
      return;
    }
    this.#disconnect();
    this.#enter({ name: 'failed', code, message });
  }

  #reconnect(message: string): void {
    // A server that lets this page in and then drops it, again and again, is not asked faster than one that is down.
    if (this.#session !== null && this.#now() - this.#joinedAt >= STEADY_MS) this.#failures = 0;
    this.#disconnect();
    const delay = backoffMs(this.#failures, (this.#options.random ?? Math.random)());
    this.#failures += 1;
    this.#enter({ name: 'reconnecting', attempt: this.#failures, message });
    this.#retryTimer = setTimeout(() => void this.#connect(), delay);
  }

  #disconnect(): void {
    clearTimeout(this.#retryTimer);
    this.#try += 1;
    const signal = this.#signal;
    const joined = this.#session !== null;
    this.#signal = this.#session = null;
    signal?.close();
    for (const producerId of [...this.#watchers.keys()]) {
      this.#watchers.delete(producerId);
      this.onWatchers(producerId, []);
    }
    if (joined) this.onSession(null);
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }

  #enter(state: ShareRoomState): void {
    this.#state = state;
    this.onChange();
  }
}

/** Codes after which the next try may succeed by itself. */
const PASSING = new Set<string>(['connection_lost', 'timeout', 'server_error']);

/** A connection that lasted this long counts as a success, in milliseconds. */
const STEADY_MS = 5_000;
