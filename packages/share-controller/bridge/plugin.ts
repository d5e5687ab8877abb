/**
 * A Vite plugin that lets a page of the development server use the native host of this machine: `yc-share --control`
 * behind a WebSocket. For development alone: it is no part of a build, and only pages of this server, on this machine,
 * with the token of this run, get through.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, Server } from 'node:http';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Plugin } from 'vite';
import { WebSocketServer } from 'ws';
import { MAX_LINE, connect, type HostCommand } from './connection.ts';

export interface NativeBridgeOptions {
  /** Default: the environment's `YC_SHARE`; else `yc-share` of `target/release` or `target/debug` in the project or above it; else that of `PATH`. */
  program?: string;
  /** Put before `--control`. Default: none. */
  arguments?: string[];
  /** Whether a page may ask for injected faults by `fault=SCRIPT` in the address. Default: false. */
  allowFaults?: boolean;
}

const PATH = '/native-bridge';
const META = 'yc-native-bridge';

export function nativeBridge(options: NativeBridgeOptions = {}): Plugin {
  const token = randomBytes(24).toString('base64url');
  const address = `${PATH}?token=${token}`;
  let root = process.cwd();
  let outDir = 'dist';
  let log: (line: string) => void = () => {};
  let serving = false;

  const serve = (server: Server): void => {
    const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_LINE });
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
      const url = new URL(request.url ?? '', 'http://localhost');
      if (url.pathname !== PATH) return;
      const refusal = refuse(request, url, token, options);
      if (refusal !== null) {
        log(`a connection was refused: ${refusal}`);
        stream.end(`HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${refusal}\n`);
        return;
      }
      const fault = url.searchParams.get('fault');
      const host: HostCommand = {
        program: options.program ?? findProgram(root),
        arguments: [...(options.arguments ?? []), '--control', ...(fault === null ? [] : ['--fault', fault])],
      };
      sockets.handleUpgrade(request, stream, head, (socket) => connect(socket, host, { log }));
    });
    server.on('close', () => {
      for (const socket of sockets.clients) socket.terminate();
    });
  };

  return {
    name: 'yc-native-bridge',
    configResolved(config) {
      root = config.root;
      outDir = join(config.root, config.build.outDir);
      serving = config.command === 'serve';
      log = (line) => config.logger.info(`[yc-native-bridge] ${line}`);
    },
    configureServer({ httpServer }) {
      if (httpServer) serve(httpServer as Server);
    },
    configurePreviewServer({ httpServer, middlewares }) {
      serve(httpServer as Server);
      // A built page is served as it is; the address is put into what leaves the server, not into the build.
      middlewares.use((request, response, next) => {
        const { pathname } = new URL(request.url ?? '/', 'http://localhost');
        const name = pathname.endsWith('/') ? 'index.html' : /^\/[\w-]+\.html$/.test(pathname) ? pathname.slice(1) : null;
        if (name === null) return next();
        readFile(join(outDir, name), 'utf8').then(
          (page) => {
            response.setHeader('Content-Type', 'text/html');
            response.setHeader('Cache-Control', 'no-store');
            response.end(page.replace(/<head[^>]*>/i, (head) => `${head}<meta name="${META}" content="${address}">`));
          },
          () => next(),
        );
      });
    },
    transformIndexHtml: () =>
      serving ? [{ tag: 'meta', attrs: { name: META, content: address }, injectTo: 'head-prepend' as const }] : [],
  };
}

/** Why a connection is refused; null if it may be. */
function refuse(request: IncomingMessage, url: URL, token: string, { allowFaults = false }: NativeBridgeOptions): string | null {
  const { remoteAddress = '', localPort } = request.socket;
  if (!isLoopback(remoteAddress)) return `${remoteAddress} is not this machine`;
  const { origin } = request.headers;
  if (!isOwnOrigin(origin, localPort)) return `origin ${origin} is not this server's own`;
  const given = Buffer.from(url.searchParams.get('token') ?? '');
  const wanted = Buffer.from(token);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'the token is not that of this run';
  if (url.searchParams.has('fault') && !allowFaults) return 'faults are not allowed: see allowFaults';
  return null;
}

export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}

/** A page of this server as this machine calls it. Another name for it may be somebody else's. */
export function isOwnOrigin(origin: string | undefined, port: number | undefined): boolean {
  if (origin === undefined || !URL.canParse(origin)) return false;
  const url = new URL(origin);
  const own = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const name = url.hostname;
  return own === port && (name === 'localhost' || name === '[::1]' || isLoopback(name));
}

export function findProgram(root: string, environment: Record<string, string | undefined> = process.env): string {
  const given = environment['YC_SHARE'];
  if (given) return given;
  const name = process.platform === 'win32' ? 'yc-share.exe' : 'yc-share';
  for (let folder = root; ; folder = dirname(folder)) {
    for (const profile of ['release', 'debug']) {
      const program = join(folder, 'target', profile, name);
      if (existsSync(program)) return program;
    }
    if (dirname(folder) === folder) return name;
  }
}
