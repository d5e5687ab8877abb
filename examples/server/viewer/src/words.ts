/** What the page says about its state. Pure. */
import type { RoomState } from './room.ts';
import type { ShareState } from './share.ts';

export type Tone = 'busy' | 'calm' | 'live' | 'bad';

export interface Words {
  tone: Tone;
  /** A few words, for the bar. */
  short: string;
  /** What fills the window; `null` while the shares do. */
  title: string | null;
  detail: string;
  /** What the user can do about it. */
  action: 'retry' | 'join' | null;
}

/** The words for the state of the room, its number of shares, and the share of this page. */
export function wordsFor(room: RoomState, shares: number, own: ShareState): Words {
  const sharing = own.name === 'sharing';
  switch (room.name) {
    case 'connecting':
      return words('busy', 'Connecting', 'Connecting…', 'Looking for the server and joining the room.');
    case 'waiting':
      return sharing
        ? words('live', 'You are sharing', 'You are sharing your screen', 'Nobody else shares. What others share appears here.')
        : words('calm', 'Waiting for a share', 'Waiting for a share', 'As soon as somebody shares a screen, it appears here.');
    case 'ready':
      return sharing
        ? words('live', 'You are sharing', 'You are sharing your screen', 'Everybody in the room sees it.')
        : words('calm', 'Ready to share', 'Ready to share', 'This token lets you share a screen, not watch.');
    case 'watching': {
      const count = shares === 1 ? '1 share' : `${shares} shares`;
      return room.interrupted
        ? words('busy', 'Interrupted: waiting for the picture to come back', null, '')
        : words('live', sharing ? `${count}, and yours` : count, null, '');
    }
    case 'reconnecting':
      return words(
        'busy',
        'Reconnecting',
        'Reconnecting…',
        `${sentence(room.message)} The page tries again by itself (try ${room.attempt}).`,
        'retry',
      );
    case 'unauthorized':
      return words('bad', 'Not let in', 'You are not let in', `${sentence(room.message)} A token may have expired, or be for another room.`, 'join');
    case 'room_full':
      return words('bad', 'Room full', 'The room is full', `${sentence(room.message)} Try again when somebody has left.`, 'retry');
    case 'failed':
      return words('bad', 'Failed', 'It did not work', sentence(room.message), 'retry');
    case 'left':
      return words('calm', 'Left', 'You have left the room', '', 'retry');
  }
}

function words(tone: Tone, short: string, title: string | null, detail: string, action: Words['action'] = null): Words {
  return { tone, short, title, detail, action };
}

/** Makes a sentence of an error message: a capital at its beginning, a full stop at its end. */
function sentence(message: string): string {
  const trimmed = message.trim();
  if (trimmed === '') return '';
  return trimmed[0]!.toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? '' : '.');
}
