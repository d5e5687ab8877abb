/** What getStats says of one received or sent video, as plain numbers. Pure: reports in, values out. */

/** `null` stands for what the browser does not tell. Counts and times in seconds are totals since the beginning. */
export interface VideoStats {
  /** Name without the kind, for example `H264`. */
  codec: string | null;
  framesDecoded: number | null;
  framesDropped: number | null;
  frameWidth: number | null;
  frameHeight: number | null;
  framesPerSecond: number | null;
  keyFramesDecoded: number | null;
  pliCount: number | null;
  nackCount: number | null;
  freezeCount: number | null;
  totalFreezesDuration: number | null;
  packetsLost: number | null;
  packetsReceived: number | null;
  bytesReceived: number | null;
  /** Seconds that frames waited before decoding, summed over {@link jitterBufferEmittedCount} frames. */
  jitterBufferDelay: number | null;
  jitterBufferEmittedCount: number | null;
  totalDecodeTime: number | null;
  /** For example `FFmpeg`. Chromium tells a page that captures, Firefox none: it says much about the computer. */
  decoder: string | null;
  hardwareDecoder: boolean | null;
  roundTripTime: number | null;
  /** Of the report, in milliseconds. */
  timestamp: number | null;
}

/** What the time between two readings adds. */
export interface VideoRates {
  bitsPerSecond: number | null;
  framesPerSecond: number | null;
  /** Mean over the frames of the interval, in milliseconds. */
  jitterBufferMs: number | null;
  decodeMsPerFrame: number | null;
}

type Entry = Record<string, unknown>;

/** Reads the inbound video of a receiver's report. */
export function readVideoStats(report: Iterable<unknown>): VideoStats {
  const entries = new Map<string, Entry>();
  let inbound: Entry = {};
  let roundTripTime: number | null = null;
  for (const entry of report) {
    if (!isEntry(entry)) continue;
    if (typeof entry['id'] === 'string') entries.set(entry['id'], entry);
    // `kind` is the standard's; it was `mediaType` before. A report without either is of the one track it is for.
    if (entry['type'] === 'inbound-rtp' && (entry['kind'] ?? entry['mediaType'] ?? 'video') === 'video') inbound = entry;
    if (entry['type'] === 'candidate-pair' && (entry['nominated'] === true || entry['selected'] === true)) {
      roundTripTime = number(entry, 'currentRoundTripTime') ?? roundTripTime;
    }
  }
  const codecId = inbound['codecId'];
  const codec = typeof codecId === 'string' ? entries.get(codecId) : undefined;
  return {
    codec: codecName(codec?.['mimeType']),
    framesDecoded: number(inbound, 'framesDecoded'),
    framesDropped: number(inbound, 'framesDropped'),
    frameWidth: number(inbound, 'frameWidth'),
    frameHeight: number(inbound, 'frameHeight'),
    framesPerSecond: number(inbound, 'framesPerSecond'),
    keyFramesDecoded: number(inbound, 'keyFramesDecoded'),
    pliCount: number(inbound, 'pliCount'),
    nackCount: number(inbound, 'nackCount'),
    freezeCount: number(inbound, 'freezeCount'),
    totalFreezesDuration: number(inbound, 'totalFreezesDuration'),
    packetsLost: number(inbound, 'packetsLost'),
    packetsReceived: number(inbound, 'packetsReceived'),
    bytesReceived: number(inbound, 'bytesReceived'),
    jitterBufferDelay: number(inbound, 'jitterBufferDelay'),
    jitterBufferEmittedCount: number(inbound, 'jitterBufferEmittedCount'),
    totalDecodeTime: number(inbound, 'totalDecodeTime'),
    decoder: text(inbound, 'decoderImplementation'),
    hardwareDecoder: typeof inbound['powerEfficientDecoder'] === 'boolean' ? inbound['powerEfficientDecoder'] : null,
    roundTripTime,
    timestamp: number(inbound, 'timestamp'),
  };
}

/** What changed from one reading to a later one of the same video; all `null` without an earlier one. */
export function videoRates(earlier: VideoStats | null, later: VideoStats): VideoRates {
  const seconds = difference(earlier, later, 'timestamp', 1_000);
  const frames = difference(earlier, later, 'framesDecoded');
  const bits = difference(earlier, later, 'bytesReceived', 1 / 8);
  const waited = difference(earlier, later, 'jitterBufferDelay', 1 / 1_000);
  const emitted = difference(earlier, later, 'jitterBufferEmittedCount');
  const decoding = difference(earlier, later, 'totalDecodeTime', 1 / 1_000);
  return {
    bitsPerSecond: ratio(bits, seconds),
    framesPerSecond: ratio(frames, seconds) ?? later.framesPerSecond,
    jitterBufferMs: ratio(waited, emitted),
    decodeMsPerFrame: ratio(decoding, frames),
  };
}

/** `video/H264` is `H264`; anything that is no MIME type is `null`. */
export function codecName(mimeType: unknown): string | null {
  return typeof mimeType === 'string' ? (/^[a-z]+\/(.+)$/i.exec(mimeType)?.[1] ?? null) : null;
}

/** The rows of the statistics panel: label and value, in words. */
export function statsRows(stats: VideoStats, rates: VideoRates): [label: string, value: string][] {
  const { frameWidth, frameHeight, packetsLost, packetsReceived, freezeCount, totalFreezesDuration } = stats;
  return [
    ['Codec', stats.codec ?? UNKNOWN],
    ['Resolution', frameWidth && frameHeight ? `${frameWidth} × ${frameHeight}` : UNKNOWN],
    ['Frame rate', withUnit(rates.framesPerSecond, 'fps')],
    ['Bitrate', formatBitrate(rates.bitsPerSecond)],
    ['Packets lost', formatLoss(packetsLost, packetsReceived)],
    ['Jitter buffer', withUnit(rates.jitterBufferMs, 'ms')],
    ['Round trip', withUnit(stats.roundTripTime === null ? null : stats.roundTripTime * 1_000, 'ms', 1)],
    ['Frames decoded', formatCount(stats.framesDecoded)],
    ['Frames dropped', formatCount(stats.framesDropped)],
    ['Key frames', formatCount(stats.keyFramesDecoded)],
    ['PLI sent', formatCount(stats.pliCount)],
    ['NACK sent', formatCount(stats.nackCount)],
    ['Freezes', freezeCount ? `${freezeCount} (${(totalFreezesDuration ?? 0).toFixed(1)} s)` : formatCount(freezeCount)],
    ['Decoder', formatDecoder(stats)],
    ['Decoding', withUnit(rates.decodeMsPerFrame, 'ms a frame', 1)],
  ];
}

export function formatBitrate(bitsPerSecond: number | null): string {
  if (bitsPerSecond === null) return UNKNOWN;
  return bitsPerSecond < 999_500
    ? `${Math.round(bitsPerSecond / 1_000)} kbit/s`
    : `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
}

function formatLoss(lost: number | null, received: number | null): string {
  if (lost === null) return UNKNOWN;
  const all = lost + (received ?? 0);
  // Duplicates make the count negative (RFC 3550, section 6.4.1).
  return lost <= 0 || all <= 0 ? formatCount(lost) : `${formatCount(lost)} (${((100 * lost) / all).toFixed(2)} %)`;
}

function formatDecoder({ decoder, hardwareDecoder }: VideoStats): string {
  const kind = hardwareDecoder === null ? null : hardwareDecoder ? 'hardware' : 'software';
  if (decoder === null || decoder === 'unknown') return kind ?? 'not told';
  return kind === null ? decoder : `${decoder} (${kind})`;
}

function formatCount(count: number | null): string {
  return count === null ? UNKNOWN : count.toLocaleString('en');
}

function withUnit(value: number | null, unit: string, digits = 0): string {
  return value === null ? UNKNOWN : `${value.toFixed(digits)} ${unit}`;
}

function difference(earlier: VideoStats | null, later: VideoStats, name: Counter, unit = 1): number | null {
  const from = earlier?.[name] ?? null;
  const to = later[name];
  // A count that went back is another stream's.
  return from === null || to === null || to < from ? null : (to - from) / unit;
}

function ratio(above: number | null, below: number | null): number | null {
  return above === null || below === null || below <= 0 ? null : above / below;
}

function number(entry: Entry, name: string): number | null {
  const value = entry[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(entry: Entry, name: string): string | null {
  const value = entry[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null;
}

type Counter = 'timestamp' | 'framesDecoded' | 'bytesReceived' | 'jitterBufferDelay' | 'jitterBufferEmittedCount' | 'totalDecodeTime';

const UNKNOWN = '–';
