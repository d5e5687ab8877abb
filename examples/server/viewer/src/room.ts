/** A room: joins it, receives every video that is shared in it, and comes back when the connection is lost. */
import type { types } from 'mediasoup-client';
import {
  PROTOCOL,
  Signal,
  SignalError,
  backoffMs,
  createRecvTransport,
  type Notification,
  type ProducerInfo,
  type Role,
  type SignalOptions,
} from 'yc-signalling';
import { unixMs } from './clock.ts';

export type RoomState =
  /** On the way in, for the first time. */
  | { name: 'connecting' }
  /** In, and nothing is shared. */
  | { name: 'waiting' }
  /** In, and there are shares. `interrupted`: the media has stopped coming, and may come back by itself. */
  | { name: 'watching'; interrupted: boolean }
  /** In with a token that only shares: there is nothing to see. */
  | { name: 'ready' }
  /** The connection was lost, or the server cannot be reached, as `message` says. `attempt` counts from 1. */
  | { name: 'reconnecting'; attempt: number; message: string }
  /** The server does not let this token in. Final. */
  | { name: 'unauthorized'; message: string }
  /** The room holds as many peers as it may. Final, until {@link Room.retry}. */
  | { name: 'room_full'; message: string }
  /** Anything else that trying again would not mend. Final. */
  | { name: 'failed'; code: string; message: string }
  /** {@link Room.stop} was called. */
  | { name: 'left' };

/** One video of the room. */
export interface Share {
  readonly producerId: string;
  readonly peerId: string;
  /** Sent by a native sender, not by a browser. */
  readonly native: boolean;
  /** When this page learnt of it, in Unix milliseconds. */
  readonly announcedAtMs: number;
  /** The received video; `null` until it is received, and if there is a {@link problem}. */
  readonly consumer: types.Consumer | null;
  /** Why it cannot be shown, in words. */
  readonly problem: string | null;
}

/** A live membership of the room: what a sender of this page needs. */
export interface Session {
  readonly signal: Signal;
  readonly device: types.Device;
  readonly peerId: string;
  readonly role: Role;
}

export interface RoomOptions {
  /** The server's `ws:` or `wss:` address. */
  url: string;
  room: string;
  token: string;
  role: Role;
  /** Makes mediasoup-client's device, a fresh one for each connection. */
  createDevice: () => Promise<types.Device>;
  signal?: SignalOptions;
  /** From 0 (inclusive) to 1 (exclusive). Default: `Math.random`. */
  random?: () => number;
}

export class Room {
  /** Told after {@link state} or {@link shares} has changed. */
  onChange: () => void = () => {};
  /** Told when the room has been joined, and with `null` when that is over. */
  onSession: (session: Session | null) => void = () => {};

  readonly #options: RoomOptions;
  readonly #shares = new Map<string, Share>();
  #state: RoomState = { name: 'connecting' };
  #joinedAtMs: number | null = null;
  #connection: Connection | null = null;
  #failures = 0;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  get state(): RoomState {
    return this.#state;
  }

  /** Oldest first. */
  get shares(): readonly Share[] {
    return [...this.#shares.values()];
  }

  /** When the server let this page in the last time, in Unix milliseconds. */
  get joinedAtMs(): number | null {
    return this.#joinedAtMs;
  }

  /** Joins. Call once. */
  start(): void {
    void this.#connect();
  }

  /** Tries at once, where it is waiting for its next try or has been refused. */
  retry(): void {
    const { name } = this.#state;
    const idle = name === 'reconnecting' || name === 'room_full' || name === 'failed' || name === 'unauthorized';
    if (idle && this.#connection === null) void this.#connect();
  }

  /** Leaves for good. */
  stop(): void {
    this.#disconnect();
    this.#enter({ name: 'left' });
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const connection: Connection = { signal: null, media: null };
    this.#connection = connection;
    if (this.#state.name !== 'reconnecting') this.#enter({ name: 'connecting' });
    try {
      await this.#join(connection);
    } catch (error) {
      this.#handleFailure(connection, error);
    }
    // Overtaken while it was on its way: nobody else knows this connection any more.
    if (this.#connection !== connection) close(connection);
  }

  async #join(connection: Connection): Promise<void> {
    const { url, room, token, role, createDevice } = this.#options;
    const opening = Signal.open(url, this.#options.signal).then((opened) => {
      if (this.#connection !== connection) opened.close();
      return (connection.signal = opened);
    });
    const [signal, device] = await Promise.all([opening, createDevice()]);
    if (this.#connection !== connection) return;
    signal.onClose = () => this.#reconnect(connection, 'the connection to the server was lost');
    signal.onNotification = (notification) => this.#handleNotification(connection, notification);

    const joined = await signal.request('join', { protocol: PROTOCOL, room, token, role });
    if (this.#connection !== connection) return;
    this.#joinedAtMs = unixMs();
    // At once: the next message may say that one of them is gone.
    for (const producer of joined.producers) this.#add(producer);

    const loading = device.load({ routerRtpCapabilities: joined.router_rtp_capabilities }).then(() => device);
    const transport = role === 'share' ? null : await createRecvTransport(signal, loading);
    await loading;
    if (this.#connection !== connection) {
      transport?.close();
      return;
    }
    transport?.on('connectionstatechange', (state) => this.#handleTransportState(connection, state));
    connection.media = { signal, device, transport };
    this.onSession({ signal, device, peerId: joined.peer_id, role });
    for (const share of this.shares) void this.#receive(connection, share);
    this.#settle();
  }

  #handleFailure(connection: Connection, error: unknown): void {
    if (this.#connection !== connection) return;
    const { code, message } = describe(error);
    if (PASSING.has(code)) {
      this.#reconnect(connection, message);
      return;
    }
    this.#disconnect();
    if (code === 'unauthorized' || code === 'forbidden') this.#enter({ name: 'unauthorized', message });
    else if (code === 'room_full') this.#enter({ name: 'room_full', message });
    else if (code === 'unsupported_by_browser') {
      this.#enter({ name: 'failed', code, message: `this browser has no WebRTC that mediasoup-client knows: ${message}` });
    } else this.#enter({ name: 'failed', code, message });
  }

  #reconnect(connection: Connection, message: string): void {
    if (this.#connection !== connection) return;
    // A server that lets this page in and then drops it, again and again, is not asked faster than one that is down.
    if (connection.media && unixMs() - (this.#joinedAtMs ?? 0) >= STEADY_MS) this.#failures = 0;
    this.#disconnect();
    const random = this.#options.random ?? Math.random;
    const delay = backoffMs(this.#failures, random());
    this.#failures += 1;
    this.#enter({ name: 'reconnecting', attempt: this.#failures, message });
    this.#retryTimer = setTimeout(() => void this.#connect(), delay);
  }

  /** Gives the connection up, and its shares: a picture that stands still must not pass for a live one. */
  #disconnect(): void {
    clearTimeout(this.#retryTimer);
    const connection = this.#connection;
    this.#connection = null;
    this.#shares.clear();
    if (connection === null) return;
    if (connection.media) this.onSession(null);
    close(connection);
  }

  #handleNotification(connection: Connection, notification: Notification): void {
    if (this.#connection !== connection) return;
    switch (notification.event) {
      case 'new_producer': {
        const share = this.#add(notification.data);
        if (share) void this.#receive(connection, share);
        break;
      }
      case 'producer_closed':
        this.#remove(notification.data.producer_id);
        break;
      case 'consumer_closed': {
        const closed = this.shares.find((share) => share.consumer?.id === notification.data.consumer_id);
        if (closed) this.#remove(closed.producerId);
        break;
      }
      case 'peer_left':
        for (const share of this.shares) {
          if (share.peerId === notification.data.peer_id) this.#remove(share.producerId);
        }
        break;
    }
    if (connection.media) this.#settle();
  }

  #handleTransportState(connection: Connection, state: types.ConnectionState): void {
    if (this.#connection !== connection) return;
    if (state === 'failed') this.#reconnect(connection, 'no video reaches this page any more');
    else this.#settle();
  }

  /** Notes a new share; `null` if it is known, or is sound: this page plays none. */
  #add(producer: ProducerInfo): Share | null {
    if (producer.kind !== 'video' || this.#shares.has(producer.producer_id)) return null;
    const share: Share = {
      producerId: producer.producer_id,
      peerId: producer.peer_id,
      native: producer.native,
      announcedAtMs: unixMs(),
      consumer: null,
      problem: null,
    };
    this.#shares.set(share.producerId, share);
    return share;
  }

  #remove(producerId: string): void {
    this.#shares.get(producerId)?.consumer?.close();
    this.#shares.delete(producerId);
  }

  /** Receives a share. Before the room is joined, {@link #join} does it for all that have come until then. */
  async #receive(connection: Connection, share: Share): Promise<void> {
    const { producerId } = share;
    const { signal, device, transport } = connection.media ?? {};
    if (!signal || !device || !transport) return;
    try {
      const made = await signal.request('consume', {
        transport_id: transport.id,
        producer_id: producerId,
        rtp_capabilities: device.recvRtpCapabilities,
      });
      const consumer = await transport.consume({
        id: made.consumer_id,
        producerId,
        kind: made.kind,
        rtpParameters: made.rtp_parameters,
      });
      if (this.#shares.get(producerId) !== share) {
        consumer.close();
        return;
      }
      this.#shares.set(producerId, { ...share, consumer });
      this.onChange();
      await signal.request('resume_consumer', { consumer_id: consumer.id });
    } catch (error) {
      this.#handleReceiveFailure(connection, producerId, error);
    }
  }

  #handleReceiveFailure(connection: Connection, producerId: string, error: unknown): void {
    const share = this.#shares.get(producerId);
    if (this.#connection !== connection || share === undefined) return;
    const { code, message } = describe(error);
    share.consumer?.close();
    if (code === 'not_found') {
      this.#remove(producerId);
    } else {
      const undecodable = code === 'cannot_consume' || code === 'unsupported_by_browser';
      const problem = undecodable && connection.media ? undecodableBy(connection.media.device) : message;
      this.#shares.set(producerId, { ...share, consumer: null, problem });
    }
    this.#settle();
  }

  /** Enters the state that the shares make, once joined. */
  #settle(): void {
    const transport = this.#connection?.media?.transport;
    if (transport === undefined) return;
    if (transport === null) this.#enter({ name: 'ready' });
    else if (this.#shares.size === 0) this.#enter({ name: 'waiting' });
    else this.#enter({ name: 'watching', interrupted: transport.connectionState === 'disconnected' });
  }

  #enter(state: RoomState): void {
    this.#state = state;
    this.onChange();
  }
}

/** What one try to be in the room has opened so far. */
interface Connection {
  signal: Signal | null;
  /** Set once joined; without `transport` for a role that does not view. */
  media: { signal: Signal; device: types.Device; transport: types.Transport | null } | null;
}

function close(connection: Connection): void {
  connection.media?.transport?.close();
  connection.signal?.close();
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof SignalError) return { code: error.code, message: error.message };
  if (error instanceof Error && error.name === 'UnsupportedError') {
    return { code: 'unsupported_by_browser', message: error.message };
  }
  return { code: 'page_error', message: error instanceof Error ? error.message : String(error) };
}

/** Says that this browser cannot decode a share, and what it can. */
function undecodableBy(device: types.Device): string {
  const videos = (device.recvRtpCapabilities.codecs ?? []).filter(({ kind }) => kind === 'video');
  const names = new Set(videos.map(({ mimeType }) => mimeType.replace('video/', '')).filter((name) => name !== 'rtx'));
  const can = names.size === 0 ? 'no video of this server' : `only ${[...names].join(', ')}`;
  const hint = names.has('H264') ? '' : ' Firefox fetches its H264 plugin soon after its first start: reload the page in a minute.';
  return `This browser cannot decode this share; it decodes ${can}.${hint}`;
}

/** Codes after which the next try may succeed by itself. */
const PASSING = new Set<string>(['connection_lost', 'timeout', 'server_error']);

/** A connection that lasted this long counts as a success. */
const STEADY_MS = 5_000;
