/** `globalThis.ycApp`: what an automatic check may ask this page. Read-only; documented in README.md. */
import type { ShareState } from 'yc-share-controller';
import type { Watcher } from 'yc-signalling';
import type { Path } from './words.ts';

export interface Probe {
  /** Where the page stands: a name of {@link ShareState}; `form` and `connecting` before it is in the room. */
  state(): ShareState['name'] | 'form' | 'connecting';
  /** The path in use, or on its way; `null` while nothing is shared. */
  path(): Path | null;
  producerId(): string | null;
  /** Who watches the share, sorted by peer. */
  watchers(): Watcher[];
  /** When the native path may be tried again, in Unix milliseconds; `null` if it may now. */
  nativeAvailableAt(): number | null;
  /** Code of the last fall back from the native path since the page was loaded; `null` if there was none. */
  fallbackReason(): string | null;
}

declare global {
  var ycApp: Probe;
}

export function exposeProbe(probe: Probe): void {
  Object.defineProperty(globalThis, 'ycApp', { value: Object.freeze(probe), configurable: false, writable: false });
}

/** The path that a state is about; `null` while nothing is shared. */
export function pathOf(state: ShareState): Path | null {
  switch (state.name) {
    case 'starting':
    case 'sharing':
    case 'waiting':
      return state.path;
    case 'switching':
      return state.to;
    case 'needs_gesture':
      return 'browser';
    default:
      return null;
  }
}
