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

type Nothing = Record<string, never>;

/** Each action with the data that it takes and the data of its reply. */
export interface Actions {
  join: {
    data: { protocol: number; room: string; token: string; role: Role };
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
  client_diagnostic: {
    data: { class: string; reason_code: string | null; encoder_backend: null; detail: unknown };
    reply: Nothing;
  };
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
  | { event: 'peer_left'; data: { peer_id: string } };

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
  client_diagnostic: () => true,
  leave: () => true,
};

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
