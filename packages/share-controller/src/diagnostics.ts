/** Tells the server what happened to a native share. No titles and no names of sources; a refusal disturbs nothing. */
import type { ClientDiagnostic } from 'yc-signalling';
import type { RoomSession } from './session.ts';

export interface Facts {
  encoderBackend: string | null;
  degradationLevel: number | null;
  versions: Record<string, string>;
}

export class Diagnostics {
  /** Told of each one, whether the server can be told or not. */
  onDiagnostic: (diagnostic: ClientDiagnostic) => void = () => {};
  readonly #waiting: ClientDiagnostic[] = [];
  #session: RoomSession | null = null;

  /** What happened while the room was away is told now. */
  attach(session: RoomSession | null): void {
    this.#session = session;
    if (session === null) return;
    for (const diagnostic of this.#waiting.splice(0)) this.#send(session, diagnostic);
  }

  report(name: string, reason: string | null, facts: Facts, detail: Record<string, unknown>): void {
    const diagnostic: ClientDiagnostic = {
      class: name,
      reason_code: reason === null ? null : asCode(reason),
      encoder_backend: facts.encoderBackend?.slice(0, MAX_BACKEND) ?? null,
      degradation_level: facts.degradationLevel,
      versions: asVersions(facts.versions),
      detail,
    };
    try {
      this.onDiagnostic(diagnostic);
    } catch (error) {
      console.error('share controller: onDiagnostic threw:', error);
    }
    if (this.#session?.signal.open) this.#send(this.#session, diagnostic);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(diagnostic);
  }

  #send({ signal }: RoomSession, diagnostic: ClientDiagnostic): void {
    signal.request('client_diagnostic', diagnostic).catch(() => {});
  }
}

/** A reason as the server takes it: 1 to 64 characters of `a–z 0–9 _`. */
export function asCode(reason: string): string {
  return reason.toLowerCase().replace(/[^a-z0-9_]+/g, '_').slice(0, 64) || 'unknown';
}

function asVersions(versions: Record<string, string>): Record<string, string> {
  const good = Object.entries(versions).filter(([name, version]) => /^[a-z0-9_]{1,32}$/.test(name) && /^[ -~]{1,64}$/.test(version));
  return Object.fromEntries(good.slice(0, 8));
}

const MAX_WAITING = 16;
const MAX_BACKEND = 64;
