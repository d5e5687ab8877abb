import type { types } from 'mediasoup-client';
import type { Signal } from 'yc-signalling';

/** A live membership of a room: what a sender of this page needs. */
export interface RoomSession {
  readonly signal: Signal;
  /** mediasoup-client's device, loaded with what the room can route. */
  readonly device: () => Promise<types.Device>;
  readonly peerId: string;
}
