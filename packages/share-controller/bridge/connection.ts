/** One page's native host: a process of its own, its lines as text messages. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { WebSocket } from 'ws';

export interface HostCommand {
  program: string;
  arguments: readonly string[];
}

export interface ConnectionOptions {
  /** Where the host's own words go. Default: nowhere. */
  log?: (line: string) => void;
  /** How long the host may take to end after its input has, in milliseconds. Default: 2000. */
  endMs?: number;
}

/** The longest line, in bytes: 1 MiB. */
export const MAX_LINE = 1_048_576;

/**
 * Starts the host and joins it to the socket. When the socket closes, the host's input is closed, and the host is killed
 * if that does not end it; when the host ends, the socket is closed. Returns the host.
 */
export function connect(socket: WebSocket, { program, arguments: args }: HostCommand, options: ConnectionOptions = {}): ChildProcess {
  const { log = () => {}, endMs = 2_000 } = options;
  const host = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
  let killing: ReturnType<typeof setTimeout> | undefined;

  const close = (code: number, reason: string): void => {
    // A WebSocket takes at most 123 bytes of reason.
    socket.close(code, Buffer.from(reason).subarray(0, 120).toString());
  };
  host.on('error', (error) => close(1011, `${program} did not start: ${error.message}`));
  host.on('exit', (code, signal) => {
    clearTimeout(killing);
    close(1011, `the native host ended: ${signal ?? `exit code ${code}`}`);
  });
  host.stdin.on('error', () => {});
  host.stdout.on('data', lines((line) => socket.send(line), () => {
    close(1009, `the native host wrote a line of over ${MAX_LINE} bytes`);
    host.kill('SIGKILL');
  }));
  host.stderr.on('data', lines(log, () => {}));

  socket.on('message', (data, isBinary) => {
    const text = isBinary ? null : String(data);
    if (text === null || /[\r\n]/.test(text)) close(1008, 'a message is one line of text');
    else if (host.stdin.writable) host.stdin.write(`${text}\n`);
  });
  // It is followed by a close.
  socket.on('error', (error) => log(`the socket of the page failed: ${error.message}`));
  socket.on('close', () => {
    host.stdin.end();
    if (host.exitCode === null && host.signalCode === null && host.pid !== undefined) {
      killing = setTimeout(() => host.kill('SIGKILL'), endMs);
    }
  });
  return host;
}

/** Cuts chunks of bytes into lines; an empty one is left out. */
export function lines(onLine: (line: string) => void, onTooLong: () => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;
  let broken = false;
  return (chunk) => {
    for (let rest = chunk; !broken; ) {
      const end = rest.indexOf(0x0a);
      const part = end < 0 ? rest : rest.subarray(0, end);
      held += part.length;
      if (held > MAX_LINE) {
        broken = true;
        onTooLong();
        return;
      }
      parts.push(part);
      if (end < 0) return;
      const line = Buffer.concat(parts).toString().replace(/\r$/, '');
      parts = [];
      held = 0;
      if (line !== '') onLine(line);
      rest = rest.subarray(end + 1);
    }
  };
}
