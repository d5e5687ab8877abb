/** Where a share is. README.md draws it. */
export type SharePath = 'native' | 'browser';

export type ShareState =
  /** Nothing is shared. `ended`: why the last share ended, where that was nobody's failure and not asked for here. */
  | { name: 'idle'; ended: { reason: string; message: string } | null }
  | { name: 'starting'; path: SharePath }
  | { name: 'sharing'; path: SharePath; producerId: string }
  /** Falling back, or going native again. */
  | { name: 'switching'; to: SharePath; reason: string }
  /** The browser wants a click before it captures: `ShareController.continueInBrowser`. */
  | { name: 'needs_gesture'; reason: string }
  /** The room is away; goes on by itself when it is back. */
  | { name: 'waiting'; path: SharePath }
  | { name: 'stopping' }
  /** Neither path works; `ShareController.start` tries again. */
  | { name: 'failed'; reason: string; message: string }
  | { name: 'disposed' };

export interface Fallback {
  /** A stable code. */
  reason: string;
  /** For people; may name the source. */
  message: string;
  /** In milliseconds of the controller's clock. */
  at: number;
}
