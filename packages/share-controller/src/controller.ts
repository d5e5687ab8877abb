/**
 * The share controller: natively first, by the browser where that fails, never both at once.
 *
 * What is wanted (a share or none, in which session, by which path) is kept apart from what is. One loop makes what is
 * into what is wanted, one pass after another. Whatever changes what is wanted interrupts the pass under way; the next
 * one first closes what is not wanted any more. So calls are safe in any order and at any time.
 */
import { SignalError, type ClientDiagnostic, type Notification } from 'yc-signalling';
import { BrowserSender, type BrowserSenderOptions } from './browser/sender.ts';
import { asCaptureError, type CaptureError } from './browser/errors.ts';
import { CoolDown } from './cooldown.ts';
import { Diagnostics, asCode } from './diagnostics.ts';
import { validateNativeSession } from './guard.ts';
import { StatusHistory } from './history.ts';
import { DEFAULT_LIMITS, type InstabilityLimits } from './instability.ts';
import { StatusMonitor } from './monitor.ts';
import { NativePath } from './native/path.ts';
import { NativeError, type NativeSender, type PrepareRequest, type Prepared } from './native/sender.ts';
import type { NativeStatus, SenderEvent } from './native/status.ts';
import type { RoomSession } from './session.ts';
import type { Fallback, SharePath, ShareState } from './state.ts';
import { endInWords, failureInWords, wordsOf } from './words.ts';

export interface ShareControllerOptions {
  /** Null in a plain browser. The controller does not dispose of it. */
  native: NativeSender | null;
  browser?: BrowserSenderOptions;
  /** How long the native path is left alone after its first failure, in milliseconds; doubled by each further one up to 30 minutes. Default: 60000. */
  coolDownMs?: number;
  /** Whether RTP may leave this machine unprotected. Default: false. */
  allowPlainRtp?: boolean;
  instability?: Partial<InstabilityLimits>;
  /** How often what is sent is looked at, in milliseconds. Default: 1000. */
  pollMs?: number;
  /** How long closing one path may take before the other begins, in milliseconds. Default: 1000. */
  closeMs?: number;
  /** Told to the server with each diagnostic, beside the native host's own. */
  versions?: Record<string, string>;
  /** Milliseconds since 1970. Default: `Date.now`. */
  clock?: () => number;
}

/** What to share. Without `source`, the browser asks. */
export type ShareRequest = Omit<PrepareRequest, 'source'> & { source?: string };

interface Failure {
  reason: string;
  message: string;
  /** The class of its own diagnostic, before that of the fallback. */
  diagnostic: 'native_start_failed' | 'negotiation_failed' | 'sender_stopped' | null;
  detail: Record<string, unknown>;
}

/** Thrown in a pass when what is wanted has changed. */
class Overtaken extends Error {}

export class ShareController {
  /** Told after {@link state}, {@link lastFallback} or {@link nativeAvailableAt} has changed. */
  onChange: () => void = () => {};
  /** Told of each status of the native sender while it shares. */
  onStatus: (status: NativeStatus) => void = () => {};
  /** What was sent in the last two minutes. */
  readonly history = new StatusHistory();

  readonly #native: NativeSender | null;
  readonly #path: NativePath | null;
  readonly #browser: BrowserSender;
  readonly #coolDown: CoolDown;
  readonly #diagnostics = new Diagnostics();
  readonly #monitor: StatusMonitor;
  readonly #allowPlainRtp: boolean;
  readonly #clock: () => number;
  readonly #unsubscribeNative: () => void;
  #unsubscribeSignal: () => void = () => {};

  // What is wanted.
  #wanted: ShareRequest | null = null;
  #session: RoomSession | null = null;
  #goal: SharePath = 'browser';
  #disposed = false;
  /** What stands at the end when nothing is wanted. */
  #rest: ShareState = { name: 'idle', ended: null };

  // What is.
  #state: ShareState = { name: 'idle', ended: null };
  #cause: string | null = null;
  #needsGesture = false;
  #failure: Failure | null = null;
  #lastFallback: Fallback | null = null;
  #prepared: Prepared | null = null;
  /** What the browser was asked for and has not been acted on. */
  #capturing: Promise<unknown> | null = null;
  /** What the native path was taken for. */
  #nativeFor: ShareRequest | null = null;
  #versionsAsked = false;
  #versions: Record<string, string>;
  #nativeSince = 0;
  #switchedAt = 0;
  #coolDownTimer: ReturnType<typeof setTimeout> | undefined;

  // The loop.
  #changes = 0;
  /** {@link #changes} when the pass under way began. */
  #passOf = 0;
  #running: Promise<void> | null = null;
  #interrupt: (error: Overtaken) => void = () => {};
  #interrupted: Promise<never> = new Promise(() => {});

  constructor(options: ShareControllerOptions) {
    const closeMs = options.closeMs ?? 1_000;
    this.#native = options.native;
    this.#path = options.native && new NativePath(options.native, closeMs);
    this.#browser = new BrowserSender({ closeMs, ...options.browser });
    this.#coolDown = new CoolDown(options.coolDownMs ?? 60_000);
    this.#allowPlainRtp = options.allowPlainRtp ?? false;
    this.#clock = options.clock ?? Date.now;
    this.#versions = { share_controller: VERSION, ...options.versions };
    this.#monitor = new StatusMonitor({
      clock: this.#clock,
      pollMs: options.pollMs ?? 1_000,
      limits: { ...DEFAULT_LIMITS, ...options.instability },
    });
    this.#monitor.onStatus = (status) => this.#handleStatus(status);
    this.#monitor.onVerdict = ({ reason, message }, detail) => {
      this.#failNative({ reason, message, diagnostic: null, detail });
    };
    this.#unsubscribeNative = options.native?.subscribe((event) => this.#handleEvent(event)) ?? (() => {});
    this.#browser.onEnded = () => this.#end('browser_stopped', null);
    this.#browser.onLost = (message) => this.#failBrowser('transport_failed', message);
  }

  get state(): ShareState {
    return this.#state;
  }

  /** The last fall back from the native path; null if there was none. */
  get lastFallback(): Fallback | null {
    return this.#lastFallback;
  }

  /** When the native path may be tried again, in milliseconds of the clock; null if it may now. */
  get nativeAvailableAt(): number | null {
    return this.#coolDown.until(this.#clock());
  }

  /** The last status of the native sender; null before the first. */
  get status(): NativeStatus | null {
    return this.#monitor.status;
  }

  /** Told of each diagnostic, whether the server can be told or not. */
  set onDiagnostic(listener: (diagnostic: ClientDiagnostic) => void) {
    this.#diagnostics.onDiagnostic = listener;
  }

  /** Takes the room's session, or null while the connection is away. What is shared goes on in the next session. */
  attach(session: RoomSession | null): void {
    if (this.#disposed || session === this.#session) return;
    this.#unsubscribeSignal();
    this.#unsubscribeSignal = session?.signal.subscribe((notification) => this.#handleNotification(notification)) ?? (() => {});
    this.#session = session;
    this.#diagnostics.attach(session);
    void this.#kick();
  }

  /**
   * Shares. Call it in a click: the browser may ask only then. Does nothing while something is shared already. Resolves
   * when the share stands, waits or has failed; see {@link state}.
   */
  start(request: ShareRequest = {}): Promise<void> {
    if (this.#disposed) return Promise.resolve();
    if (this.#wanted !== null) return this.#needsGesture ? this.continueInBrowser() : this.#rested();
    this.#wanted = request;
    this.#needsGesture = false;
    this.#failure = null;
    this.#cause = null;
    this.#goal = this.#nativeUsable(request) ? 'native' : 'browser';
    // At once, as long as it is in the click.
    if (this.#goal === 'browser') this.#capture();
    return this.#kick();
  }

  /** From a click, in state `needs_gesture`. Does nothing in another. */
  continueInBrowser(): Promise<void> {
    if (this.#disposed || this.#wanted === null || !this.#needsGesture) return this.#rested();
    this.#needsGesture = false;
    this.#capture();
    return this.#kick();
  }

  /**
   * From the browser back to the native path. Does nothing while it does not share by the browser, where no source was
   * given, and before the cool-down is over. If it fails, the browser goes on without asking again.
   */
  goNative(): Promise<void> {
    const { name } = this.#state;
    const ready = name === 'sharing' && this.#state.path === 'browser' && this.#goal === 'browser';
    if (this.#disposed || !ready || this.#wanted === null || !this.#nativeUsable(this.#wanted)) return this.#rested();
    this.#goal = 'native';
    this.#cause = 'go_native';
    this.#switchedAt = this.#clock();
    return this.#kick();
  }

  /** Stops sharing and gives the screen back. */
  stop(): Promise<void> {
    if (this.#disposed) return this.#rested();
    if (this.#wanted === null && this.#state.name !== 'failed') return this.#rested();
    return this.#finish({ name: 'idle', ended: null });
  }

  /** Stops for good. */
  dispose(): Promise<void> {
    if (this.#disposed) return this.#rested();
    this.#disposed = true;
    this.#unsubscribeNative();
    this.#unsubscribeSignal();
    clearTimeout(this.#coolDownTimer);
    return this.#finish({ name: 'disposed' });
  }

  #nativeUsable(request: ShareRequest): boolean {
    return this.#native !== null && request.source !== undefined && this.nativeAvailableAt === null;
  }

  // What comes from outside.

  #handleEvent(event: SenderEvent): void {
    if (event.event !== 'sender_stopped' || this.#path === null || !this.#path.used) return;
    const lost = event.reason === 'native_host_lost';
    // What comes before the start, or after the stop, is about an earlier share.
    if (!this.#path.startAsked && !lost) return;
    if (event.failure) {
      const message = event.detail ?? `the native sender stopped: ${event.reason}`;
      this.#failNative({ reason: event.reason, message, diagnostic: 'sender_stopped', detail: {} });
    } else if (this.#path.running || event.reason !== 'requested') {
      this.#end(event.reason, event.detail);
    }
  }

  #handleNotification(notification: Notification): void {
    if (notification.event !== 'native_session_closed') return;
    const { session_id: id, reason } = notification.data;
    if (!this.#path?.isOpen(id)) return;
    this.#path.lost();
    const message = `the server closed the native share: ${reason}`;
    this.#failNative({ reason: 'native_session_closed', message, diagnostic: 'sender_stopped', detail: { closed_because: reason } });
  }

  #handleStatus(status: NativeStatus): void {
    this.#versions = { ...this.#versions, ...status.versions };
    const { phase, native_sender: sender } = status;
    try {
      this.onStatus(status);
    } catch (error) {
      console.error('share controller: onStatus threw:', error);
    }
    if (sender !== null && phase === 'running') {
      this.history.pushNative(this.#clock(), sender);
      this.#coolDown.ranWell(this.#clock() - this.#nativeSince);
    }
    // The event that should have told it may have been lost.
    if (phase === 'over' && sender?.state === 'stopped') {
      this.#end(sender.stop_reason ?? 'requested', null);
    } else if (phase === 'over') {
      const reason = sender?.stop_reason ?? 'internal_error';
      this.#failNative({ reason, message: `the native sender stopped: ${reason}`, diagnostic: 'sender_stopped', detail: {} });
    } else if (phase === 'idle') {
      this.#failNative({ reason: 'native_host_lost', message: 'the native host has been restarted', diagnostic: 'sender_stopped', detail: {} });
    }
  }

  /** The native path broke. Noted once for each use of it. */
  #failNative(failure: Failure): void {
    if (this.#wanted === null || this.#goal !== 'native' || this.#failure !== null) return;
    this.#failure = failure;
    void this.#kick();
  }

  #failBrowser(reason: string, message: string): void {
    if (this.#wanted === null) return;
    void this.#finish({ name: 'failed', reason, message: failureInWords(message, this.#nativeMessage()) });
  }

  /** The share came to its own end. */
  #end(reason: string, detail: string | null): void {
    if (this.#wanted === null) return;
    void this.#finish({ name: 'idle', ended: { reason, message: endInWords(reason, detail) } });
  }

  #finish(rest: ShareState): Promise<void> {
    this.#wanted = null;
    this.#failure = null;
    this.#needsGesture = false;
    this.#capturing = null;
    this.#rest = rest;
    // Nobody looks at the screen from here on.
    this.#browser.release();
    return this.#kick();
  }

  // The loop.

  /** What is wanted has changed. Resolves when it is. */
  #kick(): Promise<void> {
    this.#changes += 1;
    this.#interrupt(new Overtaken());
    return (this.#running ??= this.#run());
  }

  #rested(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  async #run(): Promise<void> {
    // Whoever has kicked the loop finishes first.
    await Promise.resolve();
    do {
      this.#passOf = this.#changes;
      this.#interrupted = new Promise((_, reject) => (this.#interrupt = reject));
      this.#interrupted.catch(() => {});
      try {
        await this.#pass();
      } catch (error) {
        if (error instanceof Overtaken) continue;
        console.error('share controller:', error);
        this.#wanted = null;
        this.#rest = { name: 'failed', reason: 'internal_error', message: wordsOf(error) };
        this.#changes += 1;
      }
    } while (this.#passOf !== this.#changes);
    this.#running = null;
  }

  /** `promise`, unless what is wanted changes first. */
  async #step<T>(promise: Promise<T>): Promise<T> {
    try {
      return await Promise.race([promise, this.#interrupted]);
    } finally {
      this.#check();
    }
  }

  #check(): void {
    if (this.#passOf !== this.#changes) throw new Overtaken();
  }

  #capture(): Promise<unknown> {
    const capturing = (this.#capturing ??= this.#browser.capture());
    capturing.catch(() => {});
    return capturing;
  }

  async #pass(): Promise<void> {
    const session = this.#session;
    if (this.#wanted === null) return this.#shutDown();
    if (this.#failure !== null) this.#fallBack(this.#failure);
    if (session === null || !session.signal.open) return this.#wait();
    if (this.#goal === 'native') return this.#shareNatively(this.#wanted, session);
    return this.#shareByBrowser(session);
  }

  async #shutDown(): Promise<void> {
    this.#monitor.stop();
    if (this.#path?.used || this.#browser.capturing || this.#browser.producing) {
      this.#enter({ name: 'stopping' });
      this.#browser.release();
      await Promise.all([this.#path?.close(), this.#browser.unproduce()]);
    }
    this.#check();
    if (this.#session === null || this.#disposed) this.#browser.forget();
    this.#enter(this.#rest);
  }

  /** The room is away: the native sender is stopped, the browser's capture is kept. */
  async #wait(): Promise<void> {
    this.#enter({ name: 'waiting', path: this.#goal });
    this.#monitor.stop();
    await Promise.all([this.#path?.close(), this.#browser.unproduce()]);
    this.#browser.forget();
    // A start while the room is away asks the user at once; the answer is acted on here, not asked for again.
    if (this.#goal === 'browser' && this.#capturing !== null) await this.#captured();
  }

  async #shareNatively(request: ShareRequest, session: RoomSession): Promise<void> {
    const path = this.#path!;
    const running = path.producerIn(session);
    if (running !== null && this.#nativeFor === request) return this.#enterNative(running);
    this.#askVersions();
    const back = this.#browser.capturing;
    this.#enter(back ? { name: 'switching', to: 'native', reason: this.#cause ?? 'go_native' } : { name: 'starting', path: 'native' });
    let doing: 'prepare' | 'negotiate' | 'start' = 'prepare';
    try {
      // What an overtaken pass has left.
      if (path.used) await this.#step(path.close());
      await this.#step(path.stopped());
      this.#nativeFor = request;
      this.#prepared = await this.#step(path.prepare({ ...request, source: request.source! }));
      doing = 'negotiate';
      // Only now: a prepare is no producer.
      await this.#step(this.#browser.unproduce());
      await this.#step(Promise.all([this.#browser.settled(), path.placed()]));
      const reply = await this.#step(path.create(session, this.#prepared.offer));
      const problems = validateNativeSession(reply, this.#prepared.offer, { allowPlainRtp: this.#allowPlainRtp });
      if (problems.length > 0) {
        const message = problems.map((problem) => problem.message).join('; ');
        return this.#fallBackAndGoOn({ reason: 'negotiation_failed', message, diagnostic: 'negotiation_failed', detail: { problems: problems.slice(0, 4) } });
      }
      doing = 'start';
      await this.#step(path.start(reply, this.#allowPlainRtp));
      this.#enterNative(reply.producer_id);
    } catch (error) {
      if (error instanceof Overtaken) throw error;
      // Not the native path failed, but the connection: the next session tries again.
      if (error instanceof SignalError && !session.signal.open) return this.#wait();
      const reason = error instanceof NativeError || error instanceof SignalError ? error.code : 'internal_error';
      this.#fallBackAndGoOn({
        reason,
        message: wordsOf(error),
        diagnostic: reason === 'negotiation_failed' ? 'negotiation_failed' : reason === 'native_host_lost' ? 'sender_stopped' : 'native_start_failed',
        detail: { doing },
      });
    }
  }

  #enterNative(producerId: string): void {
    if (this.#isSharing('native', producerId)) return;
    this.#browser.release();
    this.#nativeSince = this.#clock();
    if (this.#cause !== null) {
      this.#report('fallback_completed', this.#cause, { to: 'native', took_ms: this.#clock() - this.#switchedAt });
    }
    this.#cause = null;
    const native = this.#native!;
    this.#monitor.watchNative(() => native.status());
    this.#enter({ name: 'sharing', path: 'native', producerId });
  }

  async #shareByBrowser(session: RoomSession): Promise<void> {
    const browser = this.#browser;
    const running = browser.producerIn(session);
    if (running !== null) {
      this.#enterBrowser(running);
      // It went on while the native path was tried.
      if (this.#path?.used) await this.#path.close();
      return;
    }
    this.#monitor.stop();
    if (this.#cause !== null && !this.#needsGesture) this.#enter({ name: 'switching', to: 'browser', reason: this.#cause });
    else if (!this.#needsGesture) this.#enter({ name: 'starting', path: 'browser' });
    // The user is asked while the native path is being closed.
    if (!this.#needsGesture) this.#capture();
    if (this.#path?.used) await this.#step(this.#path.close());
    // What an earlier share, or another session, has left.
    if (browser.isStale(session)) await this.#step(browser.unproduce());
    if (this.#needsGesture) return this.#enter({ name: 'needs_gesture', reason: this.#cause ?? 'needs_gesture' });
    if (!(await this.#captured())) return;
    try {
      await this.#step(Promise.all([browser.settled(), this.#path?.placed()]));
      this.#enterBrowser(await this.#step(browser.produce(session)));
    } catch (error) {
      if (error instanceof Overtaken) throw error;
      if (!session.signal.open) return this.#wait();
      this.#failBrowser(error instanceof SignalError ? error.code : 'browser_failed', wordsOf(error));
    }
  }

  /** Whether the browser has captured what it was asked for; if not, that has been acted on. */
  async #captured(): Promise<boolean> {
    try {
      await this.#step(this.#capture());
      this.#capturing = null;
      return true;
    } catch (error) {
      if (error instanceof Overtaken) throw error;
      this.#capturing = null;
      this.#handleCaptureFailure(asCaptureError(error));
      return false;
    }
  }

  #enterBrowser(producerId: string): void {
    if (this.#isSharing('browser', producerId)) return;
    this.#cause = null;
    this.#monitor.watchBrowser(async () => {
      const report = await this.#browser.stats();
      if (report !== null) this.history.pushBrowser(this.#clock(), report as unknown as Iterable<unknown>);
    });
    this.#enter({ name: 'sharing', path: 'browser', producerId });
  }

  #isSharing(path: SharePath, producerId: string): boolean {
    return this.#state.name === 'sharing' && this.#state.path === path && this.#state.producerId === producerId;
  }

  /** For the diagnostics: a host that fails at once should be told of with its version. */
  #askVersions(): void {
    if (this.#versionsAsked) return;
    this.#versionsAsked = true;
    this.#native!.status().then(
      ({ versions }) => (this.#versions = { ...this.#versions, ...versions }),
      () => {},
    );
  }

  #handleCaptureFailure({ code, message }: CaptureError): void {
    if (code === 'needs_gesture') {
      this.#needsGesture = true;
      return this.#enter({ name: 'needs_gesture', reason: this.#cause ?? 'needs_gesture' });
    }
    if (code === 'declined' && this.#nativeMessage() === null) return this.#end('declined', null);
    this.#failBrowser(code, message);
  }

  /** Notes the failure, and goes on by the browser. */
  #fallBack(failure: Failure): void {
    const now = this.#clock();
    const reason = asCode(failure.reason);
    this.#failure = null;
    this.#goal = 'browser';
    this.#cause = reason;
    this.#switchedAt = now;
    this.#monitor.stop();
    // Where there is no other path, there is nothing to do meanwhile: the next start may try again.
    if (this.#browser.supported) this.#coolDown.fail(now);
    this.#lastFallback = { reason, message: failure.message, at: now };
    if (failure.diagnostic !== null) this.#report(failure.diagnostic, reason, failure.detail);
    this.#report('fallback_triggered', reason, { to: 'browser', ...failure.detail });
    clearTimeout(this.#coolDownTimer);
    if (!this.#disposed) {
      this.#coolDownTimer = setTimeout(() => this.#notify(), (this.#coolDown.until(now) ?? now) - now);
    }
  }

  #fallBackAndGoOn(failure: Failure): void {
    this.#fallBack(failure);
    this.#changes += 1;
  }

  #report(name: string, reason: string | null, detail: Record<string, unknown>): void {
    const sender = this.#monitor.status?.native_sender;
    this.#diagnostics.report(
      name,
      reason,
      {
        encoderBackend: sender?.encoder_backend ?? this.#prepared?.encoderBackend ?? null,
        degradationLevel: sender?.degradation.level ?? null,
        versions: this.#versions,
      },
      detail,
    );
  }

  /** Why the native path failed in this share; null if it did not. */
  #nativeMessage(): string | null {
    return this.#cause !== null && this.#cause !== 'go_native' ? (this.#lastFallback?.message ?? null) : null;
  }

  #enter(state: ShareState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#notify();
  }

  #notify(): void {
    try {
      this.onChange();
    } catch (error) {
      console.error('share controller: onChange threw:', error);
    }
  }
}

/** Of this package. */
const VERSION = '0.1.0';
