/** A stage for the controller: a server in memory that counts what is open, and a native sender of the test's own making. */
import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { Signal } from 'yc-signalling';
import { FakeServer, fakeDevice, fakeParameters, nativeSession, type Answer } from 'yc-signalling/testing';
import { NativeError, type NativeSender, type PrepareRequest, type Prepared } from '../src/native/sender.ts';
import type { NativeStatus, SenderEvent, SenderStatus } from '../src/native/status.ts';
import type { RoomSession } from '../src/session.ts';

export const KEY = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2Vjcg==';
export const OFFER = {
  protocol: 1,
  codecs: [{ mime_type: 'video/H264', profile_level_id: '42c028', packetization_mode: 1 }],
  rtx: false,
  srtp: { crypto_suite: 'AEAD_AES_128_GCM', key_base64: KEY },
};

/** Keeps the producers that are open at the server, and the most that were open at once. */
export class CountingServer extends FakeServer {
  readonly open = new Set<string>();
  mostOpen = 0;
  #made = 0;

  override answer(request: { id: number; action: string; data: Record<string, unknown> }): Answer {
    const own = this.answers[request.action]?.(request.data);
    if (own === 'silence' || (own !== undefined && 'refuse' in own)) return own;
    const { action, data } = request;
    const answer = own ?? this.#usual(action, data, request);
    if (action === 'produce') this.#opened(String((answer as { producer_id: string }).producer_id));
    if (action === 'create_native_sender_session') this.#opened(String((answer as { session_id: string }).session_id));
    if (action === 'close_producer') this.open.delete(String(data['producer_id']));
    if (action === 'close_native_sender_session') this.open.delete(String(data['session_id']));
    return answer;
  }

  diagnostics(): string[] {
    const all = this.requests.filter(({ action }) => action === 'client_diagnostic');
    return all.map(({ data }) => `${String(data['class'])} ${String(data['reason_code'])}`);
  }

  #usual(action: string, data: Record<string, unknown>, request: { id: number; action: string; data: Record<string, unknown> }): Answer {
    if (action === 'produce') return { producer_id: `web-${++this.#made}` };
    if (action === 'create_native_sender_session') return nativeSession(data, `${++this.#made}`);
    return super.answer(request);
  }

  #opened(id: string): void {
    this.open.add(id);
    this.mostOpen = Math.max(this.mostOpen, this.open.size);
  }
}

export async function session(server: FakeServer): Promise<RoomSession> {
  const signal = await Signal.open('ws://server/ws', { openSocket: server.openSocket });
  const device = await fakeDevice();
  await device.load({ routerRtpCapabilities: fakeParameters.generateRouterRtpCapabilities() });
  return { signal, device: () => Promise.resolve(device), peerId: 'me' };
}

/** The connection goes, and everything of its peer with it. */
export function lose(server: CountingServer): void {
  server.open.clear();
  server.connection.drop();
}

type Command = 'prepare' | 'start' | 'stop' | 'status';

/** A native sender whose answers a test decides. */
export class ScriptedNative implements NativeSender {
  readonly kind = 'scripted';
  readonly calls: Command[] = [];
  /** What a command does before it answers: fail by throwing, or take its time. */
  before: Partial<Record<Command, () => Promise<void> | void>> = {};
  status_: NativeStatus = running();
  readonly listeners = new Set<(event: SenderEvent) => void>();
  active = false;
  disposed = false;

  sources(): Promise<never[]> {
    return Promise.resolve([]);
  }

  thumbnail(): Promise<never> {
    return Promise.reject(new NativeError('source_not_found', 'there is none'));
  }

  async prepare(_request: PrepareRequest): Promise<Prepared> {
    await this.#call('prepare');
    return { captureBackend: 'x11', encoderBackend: 'openh264', offer: structuredClone(OFFER) as Prepared['offer'] };
  }

  async start(): Promise<void> {
    this.active = true;
    await this.#call('start');
  }

  async stop(): Promise<void> {
    this.active = false;
    await this.#call('stop');
  }

  async status(): Promise<NativeStatus> {
    await this.#call('status');
    return structuredClone(this.status_);
  }

  subscribe(listener: (event: SenderEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }

  tell(event: SenderEvent): void {
    for (const listener of [...this.listeners]) listener(event);
  }

  stopped(reason: string, failure: boolean): void {
    this.tell({ event: 'sender_stopped', reason, detail: `because of ${reason}`, failure });
  }

  async #call(command: Command): Promise<void> {
    this.calls.push(command);
    await this.before[command]?.();
  }
}

export function fail(code: string): () => never {
  return () => {
    throw new NativeError(code, `${code} in words about "Secret window"`);
  };
}

export function never(): Promise<never> {
  return new Promise(() => {});
}

export function senderStatus(change: Partial<SenderStatus> = {}): SenderStatus {
  const latency = { count: 10, p50_ms: 8, p95_ms: 12, p99_ms: 14, max_ms: 20 };
  return {
    state: 'running',
    stop_reason: null,
    uptime_ms: 1_000,
    capture_backend: 'x11',
    encoder_backend: 'openh264',
    limited_by: 'none',
    degradation: { level: 0, cause: null },
    fallback: { step: null, reason: null },
    lifecycle: { encoder_restarts: 0, encoder_switches: 0, capture_restarts: 0, capture_switches: 0, stages_hung: 0 },
    transport_state: 'connected',
    producer_state: 'unknown',
    frames_captured: 100,
    frames_sent: 100,
    fps: 30,
    bitrate_kbps: 2_500,
    latency: { queue: latency, convert: latency, encode: latency, packetize: latency, send: latency, total: latency },
    dropped: {},
    ...change,
  };
}

export function running(change: Partial<SenderStatus> = {}): NativeStatus {
  return { phase: 'running', native_sender: senderStatus(change), versions: { yc_host: '0.1.0' } };
}

/** What the browser captures, and how it answers. */
export class Screen {
  asked = 0;
  tracks: FakeMediaStreamTrack[] = [];
  /** What happens before there is a track: throw to refuse. */
  before: () => Promise<void> | void = () => {};

  readonly capture = async (): Promise<MediaStreamTrack> => {
    this.asked += 1;
    await this.before();
    const track = new FakeMediaStreamTrack({ kind: 'video' });
    this.tracks.push(track);
    return track as unknown as MediaStreamTrack;
  };

  get live(): number {
    return this.tracks.filter(({ readyState }) => readyState === 'live').length;
  }
}

export function refusal(name: string): () => never {
  return () => {
    throw new DOMException('no', name);
  };
}
