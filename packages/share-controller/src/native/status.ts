/**
 * What the native host answers and tells, and the checks that make the types true. The names are the host's own.
 * Fields that are not listed here are passed on untouched; one that is missing is an error that names it.
 */
import type { NativeSenderOffer } from 'yc-signalling';
import { NativeError, type NativeSource, type Prepared, type Thumbnail } from './sender.ts';

export interface LatencySummary {
  count: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  max_ms: number;
}

export type LatencyStage = 'queue' | 'convert' | 'encode' | 'packetize' | 'send' | 'total';

/** What of `yc_sender::SenderStatus` is read here. */
export interface SenderStatus {
  state: 'idle' | 'starting' | 'running' | 'degraded' | 'stopping' | 'stopped' | 'failed' | (string & {});
  stop_reason: string | null;
  uptime_ms: number;
  capture_backend: string;
  encoder_backend: string;
  limited_by: string;
  /** `level`: 0 (nothing is held back) to 3. */
  degradation: { level: number; cause: string | null };
  fallback: { step: string | null; reason: string | null };
  lifecycle: {
    encoder_restarts: number;
    encoder_switches: number;
    capture_restarts: number;
    capture_switches: number;
    stages_hung: number;
  };
  transport_state: 'new' | 'sending' | 'connected' | 'silent' | 'closed' | (string & {});
  producer_state: string;
  frames_captured: number;
  frames_sent: number;
  fps: number;
  bitrate_kbps: number;
  latency: Record<LatencyStage, LatencySummary>;
  dropped: Record<string, number>;
}

export interface NativeStatus {
  phase: 'idle' | 'preparing' | 'prepared' | 'starting' | 'running' | 'over' | (string & {});
  /** After the end, the last one. */
  native_sender: SenderStatus | null;
  versions: Record<string, string>;
}

/** One thing that happened. Events that a later host adds come through as they are. */
export type SenderEvent =
  | { event: 'sender_stopped'; reason: string; detail: string | null; failure: boolean }
  | { event: 'fallback_triggered'; step: string; from: string; to: string; reason: string; detail: string }
  | { event: 'fallback_completed'; step: string; from: string; to: string; took_ms: number }
  | { event: 'degradation_changed'; level: number; from: number; cause: string }
  | { event: 'encode_error' | 'transport_error'; reason: string; detail: string; fatal: boolean }
  | { event: 'sender_started'; encoder_backend: string; capture_backend: string }
  | { event: 'source_resized'; size: { width: number; height: number } }
  | { event: 'source_paused' }
  | { event: 'source_resumed' };

type Fields = Record<string, unknown>;
/** A field's path with what it must be. */
type Shape = Record<string, 'string' | 'number' | 'boolean' | 'object' | 'array' | 'string?'>;

const EVENTS: Record<SenderEvent['event'], Shape> = {
  sender_started: { encoder_backend: 'string', capture_backend: 'string' },
  sender_stopped: { reason: 'string', detail: 'string?', failure: 'boolean' },
  encode_error: { reason: 'string', detail: 'string', fatal: 'boolean' },
  transport_error: { reason: 'string', detail: 'string', fatal: 'boolean' },
  fallback_triggered: { step: 'string', from: 'string', to: 'string', reason: 'string', detail: 'string' },
  fallback_completed: { step: 'string', from: 'string', to: 'string', took_ms: 'number' },
  degradation_changed: { level: 'number', from: 'number', cause: 'string' },
  source_resized: { 'size.width': 'number', 'size.height': 'number' },
  source_paused: {},
  source_resumed: {},
};

/** The events that a host tells, by name. */
export const EVENT_NAMES = Object.keys(EVENTS) as SenderEvent['event'][];

const LATENCY: LatencyStage[] = ['queue', 'convert', 'encode', 'packetize', 'send', 'total'];

const STATUS: Shape = {
  state: 'string',
  stop_reason: 'string?',
  uptime_ms: 'number',
  capture_backend: 'string',
  encoder_backend: 'string',
  limited_by: 'string',
  'degradation.level': 'number',
  'degradation.cause': 'string?',
  'fallback.step': 'string?',
  'fallback.reason': 'string?',
  'lifecycle.encoder_restarts': 'number',
  'lifecycle.encoder_switches': 'number',
  'lifecycle.capture_restarts': 'number',
  'lifecycle.capture_switches': 'number',
  'lifecycle.stages_hung': 'number',
  transport_state: 'string',
  producer_state: 'string',
  frames_captured: 'number',
  frames_sent: 'number',
  fps: 'number',
  bitrate_kbps: 'number',
  dropped: 'object',
  ...Object.fromEntries(LATENCY.flatMap((stage) => ['count', 'p50_ms', 'p95_ms', 'p99_ms', 'max_ms'].map((name) => [`latency.${stage}.${name}`, 'number' as const]))),
};

/** Reads one event; `null` if its name is none that is known here. Throws a {@link NativeError} where a field is missing. */
export function readEvent(data: unknown): SenderEvent | null {
  const name = isFields(data) ? data['event'] : undefined;
  if (typeof name !== 'string' || !Object.hasOwn(EVENTS, name)) return null;
  check(name, data, EVENTS[name as SenderEvent['event']]);
  return data as unknown as SenderEvent;
}

export function readStatus(data: unknown): NativeStatus {
  check('native_capture_status', data, { phase: 'string', versions: 'object' });
  const { native_sender: sender, phase, versions } = data as Fields;
  for (const [name, version] of Object.entries(versions as Fields)) {
    if (typeof version !== 'string') throw badReply('native_capture_status', `versions.${name}`, 'string', version);
  }
  if (sender !== null) check('native_capture_status.native_sender', sender, STATUS);
  return { ...(data as Fields), phase, versions, native_sender: sender } as unknown as NativeStatus;
}

export function readPrepared(data: unknown): Prepared {
  check('native_capture_prepare', data, {
    capture_backend: 'string',
    encoder_backend: 'string',
    'offer.protocol': 'number',
    'offer.codecs': 'array',
  });
  const fields = data as Fields;
  return {
    captureBackend: fields['capture_backend'] as string,
    encoderBackend: fields['encoder_backend'] as string,
    offer: fields['offer'] as NativeSenderOffer,
  };
}

export function readSources(data: unknown): NativeSource[] {
  check('native_capture_sources', data, { sources: 'array' });
  const sources = (data as { sources: unknown[] }).sources;
  for (const source of sources) {
    const shape: Shape = { id: 'string', kind: 'string', title: 'string', width: 'number', height: 'number', backend: 'string', process: 'string?' };
    check('native_capture_sources', source, shape);
  }
  return sources as NativeSource[];
}

export function readThumbnail(data: unknown): Thumbnail {
  check('native_capture_thumbnail', data, { png_base64: 'string', width: 'number', height: 'number' });
  const { png_base64: png, width, height } = data as { png_base64: string; width: number; height: number };
  return { url: `data:image/png;base64,${png}`, width, height };
}

function check(what: string, data: unknown, shape: Shape): void {
  for (const [path, kind] of Object.entries(shape)) {
    let value: unknown = data;
    for (const name of path.split('.')) value = isFields(value) ? value[name] : undefined;
    if (!isKind(value, kind)) throw badReply(what, path, kind, value);
  }
  if (!isFields(data)) throw badReply(what, 'data', 'object', data);
}

function isKind(value: unknown, kind: Shape[string]): boolean {
  switch (kind) {
    case 'string?':
      return value === null || typeof value === 'string';
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isFields(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    default:
      return typeof value === kind;
  }
}

function badReply(what: string, path: string, kind: string, value: unknown): NativeError {
  const wanted = kind === 'string?' ? 'a string or null' : kind === 'array' || kind === 'object' ? `an ${kind}` : `a ${kind}`;
  const shown = value === undefined ? 'missing' : String(JSON.stringify(value)).slice(0, 80);
  return new NativeError('native_bad_reply', `${what}: ${path} is ${shown}, not ${wanted}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
