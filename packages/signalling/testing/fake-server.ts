/** The server's end of a WebSocket, in memory: it keeps what was asked and answers as docs/signalling.md says. */
import { fakeParameters } from './fake-parameters.ts';
import type { Socket } from '../src/signal.ts';

interface Request {
  id: number;
  action: string;
  data: Record<string, unknown>;
}

export type Answer = Record<string, unknown> | { refuse: string; message?: string } | 'silence';

export class FakeServer {
  /** Every request that has come, on whichever connection. */
  readonly requests: Request[] = [];
  readonly connections: FakeSocket[] = [];
  /** What is shared when somebody joins. */
  producers: { producer_id: string; peer_id: string; kind: 'audio' | 'video'; native: boolean }[] = [];
  /** No connection opens while this is set. */
  down = false;
  /** Answers of a test, instead of the usual ones. */
  answers: Partial<Record<string, (data: Record<string, unknown>) => Answer>> = {};

  readonly openSocket = (): Socket => {
    const socket = new FakeSocket(this);
    this.connections.push(socket);
    return socket;
  };

  get actions(): string[] {
    return this.requests.map(({ action }) => action);
  }

  /** The newest connection. */
  get connection(): FakeSocket {
    return this.connections.at(-1)!;
  }

  answer({ action, data }: Request): Answer {
    const own = this.answers[action];
    if (own) return own(data);
    switch (action) {
      case 'join':
        return {
          protocol: 1,
          peer_id: 'me',
          router_rtp_capabilities: fakeParameters.generateRouterRtpCapabilities(),
          producers: this.producers,
        };
      case 'create_transport': {
        const { id, iceParameters, iceCandidates, dtlsParameters } = fakeParameters.generateTransportRemoteParameters();
        return { transport_id: id, ice_parameters: iceParameters, ice_candidates: iceCandidates, dtls_parameters: dtlsParameters };
      }
      case 'consume': {
        const made = fakeParameters.generateConsumerRemoteParameters({ codecMimeType: 'video/VP8' });
        return {
          consumer_id: `consumer-of-${String(data['producer_id'])}`,
          producer_id: data['producer_id'],
          kind: 'video',
          rtp_parameters: made.rtpParameters,
        };
      }
      case 'produce':
        return { producer_id: 'mine' };
      case 'create_native_sender_session':
        return nativeSession(data);
      default:
        return {};
    }
  }
}

export class FakeSocket implements Socket {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readonly #server: FakeServer;
  closedBy: 'client' | 'server' | null = null;

  constructor(server: FakeServer) {
    this.#server = server;
    queueMicrotask(() => {
      if (server.down) this.drop(1006);
      else this.onopen?.(new Event('open'));
    });
  }

  send(text: string): void {
    const request = JSON.parse(text) as Request;
    this.#server.requests.push(request);
    const answer = this.#server.answer(request);
    if (answer === 'silence') return;
    queueMicrotask(() => {
      if (typeof answer['refuse'] === 'string') {
        this.say({ id: request.id, ok: false, error: { code: answer['refuse'], message: answer['message'] ?? '' } });
      } else {
        this.say({ id: request.id, ok: true, data: answer });
      }
    });
  }

  /** Sends a message of the server; a string as it is. */
  say(message: unknown): void {
    if (this.closedBy) return;
    const data = typeof message === 'string' ? message : JSON.stringify(message);
    this.onmessage?.({ data } as MessageEvent);
  }

  close(): void {
    this.closedBy ??= 'client';
  }

  /** Closes from the server's side. */
  drop(code = 1006): void {
    if (this.closedBy) return;
    this.closedBy = 'server';
    this.onclose?.({ code, reason: '' } as CloseEvent);
  }
}

/** A session as yc-server answers: the offer's first codec, to this machine. */
export function nativeSession(offer: Record<string, unknown>, id = 'native'): Record<string, unknown> {
  const [codec] = offer['codecs'] as { mime_type: string; profile_level_id?: string }[];
  const h264 = { 'level-asymmetry-allowed': 1, 'packetization-mode': 1, 'profile-level-id': codec?.profile_level_id };
  return {
    protocol: 1,
    session_id: `session-${id}`,
    rtp_target: '127.0.0.1:40123',
    rtcp_mux: true,
    payload_type: 96,
    ssrc: 2_882_400_001,
    codec: { mime_type: codec?.mime_type, clock_rate: 90_000, fmtp: codec?.profile_level_id ? h264 : {} },
    rtx: offer['rtx'] === true ? { payload_type: 97, ssrc: 2_882_400_002 } : null,
    header_extensions: [{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1 }],
    rtcp_feedback: [{ type: 'nack', parameter: '' }, { type: 'nack', parameter: 'pli' }],
    cname: `yc-${id}`,
    mid: '0',
    srtp: offer['srtp'] ?? null,
    producer_id: `producer-${id}`,
    transport_id: `transport-${id}`,
  };
}
