/** The commands of the native host, over whatever carries one command and brings its answer. */
import type { NativeSession } from 'yc-signalling';
import { bounded } from '../bounded.ts';
import { NativeError, type NativeSource, type PrepareRequest, type Prepared, type Thumbnail } from './sender.ts';
import { readPrepared, readSources, readStatus, readThumbnail, type NativeStatus } from './status.ts';

/** Carries one command; rejects with what the host answered, or with a {@link NativeError}. */
export type Carry = (command: string, data: Record<string, unknown>) => Promise<unknown>;

/** How long a command may take, in milliseconds. */
export interface NativeTimeouts {
  /** `prepare` and `start`: they wait for drivers. Default: 15000. */
  slowMs?: number;
  /** Every other. Default: 5000. */
  quickMs?: number;
}

export class NativeCommands {
  readonly #carry: Carry;
  readonly #slowMs: number;
  readonly #quickMs: number;

  constructor(carry: Carry, timeouts: NativeTimeouts = {}) {
    this.#carry = carry;
    this.#slowMs = timeouts.slowMs ?? 15_000;
    this.#quickMs = timeouts.quickMs ?? 5_000;
  }

  async sources(): Promise<NativeSource[]> {
    return readSources(await this.#run('native_capture_sources', {}, this.#quickMs));
  }

  async thumbnail(source: string, maxWidth: number, maxHeight: number): Promise<Thumbnail> {
    const data = { source, max_width: maxWidth, max_height: maxHeight };
    return readThumbnail(await this.#run('native_capture_thumbnail', data, this.#quickMs));
  }

  async prepare({ source, fps, bitrateKbps, cursor, content, srtp }: PrepareRequest): Promise<Prepared> {
    const all = { source, fps, bitrate_kbps: bitrateKbps, cursor, content, srtp };
    const data = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return readPrepared(await this.#run('native_capture_prepare', data, this.#slowMs));
  }

  async start({ session, allowPlainRtp }: { session: NativeSession; allowPlainRtp?: boolean }): Promise<void> {
    const data = { session, ...(allowPlainRtp === undefined ? {} : { allow_plain_rtp: allowPlainRtp }) };
    await this.#run('native_capture_start', data, this.#slowMs);
  }

  async stop(): Promise<void> {
    await this.#run('native_capture_stop', {}, this.#quickMs);
  }

  async status(): Promise<NativeStatus> {
    return readStatus(await this.#run('native_capture_status', {}, this.#quickMs));
  }

  async #run(command: string, data: Record<string, unknown>, timeoutMs: number): Promise<unknown> {
    const late = (): NativeError => new NativeError('native_timeout', `${command}: no answer within ${timeoutMs} ms`);
    try {
      return await bounded(this.#carry(command, data), timeoutMs, late);
    } catch (error) {
      throw asNativeError(command, error);
    }
  }
}

/** What a host rejected with, as a {@link NativeError}. */
export function asNativeError(command: string, error: unknown): NativeError {
  if (error instanceof NativeError) return error;
  const { code, message } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown; message?: unknown };
  const words = typeof message === 'string' && message !== '' ? message : typeof error === 'string' ? error : `${command} failed`;
  return new NativeError(typeof code === 'string' ? code : 'internal_error', words);
}
