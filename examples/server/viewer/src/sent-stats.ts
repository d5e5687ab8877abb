/** What getStats says of the screen that this page sends. Pure: reports in, values out. */
import { codecName, formatBitrate } from './stats.ts';

export interface SentStats {
  codec: string | null;
  frameWidth: number | null;
  frameHeight: number | null;
  framesPerSecond: number | null;
  bytesSent: number | null;
  encoder: string | null;
  timestamp: number | null;
}

export function readSentStats(report: Iterable<unknown>): SentStats {
  const entries = [...report].filter((entry): entry is Record<string, unknown> => typeof entry === 'object' && entry !== null);
  const sent = entries.find((entry) => entry['type'] === 'outbound-rtp') ?? {};
  const codec = entries.find((entry) => entry['id'] === sent['codecId']);
  const number = (name: string): number | null => (typeof sent[name] === 'number' ? sent[name] : null);
  const encoder = sent['encoderImplementation'];
  return {
    codec: codecName(codec?.['mimeType']),
    frameWidth: number('frameWidth'),
    frameHeight: number('frameHeight'),
    framesPerSecond: number('framesPerSecond'),
    bytesSent: number('bytesSent'),
    encoder: typeof encoder === 'string' && encoder !== 'unknown' ? encoder : null,
    timestamp: number('timestamp'),
  };
}

export function sentRows(earlier: SentStats | null, later: SentStats): [label: string, value: string][] {
  const { codec, frameWidth, frameHeight, framesPerSecond, encoder } = later;
  const seconds = ((later.timestamp ?? 0) - (earlier?.timestamp ?? 0)) / 1_000;
  const bytes = (later.bytesSent ?? 0) - (earlier?.bytesSent ?? 0);
  const known = earlier !== null && later.bytesSent !== null && seconds > 0 && bytes >= 0;
  return [
    ['Codec', codec ?? '–'],
    ['Resolution', frameWidth && frameHeight ? `${frameWidth} × ${frameHeight}` : '–'],
    ['Frame rate', framesPerSecond === null ? '–' : `${framesPerSecond.toFixed(0)} fps`],
    ['Bitrate', formatBitrate(known ? (8 * bytes) / seconds : null)],
    ['Encoder', encoder ?? '–'],
  ];
}
