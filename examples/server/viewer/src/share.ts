/**
 * Shares a screen of this computer by the ordinary web flow: getDisplayMedia, then `produce`.
 *
 * The captured track outlives the connection: when the room comes back after a loss, the share goes on without asking
 * the user again.
 */
import type { types } from 'mediasoup-client';
import { createSendTransport } from 'yc-signalling';
import type { Session } from './room.ts';

export type ShareState =
  | { name: 'idle' }
  /** The browser asks the user what to share. */
  | { name: 'asking' }
  /** Captured, and on the way to the server; or waiting for the room to come back. */
  | { name: 'starting' }
  | { name: 'sharing'; producerId: string }
  /** It could not be shared, or ended by an error; {@link ShareController.start} tries again. */
  | { name: 'failed'; message: string };

export interface ShareOptions {
  /** Asks the user and captures. Default: the browser's getDisplayMedia, up to 30 frames a second, without sound. */
  capture?: () => Promise<MediaStreamTrack>;
  /** Upper bound of the bitrate in bit/s. Default: 8000000. */
  maxBitrate?: number;
}

/** Whether this browser can capture a screen here: it needs a secure context (https, or this computer itself). */
export function canCaptureScreen(): boolean {
  return typeof navigator.mediaDevices?.getDisplayMedia === 'function';
}

export class ShareController {
  /** Told after {@link state} has changed. */
  onChange: () => void = () => {};

  readonly #capture: () => Promise<MediaStreamTrack>;
  readonly #maxBitrate: number;
  #state: ShareState = { name: 'idle' };
  #session: Session | null = null;
  #transport: Promise<types.Transport> | null = null;
  #track: MediaStreamTrack | null = null;
  #producer: types.Producer | null = null;

  constructor(options: ShareOptions = {}) {
    this.#capture = options.capture ?? captureScreen;
    this.#maxBitrate = options.maxBitrate ?? 8_000_000;
  }

  get state(): ShareState {
    return this.#state;
  }

  /** Takes the room's session, or `null` when it is over. What is being shared goes on in the next session. */
  attach(session: Session | null): void {
    this.#session = session;
    this.#transport?.then((transport) => transport.close()).catch(() => {});
    this.#transport = this.#producer = null;
    if (this.#track === null) return;
    this.#enter({ name: 'starting' });
    if (session !== null) void this.#produce(session, this.#track);
  }

  /** Asks the user what to share, and shares it. Does nothing while it shares, or is about to. */
  async start(): Promise<void> {
    const { name } = this.#state;
    if (name !== 'idle' && name !== 'failed') return;
    this.#enter({ name: 'asking' });
    let track: MediaStreamTrack;
    try {
      track = await this.#capture();
    } catch (error) {
      // The user saying no is an answer, not a failure.
      const declined = error instanceof Error && error.name === 'NotAllowedError';
      this.#enter(declined ? { name: 'idle' } : { name: 'failed', message: wordsOf(error) });
      return;
    }
    // `stop` while the browser was asking.
    if ((this.#state as ShareState).name !== 'asking') {
      track.stop();
      return;
    }
    this.#track = track;
    track.onended = () => this.stop();
    this.#enter({ name: 'starting' });
    if (this.#session !== null) await this.#produce(this.#session, track);
  }

  /** Stops sharing and gives the screen back. Does nothing if nothing is shared. */
  stop(): void {
    this.#release();
    this.#enter({ name: 'idle' });
  }

  /** Statistics of what is sent; `null` if nothing is. */
  async stats(): Promise<RTCStatsReport | null> {
    if (this.#producer === null || this.#producer.closed) return null;
    // It may end while the browser counts.
    return this.#producer.getStats().catch(() => null);
  }

  async #produce(session: Session, track: MediaStreamTrack): Promise<void> {
    try {
      const transport = await (this.#transport ??= this.#openTransport(session));
      if (!this.#isCurrent(session, track)) return;
      const producer = await transport.produce({
        track,
        stopTracks: false,
        encodings: [{ maxBitrate: this.#maxBitrate }],
        // Chromium starts at 300 kbit/s otherwise, and text is unreadable for seconds. Other browsers leave it alone.
        codecOptions: { videoGoogleStartBitrate: 2_500 },
      });
      if (!this.#isCurrent(session, track)) {
        closeProducer(session, producer);
        return;
      }
      this.#producer = producer;
      this.#enter({ name: 'sharing', producerId: producer.id });
    } catch (error) {
      // When the session is over, the next one tries again.
      if (this.#isCurrent(session, track) && session.signal.open) this.#fail(error);
    }
  }

  async #openTransport(session: Session): Promise<types.Transport> {
    const transport = await createSendTransport(session.signal, session.device);
    transport.on('connectionstatechange', (state) => {
      if (state === 'failed' && this.#session === session && this.#track) this.#fail(new Error('the way to the server was lost'));
    });
    return transport;
  }

  #fail(error: unknown): void {
    this.#release();
    // What failed may be the transport: the next start makes another.
    this.#transport?.then((transport) => transport.close()).catch(() => {});
    this.#transport = null;
    this.#enter({ name: 'failed', message: wordsOf(error) });
  }

  #release(): void {
    if (this.#producer && this.#session) closeProducer(this.#session, this.#producer);
    if (this.#track) {
      this.#track.onended = null;
      this.#track.stop();
    }
    this.#producer = this.#track = null;
  }

  #isCurrent(session: Session, track: MediaStreamTrack): boolean {
    return this.#session === session && this.#track === track;
  }

  #enter(state: ShareState): void {
    this.#state = state;
    this.onChange();
  }
}

function closeProducer(session: Session, producer: types.Producer): void {
  producer.close();
  // If the connection goes before the reply, the server closes the producer with it.
  session.signal.request('close_producer', { producer_id: producer.id }).catch(() => {});
}

async function captureScreen(): Promise<MediaStreamTrack> {
  if (!canCaptureScreen()) {
    throw new Error('this browser shares a screen only from a page that came by https or from this computer');
  }
  const stream = await navigator.mediaDevices.getDisplayMedia({
    video: { frameRate: { ideal: 30, max: 30 } },
    audio: false,
  });
  const track = stream.getVideoTracks()[0];
  if (track === undefined) throw new Error('the browser captured no video');
  // Text stays sharp when bits are short; the frame rate gives way first.
  if ('contentHint' in track) track.contentHint = 'detail';
  return track;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
