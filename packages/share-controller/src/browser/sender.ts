/**
 * Shares by the ordinary web flow: getDisplayMedia, then `produce`. The captured track outlives the connection and the
 * producer: the share goes on in another room session without asking the user again.
 */
import type { types } from 'mediasoup-client';
import { createSendTransport } from 'yc-signalling';
import { atMost } from '../bounded.ts';
import type { RoomSession } from '../session.ts';
import { CaptureError, UNSUPPORTED, asCaptureError } from './errors.ts';

export interface BrowserSenderOptions {
  /** Asks the user and captures. Default: the browser's getDisplayMedia, without sound. */
  capture?: () => Promise<MediaStreamTrack>;
  /** Whether there is anything to capture by. Default: whether there is getDisplayMedia. */
  supported?: () => boolean;
  /** Upper bound of the bitrate in bit/s. Default: 8000000. */
  maxBitrate?: number;
  /** Upper bound, in pictures a second. Default: 30. */
  frameRate?: number;
  /** What stays sharp when bits are short. Default: `detail`. */
  contentHint?: 'detail' | 'text' | 'motion';
  /** How long closing a producer may wait for the server, in milliseconds. Default: 1000. */
  closeMs?: number;
}

/** Whether this browser can capture a screen here: it needs a secure context (https, or this computer itself). */
export function canCaptureScreen(): boolean {
  return typeof globalThis.navigator?.mediaDevices?.getDisplayMedia === 'function';
}

/** One way to a producer, from the order to make it on. */
interface Attempt {
  session: RoomSession;
  track: MediaStreamTrack;
  producerId: Promise<string>;
  producer: types.Producer | null;
}

export class BrowserSender {
  /** Told when the user, or the end of what is captured, has ended the track. */
  onEnded: () => void = () => {};
  /** Told when the way to the server broke under a producer. */
  onLost: (message: string) => void = () => {};

  readonly #options: BrowserSenderOptions;
  #asking: { track: Promise<MediaStreamTrack>; wanted: boolean } | null = null;
  #track: MediaStreamTrack | null = null;
  #attempt: Attempt | null = null;
  #transport: { session: RoomSession; transport: Promise<types.Transport> } | null = null;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(options: BrowserSenderOptions = {}) {
    this.#options = options;
  }

  get supported(): boolean {
    return (this.#options.supported ?? (this.#options.capture ? () => true : canCaptureScreen))();
  }

  /** Whether it holds a capture, or is about to. */
  get capturing(): boolean {
    return this.#track !== null || this.#asking?.wanted === true;
  }

  /** Whether there is a producer, or one on its way. */
  get producing(): boolean {
    return this.#attempt !== null;
  }

  /** The producer in `session`, once there is one. */
  producerIn(session: RoomSession): string | null {
    return this.isStale(session) ? null : (this.#attempt?.producer?.id ?? null);
  }

  /** Whether there is a producer, or one on its way, of another session or of what is no longer captured. */
  isStale(session: RoomSession): boolean {
    return this.#attempt !== null && (this.#attempt.session !== session || this.#attempt.track !== this.#track);
  }

  /**
   * Asks the user what to share, at once: call it in the click where there is one. What is captured, or being asked for,
   * is not asked for again. Rejects with a {@link CaptureError}.
   */
  capture(): Promise<MediaStreamTrack> {
    if (this.#track !== null) return Promise.resolve(this.#track);
    if (this.#asking !== null) {
      this.#asking.wanted = true;
      return this.#asking.track;
    }
    if (!this.supported) return Promise.reject(new CaptureError('browser_unsupported', UNSUPPORTED));
    const asking = { track: this.#ask(), wanted: true };
    this.#asking = asking;
    asking.track = asking.track.then(
      (track) => {
        this.#asking = null;
        if (asking.wanted) this.#hold(track);
        else track.stop();
        return track;
      },
      (error: unknown) => {
        this.#asking = null;
        throw asCaptureError(error);
      },
    );
    asking.track.catch(() => {});
    return asking.track;
  }

  /** Sends the captured track in `session`; resolves with the producer's id. An attempt that is under way is not made twice. */
  produce(session: RoomSession): Promise<string> {
    const track = this.#track;
    if (track === null) return Promise.reject(new CaptureError('browser_failed', 'nothing is captured'));
    if (this.#attempt !== null && !this.isStale(session)) return this.#attempt.producerId;
    const attempt: Attempt = { session, track, producer: null, producerId: Promise.resolve('') };
    this.#attempt = attempt;
    attempt.producerId = this.#produce(attempt);
    this.#remember(attempt.producerId);
    return attempt.producerId;
  }

  /** Closes the producer on both sides; the track is kept. Waits for the server, but not for long. */
  async unproduce(): Promise<void> {
    const attempt = this.#attempt;
    this.#attempt = null;
    if (attempt?.producer) await atMost(this.#close(attempt.session, attempt.producer), this.#options.closeMs ?? 1_000);
  }

  /** Resolves when nothing that was begun can make a producer any more, apart from the present attempt. */
  async settled(): Promise<void> {
    while (this.#attempt === null && this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Gives the screen back. */
  release(): void {
    if (this.#asking !== null) this.#asking.wanted = false;
    if (this.#track === null) return;
    this.#track.onended = null;
    this.#track.stop();
    this.#track = null;
  }

  /** Closes the way to the server; the next producer makes another. */
  forget(): void {
    const { transport } = this.#transport ?? {};
    this.#transport = null;
    transport?.then((made) => made.close()).catch(() => {});
  }

  /** Statistics of what is sent; null if nothing is. */
  async stats(): Promise<RTCStatsReport | null> {
    const producer = this.#attempt?.producer;
    if (!producer || producer.closed) return null;
    // It may end while the browser counts.
    return producer.getStats().catch(() => null);
  }

  async #ask(): Promise<MediaStreamTrack> {
    if (this.#options.capture) return this.#options.capture();
    const rate = this.#options.frameRate ?? 30;
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: rate, max: rate } }, audio: false });
    const track = stream.getVideoTracks()[0];
    if (track === undefined) throw new CaptureError('browser_failed', 'The browser captured no video.');
    return track;
  }

  #hold(track: MediaStreamTrack): void {
    this.#track = track;
    // Text stays sharp when bits are short; the frame rate gives way first.
    if ('contentHint' in track) track.contentHint = this.#options.contentHint ?? 'detail';
    track.onended = () => {
      this.release();
      this.onEnded();
    };
  }

  async #produce(attempt: Attempt): Promise<string> {
    const { session, track } = attempt;
    try {
      const transport = await this.#transportOf(session);
      if (this.#attempt !== attempt) throw new CaptureError('browser_failed', 'overtaken');
      const producer = await transport.produce({
        track,
        stopTracks: false,
        encodings: [{ maxBitrate: this.#options.maxBitrate ?? 8_000_000 }],
        // Chromium starts at 300 kbit/s otherwise, and text is unreadable for seconds. Other browsers leave it alone.
        codecOptions: { videoGoogleStartBitrate: 2_500 },
      });
      if (this.#attempt !== attempt) {
        // Not waited for: the server carries out the requests of a connection in their order.
        void this.#close(session, producer);
        throw new CaptureError('browser_failed', 'overtaken');
      }
      attempt.producer = producer;
      return producer.id;
    } catch (error) {
      if (this.#attempt === attempt) this.#attempt = null;
      // What failed may be the transport: the next attempt makes another.
      if (!(error instanceof CaptureError)) this.forget();
      throw error;
    }
  }

  async #transportOf(session: RoomSession): Promise<types.Transport> {
    if (this.#transport?.session !== session) {
      this.forget();
      const transport = session.device().then((device) => createSendTransport(session.signal, device));
      this.#transport = { session, transport };
      transport
        .then((made) =>
          made.on('connectionstatechange', (state) => {
            if (state === 'failed' && this.#attempt?.session === session) this.onLost('the way to the server was lost');
          }),
        )
        .catch(() => {});
    }
    return this.#transport.transport;
  }

  async #close(session: RoomSession, producer: types.Producer): Promise<void> {
    producer.close();
    if (!session.signal.open) return;
    // If the connection goes before the reply, the server closes the producer with it.
    await session.signal.request('close_producer', { producer_id: producer.id }).catch(() => {});
  }

  #remember(promise: Promise<unknown>): void {
    const ended = promise.then(
      () => {},
      () => {},
    );
    this.#pending.add(ended);
    void ended.then(() => this.#pending.delete(ended));
  }
}
