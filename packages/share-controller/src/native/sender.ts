/** The native sender as a page sees it, whichever way the commands reach it. */
import type { NativeSenderOffer, NativeSession } from 'yc-signalling';
import type { NativeStatus, SenderEvent } from './status.ts';

export interface NativeSource {
  /** For {@link NativeSender.prepare}, for example `window:0x3a00007`. */
  id: string;
  kind: 'screen' | 'monitor' | 'window' | 'test';
  title: string;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  process: string | null;
  /** The capture backend that lists it. */
  backend: string;
}

export interface PrepareRequest {
  /** The `id` of a {@link NativeSource}. */
  source: string;
  /** Default: the host's, 30. */
  fps?: number;
  /** In thousands of bits a second. Default: the host's, 6000. */
  bitrateKbps?: number;
  /** Whether the pointer is in the picture. Default: true. */
  cursor?: boolean;
  /** What gives way first when bits are short. Default: `auto`. */
  content?: 'auto' | 'text' | 'motion';
  /** What to protect with. `off` is plain RTP, which stays on this machine unless that is allowed. Default: `auto`, the best suite. */
  srtp?: 'auto' | 'aead_aes_128_gcm' | 'aead_aes_256_gcm' | 'aes_cm_128_hmac_sha1_80' | 'off';
}

export interface Prepared {
  captureBackend: string;
  encoderBackend: string;
  /** The data of `create_native_sender_session`, as it is. It holds the key of the share: it is for the server and nobody else. */
  offer: NativeSenderOffer;
}

export interface Thumbnail {
  /** A `data:` URL. */
  url: string;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
}

/** Each method rejects with a {@link NativeError}, and with nothing else. */
export interface NativeSender {
  /** `tauri`, `bridge`. */
  readonly kind: string;
  sources(): Promise<NativeSource[]>;
  /** The picture keeps its aspect and is never enlarged; both bounds are 16 to 1024 pixels. */
  thumbnail(source: string, maxWidth: number, maxHeight: number): Promise<Thumbnail>;
  /** Opens source and encoder. A second one replaces the first. */
  prepare(request: PrepareRequest): Promise<Prepared>;
  start(request: { session: NativeSession; allowPlainRtp?: boolean }): Promise<void>;
  /** Idempotent. Cancels a prepare or a start that is under way. */
  stop(): Promise<void>;
  status(): Promise<NativeStatus>;
  /** Tells `listener` of each event, and of `sender_stopped` with `native_host_lost` when the host dies. Returns what ends that. */
  subscribe(listener: (event: SenderEvent) => void): () => void;
  dispose(): Promise<void>;
}

/** Codes of failures on the page's side; every other code is the host's. */
export type LocalNativeCode = 'native_host_lost' | 'native_timeout' | 'native_bad_reply';

/** A native command that failed, by its code. */
export class NativeError extends Error {
  readonly code: string;

  constructor(code: LocalNativeCode | (string & {}), message: string) {
    super(message);
    this.name = 'NativeError';
    this.code = code;
  }
}
