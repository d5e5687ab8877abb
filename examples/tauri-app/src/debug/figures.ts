/** The native sender's status as rows of the debug panel. Pure. */
import type { NativeStatus } from 'yc-share-controller';

type Fields = Record<string, unknown>;

/** Fields of `yc_sender::SenderStatus`, by their paths; one that a host does not tell is left out. */
export function figuresOf(status: NativeStatus | null, hostKind: string | null): [label: string, value: string][] {
  const rows: [string, string][] = [['native host', hostKind ?? 'none']];
  if (status === null) return rows;
  rows.push(['phase', status.phase]);
  const versions = listOf(status.versions);
  if (versions !== '') rows.push(['versions', versions]);
  const sender = status.native_sender as unknown as Fields | null;
  if (sender === null) return rows;
  for (const [label, field] of FIELDS) {
    const value = valueOf(field.split('.').reduce<unknown>((from, name) => (from as Fields | null | undefined)?.[name], sender));
    if (value !== null) rows.push([label, value]);
  }
  return rows;
}

/** What is copied: everything but the note in words, which an OS writes and which may name a window. */
export function statusForCopy(status: NativeStatus | null): unknown {
  if (status?.native_sender == null) return status;
  const { capture_note: _, ...sender } = status.native_sender as unknown as Fields;
  return { ...status, native_sender: sender };
}

function valueOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(String).join('; ');
  if (typeof value === 'object') return listOf(value as Fields) || 'none';
  return typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** The parts that are not 0, false or empty, as `name value`. */
function listOf(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== 0 && value !== null && value !== false && value !== '' && typeof value !== 'object')
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');
}

const FIELDS: readonly [label: string, field: string][] = [
  ['state', 'state'],
  ['stop reason', 'stop_reason'],
  ['encoder', 'encoder_backend'],
  ['encoder: why not others', 'encoder_why_not'],
  ['capture', 'capture_backend'],
  ['capture: why not others', 'capture_why_not'],
  ['source size', 'source_size'],
  ['encoded size', 'encoded_size'],
  ['transport', 'transport_state'],
  ['producer', 'producer_state'],
  ['encryption', 'srtp.suite'],
  ['rejected feedback', 'srtp.rtcp_rejected'],
  ['limited by', 'limited_by'],
  ['degradation', 'degradation'],
  ['fallback', 'fallback'],
  ['lifecycle', 'lifecycle'],
  ['frames captured', 'frames_captured'],
  ['frames sent', 'frames_sent'],
  ['key frames', 'key_frames'],
  ['dropped', 'dropped'],
  ['encode time, ms', 'encode_ms'],
  ['backlog, ms', 'send_backlog_ms'],
];
