/** The last things that happened, as rows with a time and a code: never with what a window is called. */
import type { SenderEvent, ShareState } from 'yc-share-controller';

export interface LogRow {
  /** Unix milliseconds. */
  at: number;
  /** The event's name, or `state`, `diagnostic`. */
  name: string;
  /** A stable code; empty where there is none. */
  code: string;
  /** Backends, levels, times: nothing that comes from a window. */
  note: string;
}

export class EventLog {
  readonly #longest: number;
  #rows: LogRow[] = [];
  #total = 0;

  /** @param longest the rows that are kept. Default: 200 */
  constructor(longest = 200) {
    this.#longest = longest;
  }

  /** Oldest first. */
  get rows(): readonly LogRow[] {
    return this.#rows;
  }

  /** All that ever came, those that are not kept included. */
  get total(): number {
    return this.#total;
  }

  push(row: LogRow): void {
    this.#total += 1;
    this.#rows = [...this.#rows, row].slice(-this.#longest);
  }
}

/** A native sender's event. Its `detail` is left out: an OS's words may name a window. */
export function eventRow(at: number, event: SenderEvent): LogRow {
  const row = (code: string, note = ''): LogRow => ({ at, name: event.event, code, note });
  switch (event.event) {
    case 'sender_started':
      return row('', `${event.capture_backend}, ${event.encoder_backend}`);
    case 'sender_stopped':
      return row(event.reason, event.failure ? 'failure' : 'end');
    case 'encode_error':
    case 'transport_error':
      return row(event.reason, event.fatal ? 'fatal' : 'transient');
    case 'fallback_triggered':
      return row(event.reason, `${event.step}: ${event.from} → ${event.to}`);
    case 'fallback_completed':
      return row('', `${event.step}: ${event.from} → ${event.to}, ${event.took_ms} ms`);
    case 'degradation_changed':
      return row(event.cause, `level ${event.from} → ${event.level}`);
    case 'source_resized':
      return row('', `${event.size.width} × ${event.size.height}`);
    case 'source_paused':
    case 'source_resumed':
      return row('');
  }
}

export function stateRow(at: number, state: ShareState): LogRow {
  const path = 'path' in state ? state.path : 'to' in state ? `to ${state.to}` : '';
  const reason = 'reason' in state ? state.reason : state.name === 'idle' ? (state.ended?.reason ?? '') : '';
  return { at, name: 'state', code: reason, note: [state.name, path].filter((part) => part !== '').join(' ') };
}
