/** `globalThis.ycViewer`: what an automatic check may ask this page. Read-only; documented in README.md. */
import type { Room, RoomState, Share } from './room.ts';
import type { ShareState } from './share.ts';
import type { Stage } from './stage.ts';
import { type VideoStats, codecName, readVideoStats } from './stats.ts';

export interface ProbedStats extends VideoStats {
  /** When the first picture was decoded and there to be shown, in Unix milliseconds. */
  firstFrameAtMs: number | null;
  /** When the server let this page into the room the last time, in Unix milliseconds. */
  joinedAtMs: number | null;
  /** When this page learnt of the share, in Unix milliseconds. */
  announcedAtMs: number;
}

export interface Probe {
  /** Where the page stands: a name of {@link RoomState}, or `form` while it asks for room and token. */
  state(): RoomState['name'] | 'form';
  /** The shares of the room, oldest first. */
  shares(): { producerId: string; native: boolean }[];
  /** Of one share, or of the first; `null` if there is no such share. */
  stats(producerId?: string): Promise<ProbedStats | null>;
  /** The element that shows one share, or the first. */
  video(producerId?: string): HTMLVideoElement | null;
  /** Where the share of this page stands: a name of {@link ShareState}. */
  sharing(): ShareState['name'];
}

declare global {
  var ycViewer: Probe;
}

export function exposeProbe(stage: Stage, current: () => { room: Room | null; sharing: ShareState['name'] }): void {
  const find = (producerId?: string): Share | null => {
    const shares = current().room?.shares ?? [];
    return (producerId === undefined ? shares[0] : shares.find((share) => share.producerId === producerId)) ?? null;
  };
  const probe: Probe = Object.freeze({
    state: () => current().room?.state.name ?? 'form',
    shares: () => (current().room?.shares ?? []).map(({ producerId, native }) => ({ producerId, native })),
    sharing: () => current().sharing,
    video: (producerId?: string) => {
      const share = find(producerId);
      return share && (stage.tile(share.producerId)?.video ?? null);
    },
    stats: async (producerId?: string) => {
      const share = find(producerId);
      if (share === null) return null;
      const stats = await shareStats(share);
      return {
        ...stats,
        firstFrameAtMs: stage.tile(share.producerId)?.firstFrameAtMs ?? null,
        joinedAtMs: current().room?.joinedAtMs ?? null,
        announcedAtMs: share.announcedAtMs,
      };
    },
  });
  Object.defineProperty(globalThis, 'ycViewer', { value: probe, configurable: false, writable: false });
}

/** The statistics of a share; all `null` while it is not received. */
export async function shareStats(share: Share): Promise<VideoStats> {
  const { consumer } = share;
  if (consumer === null || consumer.closed) return readVideoStats([]);
  // It may end while the browser counts.
  const report = await consumer.getStats().catch(() => null);
  const stats = readVideoStats(report?.values() ?? []);
  // Firefox has the codec in the report only once packets have come.
  return { ...stats, codec: stats.codec ?? codecName(consumer.rtpParameters.codecs[0]?.mimeType) };
}
