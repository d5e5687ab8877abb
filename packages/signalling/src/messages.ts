/**
 * What a page and the server say to each other, as docs/signalling.md lists it: the types, and the checks that
 * make them true. Objects that are mediasoup's own are passed on to mediasoup-client, which checks them itself.
 */
import type { types } from 'mediasoup-client';

export const PROTOCOL = 1;

export type Role = 'share' | 'view' | 'both';
export type MediaKind = types.MediaKind;

export interface ProducerInfo {
  producer_id: string;
  peer_id: string;
  kind: MediaKind;
  native: boolean;
}

export interface TransportInfo {
  transport_id: string;
  ice_parameters: types.IceParameters;
  ice_candidates: types.IceCandidate[];
  dtls_parameters: types.DtlsParameters;
}

export type CryptoSuite =
  | 'AEAD_AES_256_GCM'
  | 'AEAD_AES_128_GCM'
  | 'AES_CM_128_HMAC_SHA1_80'
  | 'AES_CM_128_HMAC_SHA1_32';

export interface SrtpKey {
  crypto_suite: CryptoSuite;
  /** Master key, then master salt, in padded base64. */
  key_base64: string;
}

export interface OfferedCodec {
  /** `video/H264`, `video/VP8`, `video/VP9` or `video/AV1`. */
  mime_type: string;
  /** H264 only: six hexadecimal digits. */
  profile_level_id?: string;
  /** H264 only: 1. Default: 1. */
  packetization_mode?: number;
}

/** What a native sender can send. */
export interface NativeSenderOffer {
  protocol: number;
  /** 1 to 16, best first. */
  codecs: OfferedCodec[];
  /** Default: false. */
  rtx?: boolean;
  /** Default: null, plain RTP. */
  srtp?: SrtpKey | null;
}

/** A place for a native sender's RTP. The types are checked; the values are for the negotiation guard to judge. */
export interface NativeSession {
  protocol: number;
  session_id: string;
  rtp_target: string;
  rtcp_mux: boolean;
  payload_type: number;
  ssrc: number;
  codec: { mime_type: string; clock_rate: number; fmtp?: Record<string, number | string> };
  rtx?: { payload_type: number; ssrc: number } | null;
  header_extensions?: { uri: string; id: number }[];
  rtcp_feedback?: { type: string; parameter?: string }[];
  cname: string;
  mid?: string | null;
  srtp?: SrtpKey | null;
  producer_id: string;
  transport_id: string;
}

/** Something that happened in a client and that whoever runs the server should see. */
export interface ClientDiagnostic {
  class: string;
  reason_code: string | null;
  encoder_backend: string | null;
  /** 0 (nothing is held back) to 3. */
  degradation_level?: number | null;
  /** Up to 8: keys of 1 to 32 characters of `a–z 0–9 _`, values of 1 to 64 printable characters. */
  versions?: Record<string, string> | null;
  /** At most 4096 bytes as JSON. */
  detail: unknown;
}

/** Somebody who receives a producer. */
export interface Watcher {
  peer_id: string;
  /** As it named itself in `join`. */
  name: string | null;
}

type Nothing = Record<string, never>;

/** Each action with the data that it takes and the data of its reply. */
export interface Actions {
  join: {
    data: { protocol: number; room: string; token: string; role: Role; name?: string };
    reply: {
      protocol: number;
      peer_id: string;
      router_rtp_capabilities: types.RtpCapabilities;
      producers: ProducerInfo[];
    };
  };
  create_transport: { data: { direction: 'send' | 'recv' }; reply: TransportInfo };
  connect_transport: { data: { transport_id: string; dtls_parameters: types.DtlsParameters }; reply: Nothing };
  produce: {
    data: { transport_id: string; kind: MediaKind; rtp_parameters: types.RtpParameters };
    reply: { producer_id: string };
  };
  consume: {
    data: { transport_id: string; producer_id: string; rtp_capabilities: types.RtpCapabilities };
    reply: { consumer_id: string; producer_id: string; kind: MediaKind; rtp_parameters: types.RtpParameters };
  };
  resume_consumer: { data: { consumer_id: string }; reply: Nothing };
  close_consumer: { data: { consumer_id: string }; reply: Nothing };
  close_producer: { data: { producer_id: string }; reply: Nothing };
  create_native_sender_session: { data: NativeSenderOffer; reply: NativeSession };
  close_native_sender_session: { data: { session_id: string }; reply: Nothing };
  client_diagnostic: { data: ClientDiagnostic; reply: Nothing };
  leave: { data: Nothing; reply: Nothing };
}

export type Action = keyof Actions;
export type Data<A extends Action> = Actions[A]['data'];
export type Reply<A extends Action> = Actions[A]['reply'];

/** The notifications that pages act on. The server may send others; they are left alone. */
export type Notification =
  | { event: 'new_producer'; data: ProducerInfo }
  | { event: 'producer_closed'; data: { producer_id: string } }
  | { event: 'consumer_closed'; data: { consumer_id: string } }
  | { event: 'peer_left'; data: { peer_id: string } }
  | { event: 'native_session_closed'; data: { session_id: string; reason: string } }
  | { event: 'watchers_changed'; data: { producer_id: string; watchers: Watcher[] } };

export type ServerMessage =
  | { type: 'reply'; id: number; data: unknown }
  | { type: 'refusal'; id: number | null; code: string; message: string }
  | { type: 'notification'; notification: Notification }
  | { type: 'unknown' };

type Fields = Record<string, unknown>;

/** Reads one message of the server; `null` if it is none. An event that is not listed here is `unknown`. */
export function parseServerMessage(text: string): ServerMessage | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isFields(message)) return null;
  if (typeof message['event'] === 'string') {
    return parseNotification(message['event'], message['data']);
  }
  const id = message['id'];
  if (message['ok'] === true && typeof id === 'number') {
    return { type: 'reply', id, data: message['data'] ?? {} };
  }
  if (message['ok'] === false && (typeof id === 'number' || id === null) && isFields(message['error'])) {
    const { code, message: words } = message['error'];
    return {
      type: 'refusal',
      id,
      code: typeof code === 'string' ? code : 'server_error',
      message: typeof words === 'string' ? words : '',
    };
  }
  return null;
}

function parseNotification(event: string, data: unknown): ServerMessage | null {
  switch (event) {
    case 'new_producer':
      return isProducerInfo(data) ? { type: 'notification', notification: { event, data } } : null;
    case 'producer_closed':
      return hasStrings(data, 'producer_id') ? { type: 'notification', notification: { event, data } } : null;
    case 'consumer_closed':
      return hasStrings(data, 'consumer_id') ? { type: 'notification', notification: { event, data } } : null;
    case 'peer_left':
      return hasStrings(data, 'peer_id') ? { type: 'notification', notification: { event, data } } : null;
    case 'native_session_closed':
      return hasStrings(data, 'session_id', 'reason') ? { type: 'notification', notification: { event, data } } : null;
    case 'watchers_changed':
      return isWatchersChanged(data) ? { type: 'notification', notification: { event, data } } : null;
    default:
      return { type: 'unknown' };
  }
}

/** Whether the data of a reply has the fields that its action promises. */
export function isReply<A extends Action>(action: A, data: unknown): data is Reply<A> {
  return isFields(data) && REPLY_CHECKS[action](data);
}

const REPLY_CHECKS: { [A in Action]: (data: Fields) => boolean } = {
  join: (data) =>
    data['protocol'] === PROTOCOL &&
    hasStrings(data, 'peer_id') &&
    isFields(data['router_rtp_capabilities']) &&
    Array.isArray(data['producers']) &&
    data['producers'].every(isProducerInfo),
  create_transport: (data) =>
    hasStrings(data, 'transport_id') &&
    isFields(data['ice_parameters']) &&
    Array.isArray(data['ice_candidates']) &&
    isFields(data['dtls_parameters']),
  connect_transport: () => true,
  produce: (data) => hasStrings(data, 'producer_id'),
  consume: (data) =>
    hasStrings(data, 'consumer_id', 'producer_id') && isKind(data['kind']) && isFields(data['rtp_parameters']),
  resume_consumer: () => true,
  close_consumer: () => true,
  close_producer: () => true,
  create_native_sender_session: isNativeSession,
  close_native_sender_session: () => true,
  client_diagnostic: () => true,
  leave: () => true,
};

function isNativeSession(data: Fields): boolean {
  const { codec, rtx, header_extensions: extensions, rtcp_feedback: feedback } = data;
  return (
    hasStrings(data, 'session_id', 'rtp_target', 'cname', 'producer_id', 'transport_id') &&
    hasNumbers(data, 'protocol', 'payload_type', 'ssrc') &&
    typeof data['rtcp_mux'] === 'boolean' &&
    hasStrings(codec, 'mime_type') &&
    hasNumbers(codec, 'clock_rate') &&
    isAbsentOr(codec['fmtp'], isFmtp) &&
    isAbsentOr(rtx, (value) => hasNumbers(value, 'payload_type', 'ssrc')) &&
    isAbsentOr(extensions, (value) => isArrayOf(value, (entry) => hasStrings(entry, 'uri') && hasNumbers(entry, 'id'))) &&
    isAbsentOr(feedback, (value) => isArrayOf(value, (entry) => hasStrings(entry, 'type'))) &&
    isAbsentOr(data['mid'], (value) => typeof value === 'string') &&
    isAbsentOr(data['srtp'], (value) => hasStrings(value, 'crypto_suite', 'key_base64'))
  );
}

function isFmtp(value: unknown): boolean {
  return isFields(value) && Object.values(value).every((entry) => typeof entry === 'number' || typeof entry === 'string');
}

function isWatchersChanged(value: unknown): value is { producer_id: string; watchers: Watcher[] } {
  return (
    hasStrings(value, 'producer_id') &&
    isArrayOf(value['watchers'], (watcher) => {
      return hasStrings(watcher, 'peer_id') && (watcher['name'] === null || typeof watcher['name'] === 'string');
    })
  );
}

function isAbsentOr(value: unknown, check: (value: unknown) => boolean): boolean {
  return value === undefined || value === null || check(value);
}

function isArrayOf(value: unknown, check: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(check);
}

function isProducerInfo(value: unknown): value is ProducerInfo {
  return hasStrings(value, 'producer_id', 'peer_id') && isKind(value['kind']) && typeof value['native'] === 'boolean';
}

function isKind(value: unknown): value is MediaKind {
  return value === 'audio' || value === 'video';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasStrings<K extends string>(value: unknown, ...names: K[]): value is Record<K, string> & Fields {
  return isFields(value) && names.every((name) => typeof value[name] === 'string');
}

function hasNumbers<K extends string>(value: unknown, ...names: K[]): value is Record<K, number> & Fields {
  return isFields(value) && names.every((name) => typeof value[name] === 'number');
}
