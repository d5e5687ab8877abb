/** One use of the native sender: what was opened for it here and at the server, and the closing of both. */
import type { NativeSenderOffer, NativeSession } from 'yc-signalling';
import { atMost, bounded } from '../bounded.ts';
import type { RoomSession } from '../session.ts';
import { NativeError, type NativeSender, type Prepared, type PrepareRequest } from './sender.ts';

export class NativePath {
  readonly #sender: NativeSender;
  readonly #closeMs: number;
  /** Counts the closings: what was begun before one must not leave anything open. */
  #use = 0;
  #used = false;
  #starting = false;
  #open: { session: RoomSession; reply: NativeSession } | null = null;
  #running = false;
  readonly #pending = new Set<Promise<unknown>>();
  #stopping: Promise<unknown> = Promise.resolve();

  constructor(sender: NativeSender, closeMs: number) {
    this.#sender = sender;
    this.#closeMs = closeMs;
  }

  /** Whether anything was begun since the last {@link close}. */
  get used(): boolean {
    return this.#used;
  }

  /** Whether `start` was asked for since the last {@link close}. */
  get startAsked(): boolean {
    return this.#starting;
  }

  get running(): boolean {
    return this.#running;
  }

  /** The producer in `session`, while the sender runs. */
  producerIn(session: RoomSession): string | null {
    return this.#running && this.#open?.session === session ? this.#open.reply.producer_id : null;
  }

  isOpen(sessionId: string): boolean {
    return this.#open?.reply.session_id === sessionId;
  }

  prepare(request: PrepareRequest): Promise<Prepared> {
    this.#used = true;
    return bounded(this.#sender.prepare(request), COMMAND_MS, () => late('prepare'));
  }

  /** Has the server make a place. If it answers after a {@link close}, the place is closed at once. */
  async create(session: RoomSession, offer: NativeSenderOffer): Promise<NativeSession> {
    this.#used = true;
    const use = this.#use;
    const replying = session.signal.request('create_native_sender_session', offer);
    const placed = replying.then(
      (reply) => {
        if (use === this.#use) this.#open = { session, reply };
        else void closeSession(session, reply);
      },
      () => {},
    );
    this.#pending.add(placed);
    void placed.then(() => this.#pending.delete(placed));
    const reply = await replying;
    await placed;
    return reply;
  }

  async start(session: NativeSession, allowPlainRtp: boolean): Promise<void> {
    const use = this.#use;
    this.#starting = true;
    await bounded(this.#sender.start({ session, allowPlainRtp }), COMMAND_MS, () => late('start'));
    if (use === this.#use) this.#running = true;
  }

  /** The server has closed the place by itself. */
  lost(): void {
    this.#open = null;
  }

  /** Closes the place at the server and stops the sender, both at once; waits for neither longer than the bound. */
  async close(): Promise<void> {
    const open = this.#open;
    const used = this.#used;
    this.#use += 1;
    this.#open = null;
    this.#used = this.#starting = this.#running = false;
    const ending: Promise<unknown>[] = [];
    if (open !== null) ending.push(closeSession(open.session, open.reply));
    if (used) {
      this.#stopping = this.#sender.stop().catch(() => {});
      ending.push(this.#stopping);
    }
    await Promise.all(ending.map((promise) => atMost(promise, this.#closeMs)));
  }

  /** Resolves when no place can be made any more by what was begun before the last {@link close}. */
  async placed(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Resolves when the last stop has been answered, or has had time enough. */
  stopped(): Promise<void> {
    return atMost(this.#stopping, STOP_MS);
  }
}

async function closeSession({ signal }: RoomSession, { session_id }: NativeSession): Promise<void> {
  if (signal.open) await signal.request('close_native_sender_session', { session_id }).catch(() => {});
}

function late(command: string): NativeError {
  return new NativeError('native_timeout', `${command}: no answer within ${COMMAND_MS} ms`);
}

/** How long a command may take, in milliseconds: longer than the senders' own bound, for one that has none. */
const COMMAND_MS = 16_000;

/** How long a prepare waits for the stop before it, in milliseconds. */
const STOP_MS = 5_000;
