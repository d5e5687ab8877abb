/** What the page says: codes and states into sentences. Pure. The codes are those of docs/failures.md and of yc-share-controller. */
import type { ShareState } from 'yc-share-controller';
import type { Watcher } from 'yc-signalling';
import { remaining } from './time.ts';

export type Path = 'native' | 'browser';

/** Why something did not go on, as the end of a sentence: “Switched to the browser because …”. */
export function because(code: string): string {
  return BECAUSE[code] ?? `it reported “${code}”`;
}

/** What the user can do about it; empty where there is nothing particular. */
export function advice(code: string): string {
  return ADVICE[code] ?? '';
}

/** An error of a command, in words and with what to do. */
export function problemWords({ code, message }: { code: string; message: string }): string {
  const what = Object.hasOwn(BECAUSE, code) ? BECAUSE[code]! : message || because(code);
  return [sentence(what), advice(code)].filter((part) => part !== '').join(' ');
}

/** What is said when a share has ended with its source; `null` if the user ended it. */
export function endWords(ended: { reason: string; message: string } | null): string | null {
  if (ended === null || ended.reason === 'requested') return null;
  return ENDS[ended.reason] ?? sentence(ended.message || because(ended.reason));
}

export interface SharingWords {
  title: string;
  detail: string;
  tone: 'live' | 'busy' | 'attention' | 'bad';
}

/**
 * The headline while a share is more than a wish; `null` while the picker is shown.
 *
 * @param what what was chosen, after “You are sharing”; the browser's own picker does not tell
 * @param fellBack code of the fall back of this share from the native path; `null` if there was none
 */
export function sharingWords(state: ShareState, what: string, browserThere: boolean, fellBack: string | null): SharingWords | null {
  switch (state.name) {
    case 'starting':
      return state.path === 'native'
        ? { tone: 'busy', title: 'Starting…', detail: 'Opening the source and the encoder.' }
        : { tone: 'busy', title: 'Starting…', detail: 'Choose in the browser’s own window what to share.' };
    case 'sharing':
      return { tone: 'live', title: `You are sharing ${state.path === 'native' ? what : 'by the browser'}`, detail: '' };
    case 'switching':
      return state.to === 'browser'
        ? { tone: 'busy', title: 'Switching to the browser…', detail: `The native path does not go on because ${because(state.reason)}.` }
        : { tone: 'busy', title: 'Going back to native…', detail: 'The browser goes on sharing until the native path is up.' };
    case 'needs_gesture':
      return {
        tone: 'attention',
        title: 'Continue sharing?',
        detail: `The native path does not go on because ${because(state.reason)}. The browser can take over, and wants a click first.`,
      };
    case 'waiting':
      return { tone: 'busy', title: 'Waiting for the server…', detail: 'The connection was lost. The share goes on by itself when it is back.' };
    case 'stopping':
      return { tone: 'busy', title: 'Stopping…', detail: '' };
    case 'failed': {
      const native = fellBack === null ? [] : [`The native path does not go on because ${because(fellBack)}.`, advice(fellBack)];
      const last = fellBack !== null && !browserThere ? NO_BROWSER_PATH : problemWords({ code: state.reason, message: state.message });
      return { tone: 'bad', title: 'Sharing does not work', detail: [...native, last].filter((part) => part !== '').join(' ') };
    }
    case 'idle':
    case 'disposed':
      return null;
  }
}

/** Which path carries the share, and why it is not the native one where it could be. */
export function pathWords(path: Path, fallbackReason: string | null): string {
  if (path === 'native') return 'Native: this app captures and encodes.';
  if (fallbackReason === null) return 'Browser: it captures and encodes by itself.';
  return `Browser, since the native path did not go on: ${because(fallbackReason)}.`;
}

/** Who watches, in one line. */
export function watcherWords(watchers: readonly Watcher[]): string {
  if (watchers.length === 0) return 'Nobody is watching yet';
  return watchers.length === 1 ? '1 person is watching' : `${watchers.length} people are watching`;
}

export function watcherName({ name }: Watcher): string {
  return name?.trim() || 'Viewer';
}

/** The degradation ladder's level, 0 to 3, and what presses. */
export function degradationWords(level: number, cause: string | null): string {
  const quality = QUALITY[level] ?? `Reduced quality (level ${level})`;
  const why = cause === null || level === 0 ? undefined : (PRESSURES[cause] ?? cause);
  return why === undefined ? quality : `${quality}: ${why}`;
}

/** What stands beside “Go back to native”. */
export function nativeAgainWords(availableAt: number | null, now: number): string {
  const wait = remaining(availableAt, now);
  return wait === null ? 'The native path may be tried again.' : `The native path may be tried again in ${wait}.`;
}

/** That the native path has to wait; `null` if it has not. */
export function nativeWaitWords(availableAt: number | null, now: number): string | null {
  const wait = remaining(availableAt, now);
  return wait === null ? null : `The native path has failed and may be tried again in ${wait}.`;
}

/** Why a room cannot be entered. The codes are the server's, and those of yc-signalling. */
export function roomWords({ code, message }: { code: string; message: string }): string {
  return [sentence(message || code), ROOM_ADVICE[code] ?? ''].filter((part) => part !== '').join(' ');
}

/** Makes a sentence of an error message: a capital at its beginning, a full stop at its end. */
export function sentence(message: string): string {
  const trimmed = message.trim();
  if (trimmed === '') return '';
  return trimmed[0]!.toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? '' : '.');
}

export const NO_BROWSER_PATH = 'This window has no WebRTC, so the browser cannot take over here.';
export const NO_PATH =
  'Nothing here can share a screen: there is no native sender, and the browser lacks getDisplayMedia or WebRTC. ' +
  'A page must come by https or from this computer itself to have them.';

const ENDS: Record<string, string> = {
  window_closed: 'The window you shared was closed.',
  monitor_removed: 'The screen you shared was unplugged.',
  end_of_file: 'What you shared came to its end.',
  browser_stopped: 'You stopped sharing by the browser’s own button, or what you shared was closed.',
  declined: 'You chose nothing to share.',
};

const BECAUSE: Record<string, string> = {
  capture_unsupported: 'this source cannot be captured natively here',
  capture_denied: 'the system does not let this app capture it',
  source_not_found: 'the window or screen is not there any more',
  capture_device_lost: 'the connection to the display was lost',
  capture_invalid_input: 'the source has a size or shape that cannot be captured',
  capture_failed: 'the system refused the capture',
  capture_hung: 'the capture does not answer',
  capture_silent: 'the capture delivers no pictures any more',
  frame_refused: 'the encoder refused a picture',
  encode_errors: 'the encoder refused too many pictures',
  encoder_unsupported: 'no video encoder works here',
  encoder_device_lost: 'the device that encodes is gone',
  encoder_failed: 'the encoder failed',
  encoder_hung: 'the encoder does not answer',
  send_buffer_full: 'the network takes no more packets',
  peer_unreachable: 'the server’s media port cannot be reached',
  datagram_too_large: 'the network takes no packets of this size',
  socket_failed: 'the network socket broke',
  send_errors: 'too many packets could not be sent',
  transport_hung: 'sending does not answer',
  rtcp_timeout: 'the server reports nothing any more',
  queue_drops: 'this computer does not keep up',
  overloaded: 'this computer does not keep up, even at the lowest quality',
  negotiation_failed: 'the server and this app did not agree on how to send',
  internal_error: 'the native sender has a defect',
  native_host_lost: 'the native sender ended unexpectedly',
  native_timeout: 'the native sender does not answer',
  native_bad_reply: 'the native sender gave an answer that makes no sense',
  native_transport_silent: 'the server has stopped reporting to the native sender',
  native_stalled: 'the native sender captures but sends nothing',
  native_degraded: 'the native sender stayed at its lowest quality for too long',
  native_restarts: 'the native sender had to begin anew too often',
  native_status_failed: 'the native sender does not tell how it is',
  browser_unsupported: 'the browser cannot capture a screen here',
  browser_failed: 'the browser could not capture the screen',
  native_session_closed: 'the server closed the native share',
  transport_failed: 'the way to the server was lost',
  needs_gesture: 'the browser wants a click first',
  declined: 'nothing was chosen in the browser’s window',
};

const ADVICE: Record<string, string> = {
  capture_denied: 'Allow this app to record the screen in the system’s privacy settings, then try again.',
  capture_unsupported: 'Choose another source.',
  source_not_found: 'Choose another one.',
  capture_device_lost: 'Check that the display is on and connected, then try again.',
  capture_failed: 'Try again, or choose another source.',
  capture_hung: 'Try again; if it stays so, close the program whose window it is, or choose a screen.',
  encoder_unsupported: 'Update the graphics driver.',
  peer_unreachable: 'Check that a firewall lets UDP through to the server.',
  rtcp_timeout: 'Check that a firewall lets UDP through to the server.',
  native_host_lost: 'Try again; if it stays so, start the app anew.',
  native_timeout: 'Try again; if it stays so, start the app anew.',
  overloaded: 'Close other programs, or share a window in place of a screen.',
};

const QUALITY = ['Full quality', 'Slightly reduced quality', 'Reduced quality', 'Lowest quality'];

const PRESSURES: Record<string, string> = {
  encode_time: 'this computer is busy',
  queue: 'this computer is busy',
  overload: 'this computer is busy',
  send_drops: 'the network is slow',
  bandwidth: 'the network is slow',
};

const ROOM_ADVICE: Record<string, string> = {
  unauthorized: 'The token may have expired, or be for another room.',
  room_full: 'Try again when somebody has left.',
  connection_lost: 'Check the address, and that the server runs.',
  timeout: 'Check the address, and that the server runs.',
};
