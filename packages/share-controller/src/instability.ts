/** Judges from a row of status samples whether a native sender that runs is of any use. Pure: samples in, verdict out. */
import type { SenderStatus } from './native/status.ts';

export interface InstabilityLimits {
  /** How long the receiver may be silent after the sender has called it so (4 s of silence), in milliseconds. Default: 6000. */
  silentMs: number;
  /** How long nothing may be sent while pictures are captured, in milliseconds. Default: 10000. */
  stalledMs: number;
  /** How long the degradation ladder may stand on its lowest level, in milliseconds. Default: 60000. */
  lowestLevelMs: number;
  /** Restarts and changes of backends within {@link restartWindowMs} that are tolerated. Default: 4. */
  restarts: number;
  /** In milliseconds. Default: 60000. */
  restartWindowMs: number;
  /** Status calls in a row that may fail. Default: 2. */
  statusFailures: number;
}

export const DEFAULT_LIMITS: InstabilityLimits = {
  silentMs: 6_000,
  stalledMs: 10_000,
  lowestLevelMs: 60_000,
  restarts: 4,
  restartWindowMs: 60_000,
  statusFailures: 2,
};

/** One answer of the status command; `status` is null where there was none. `at` is in milliseconds. */
export interface Sample {
  at: number;
  status: SenderStatus | null;
}

export interface Verdict {
  /** A stable code. */
  reason: 'native_transport_silent' | 'native_stalled' | 'native_degraded' | 'native_restarts' | 'native_status_failed';
  message: string;
}

/** What is wrong, or null. Oldest sample first; all of one sender. */
export function instability(samples: readonly Sample[], limits: InstabilityLimits = DEFAULT_LIMITS): Verdict | null {
  const failed = samples.length - 1 - samples.findLastIndex(({ status }) => status !== null);
  if (failed > limits.statusFailures) {
    return { reason: 'native_status_failed', message: `the native sender did not tell its status ${failed} times in a row` };
  }
  const known = samples.filter((sample): sample is KnownSample => sample.status !== null);
  const last = known.at(-1);
  if (last === undefined) return null;
  const silent = heldFor(known, ({ status }) => status.transport_state === 'silent');
  if (silent !== null && silent >= limits.silentMs) {
    return { reason: 'native_transport_silent', message: `the server has not reported to the native sender for over ${seconds(silent)} s` };
  }
  const stalled = heldFor(known, ({ status }) => status.frames_sent === last.status.frames_sent);
  if (stalled !== null && stalled >= limits.stalledMs) {
    const before = known.find(({ at }) => at === last.at - stalled)!;
    if (last.status.frames_captured > before.status.frames_captured) {
      return { reason: 'native_stalled', message: `the native sender has captured pictures but sent none for ${seconds(stalled)} s` };
    }
  }
  const lowest = heldFor(known, ({ status }) => status.degradation.level >= LOWEST_LEVEL);
  if (lowest !== null && lowest >= limits.lowestLevelMs) {
    return { reason: 'native_degraded', message: `the native sender has been at its lowest quality for ${seconds(lowest)} s` };
  }
  const window = known.filter(({ at }) => at >= last.at - limits.restartWindowMs);
  const restarts = restartsOf(last.status) - restartsOf(window[0]!.status);
  if (restarts > limits.restarts) {
    const over = seconds(last.at - window[0]!.at);
    return { reason: 'native_restarts', message: `the native sender restarted ${restarts} times within ${over} s` };
  }
  return null;
}

/** The samples that {@link instability} may still look at. */
export function recent(samples: readonly Sample[], now: number, limits: InstabilityLimits): Sample[] {
  const longest = Math.max(limits.silentMs, limits.stalledMs, limits.lowestLevelMs, limits.restartWindowMs);
  return samples.filter(({ at }) => at >= now - longest - MARGIN_MS);
}

type KnownSample = Sample & { status: SenderStatus };

/** How long a condition has held up to the last sample, in milliseconds; null where it does not hold now. */
function heldFor(samples: readonly KnownSample[], holds: (sample: KnownSample) => boolean): number | null {
  const last = samples.at(-1)!;
  if (!holds(last)) return null;
  const first = samples[samples.findLastIndex((sample) => !holds(sample)) + 1]!;
  return last.at - first.at;
}

function restartsOf({ lifecycle }: SenderStatus): number {
  return lifecycle.encoder_restarts + lifecycle.encoder_switches + lifecycle.capture_restarts + lifecycle.capture_switches;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(0);
}

const LOWEST_LEVEL = 3;
/** Samples come about every second, not exactly so. */
const MARGIN_MS = 2_000;
