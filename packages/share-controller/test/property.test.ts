/** Throws random sequences of calls, failures and slow answers at the controller. `YC_SEED=n` repeats one run, `YC_RUNS=n` makes more. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Answer } from 'yc-signalling/testing';
import { ShareController } from '../src/controller.ts';
import { CountingServer, ScriptedNative, Screen, fail, never, refusal, running, session } from './support.ts';

const RUNS = Number(process.env['YC_RUNS'] ?? 150);
const STEPS = 40;
const given = process.env['YC_SEED'];
const first = given === undefined ? Math.floor(Math.random() * 1_000_000_000) : Number(given);

type Request = { id: number; action: string; data: Record<string, unknown> };

/** Carries the requests of a connection out one after the other, each after a while, as yc-server does. */
class SlowServer extends CountingServer {
  delayMs: () => number = () => 0;
  #last: Promise<void> = Promise.resolve();

  override answer(request: Request): Answer {
    const socket = this.connection;
    const usual = (): Answer => super.answer(request);
    this.#last = this.#last.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, this.delayMs()));
      if (socket.closedBy !== null) return;
      const answer = usual();
      if (answer === 'silence') return;
      const refused = typeof answer['refuse'] === 'string';
      const error = { code: answer['refuse'], message: '' };
      socket.say(refused ? { id: request.id, ok: false, error } : { id: request.id, ok: true, data: answer });
    });
    return 'silence';
  }

  lose(): void {
    this.open.clear();
    this.connection.drop();
  }
}

/** Mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test(`whatever is asked and whatever fails, in any order (YC_SEED=${first})`, async () => {
  const errors = vi.spyOn(console, 'error').mockImplementation(() => {});
  for (let seed = first; seed < first + (given === undefined ? RUNS : 1); seed += 1) {
    const trace: string[] = [];
    try {
      await run(randomOf(seed), trace);
      expect(errors.mock.calls).toEqual([]);
    } catch (error) {
      throw new Error(`YC_SEED=${seed}\n${trace.join('\n')}`, { cause: error });
    }
  }
}, 60_000 + 100 * RUNS);

async function run(random: () => number, trace: string[]): Promise<void> {
  const server = new SlowServer();
  const native = new ScriptedNative();
  const screen = new Screen();
  const share = new ShareController({ native, browser: { capture: screen.capture }, coolDownMs: 5_000 });
  share.onChange = () => {
    trace.push(`  ${JSON.stringify(share.state)}`);
    // One share at a time, whatever is on its way.
    expect(server.open.size).toBeLessThanOrEqual(1);
  };
  let attached = false;
  const pick = <T>(...all: T[]): T => all[Math.floor(random() * all.length)]!;
  const slow = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pick(1, 50, 900, 3_000)));
  const attach = async (): Promise<void> => {
    if (attached && server.connection.closedBy === null) return;
    const made = await session(server);
    share.attach(made);
    attached = true;
  };
  const mend = (): void => {
    native.before = {};
    native.status_ = running();
    screen.before = () => {};
    server.answers = {};
    server.delayMs = () => 0;
  };
  const command = (): 'prepare' | 'start' | 'stop' | 'status' => pick('prepare', 'start', 'stop', 'status');
  const steps: Record<string, () => unknown> = {
    start: () => void share.start({ source: pick('window:1', 'monitor:2') }),
    'start again': () => void share.start({ source: 'window:3' }),
    'start by the browser': () => void share.start(),
    stop: () => void share.stop(),
    'stop and start': () => {
      void share.stop();
      void share.start(pick({}, { source: 'window:1' }));
    },
    attach,
    'attach again': attach,
    lose: () => {
      if (!attached) return;
      server.lose();
      if (random() < 0.8) {
        share.attach(null);
        attached = false;
      }
    },
    'another session': async () => {
      if (attached) server.lose();
      const made = await session(server);
      share.attach(made);
      attached = true;
    },
    goNative: () => void share.goNative(),
    continueInBrowser: () => void share.continueInBrowser(),
    'a command fails': () => (native.before[command()] = fail(pick('capture_failed', 'encoder_hung', 'native_host_lost'))),
    'a command is slow': () => (native.before[command()] = slow),
    'a command hangs': () => (native.before[command()] = never),
    'the sender fails': () => native.stopped(pick('encoder_failed', 'rtcp_timeout'), true),
    'the host dies': () => native.stopped('native_host_lost', true),
    'the source ends': () => native.stopped(pick('window_closed', 'requested'), false),
    'the server closes it': () => {
      for (const id of server.open) {
        if (!id.startsWith('session-')) continue;
        server.open.delete(id);
        server.connection.say({ event: 'native_session_closed', data: { session_id: id, reason: 'no_media' } });
      }
    },
    'the server refuses': () => (server.answers[pick('create_native_sender_session', 'produce', 'create_transport')] = () => ({ refuse: 'server_error' })),
    'the server is slow': () => (server.delayMs = () => Math.floor(random() * 400)),
    'the browser refuses': () => (screen.before = refusal(pick('NotAllowedError', 'InvalidStateError', 'NotReadableError'))),
    'the browser is slow': () => (screen.before = slow),
    'the track ends': () => {
      const track = screen.tracks.find(({ readyState }) => readyState === 'live');
      track?.onended?.(new Event('ended') as never);
    },
    'it is unstable': () => (native.status_ = running({ transport_state: 'silent' })),
    mend,
  };
  const names = Object.keys(steps);

  const settled = async (): Promise<void> => {
    mend();
    // Whoever owns the room tells that it is gone, sooner or later.
    if (attached && server.connection.closedBy !== null) {
      share.attach(null);
      attached = false;
    }
    await vi.advanceTimersByTimeAsync(40_000);
    trace.push('quiet');
    const { state } = share;
    const open = [...server.open].map((id) => id.replace(/-.*/, ''));
    const found = { open, live: screen.live, native: native.active };
    switch (state.name) {
      case 'sharing':
        if (state.path === 'native') expect(found).toEqual({ open: ['session'], live: 0, native: true });
        else expect(found).toEqual({ open: ['web'], live: 1, native: false });
        break;
      case 'waiting':
        expect(attached).toBe(false);
        expect(found).toMatchObject({ open: [], native: false });
        break;
      case 'idle':
      case 'failed':
      case 'needs_gesture':
      case 'disposed':
        expect(found).toEqual({ open: [], live: 0, native: false });
        break;
      default:
        expect.unreachable(`it stands in ${state.name}`);
    }
  };

  for (let step = 0; step < STEPS; step += 1) {
    const name = pick(...names);
    trace.push(name);
    await steps[name]!();
    await vi.advanceTimersByTimeAsync(pick(0, 0, 1, 20, 300, 2_000));
    if (random() < 0.1) await settled();
  }
  await settled();
  // What was asked last is what stands.
  await attach();
  void share.stop();
  await settled();
  expect(share.state.name).toBe('idle');
  void share.start({ source: 'window:1' });
  await settled();
  expect(share.state.name).toBe('sharing');
  if (random() < 0.5) void share.stop();
  const disposed = share.dispose();
  await settled();
  await disposed;
  expect(share.state.name).toBe('disposed');
  expect(native.listeners.size).toBe(0);
  expect(server.mostOpen).toBeLessThanOrEqual(1);
  expect(vi.getTimerCount()).toBe(0);
}
