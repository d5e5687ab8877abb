/** What the browser checks share: a server, a display, tokens, and browsers; all ended by {@link Harness.end}. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Browser, chromium } from 'playwright-core';

const viewer = resolve(import.meta.dirname, '..');
const repository = resolve(viewer, '../../..');

export interface Server {
  /** For example `http://127.0.0.1:4000`. */
  origin: string;
  /** Ends it without a goodbye. */
  kill: () => Promise<void>;
  token: (room: string, role: 'share' | 'view' | 'both') => Promise<string>;
  /** The address of the page, with room and token. */
  page: (room: string, role: 'share' | 'view' | 'both') => Promise<string>;
}

export class Harness {
  /** Where screenshots go: YC_E2E_SCREENSHOTS, or a folder for temporary files. */
  readonly screenshots = process.env['YC_E2E_SCREENSHOTS'] ?? join(tmpdir(), 'yc-viewer-e2e');
  readonly environment: Record<string, string> = {};
  readonly #key = randomBytes(32).toString('hex');
  readonly #ends: (() => unknown)[] = [];

  constructor() {
    for (const [name, value] of Object.entries(process.env)) if (value !== undefined) this.environment[name] = value;
    mkdirSync(this.screenshots, { recursive: true });
  }

  /** To be done at the end. */
  defer(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** Ends what was started, the newest first. */
  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        console.warn('at the end:', error);
      }
    }
  }

  screenshot(name: string): string {
    return join(this.screenshots, `${name}.png`);
  }

  /** Starts `yc-server` (YC_SERVER_BIN, or what cargo built) on that address, with those further arguments. */
  async server(listen = '127.0.0.1:0', ...more: string[]): Promise<Server> {
    const name = process.platform === 'win32' ? 'yc-server.exe' : 'yc-server';
    const target = process.env['CARGO_TARGET_DIR'] ?? join(repository, 'target');
    const built = ['release', 'debug'].map((profile) => join(target, profile, name));
    const binary = process.env['YC_SERVER_BIN'] ?? built.find((path) => existsSync(path));
    if (binary === undefined) throw new Error(`no yc-server: set YC_SERVER_BIN, or build ${built.join(' or ')}`);
    const dist = join(viewer, 'dist');
    if (!existsSync(join(dist, 'index.html'))) throw new Error(`no page in ${dist}: npm run build`);

    const child = spawn(binary, ['--listen', listen, '--viewer-dir', dist, '--workers', '1', '--json', ...more], {
      env: { ...this.environment, YC_SERVER_TOKEN_KEY: this.#key },
      stdio: ['ignore', 'pipe', process.env['YC_E2E_VERBOSE'] ? 'inherit' : 'ignore'],
    });
    const gone = new Promise<null>((done, failed) => child.once('error', failed).once('exit', () => done(null)));
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await gone;
    };
    this.defer(kill);
    const line = await within(15_000, 'the ready line of yc-server', Promise.race([firstLine(child.stdout!), gone]));
    if (line === null) throw new Error(`yc-server ended before it was ready, with exit code ${child.exitCode}`);
    const { http } = JSON.parse(line) as { http: string };
    return this.#server(http, kill);
  }

  /**
   * Has servers take media on this computer's address in its network. Firefox does not look for a way to 127.0.0.1
   * from a page that has no camera or microphone.
   */
  useNetworkAddress(): void {
    const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const found = own.find(({ family, internal }) => family === 'IPv4' && !internal);
    if (!found) throw new Error('this computer has no IPv4 address but 127.0.0.1');
    this.environment['NATIVE_RTP_LISTEN_IP'] = found.address;
  }

  /** Starts a screen of 1280 × 720 that browsers with a window use; needs Xvfb. */
  async display(): Promise<void> {
    const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x720x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    this.defer(() => child.kill());
    const broken = new Promise<never>((_done, failed) => child.once('error', failed));
    const number = Promise.race([firstLine(child.stdio[3] as Readable), broken]);
    this.environment['DISPLAY'] = `:${await within(10_000, 'the number of the Xvfb display', number)}`;
  }

  /** Starts Chromium (CHROMIUM, or /usr/bin/chromium); with a window, it captures the whole screen without asking. */
  async chromium({ window = false } = {}): Promise<Browser> {
    const capturing = ['--auto-select-desktop-capture-source=Entire screen', '--window-size=1280,720', '--window-position=0,0'];
    const browser = await chromium.launch({
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      headless: !window,
      env: this.environment,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        ...(window ? capturing : []),
      ],
    });
    this.defer(() => browser.close());
    return browser;
  }

  #server(origin: string, kill: Server['kill']): Server {
    const token: Server['token'] = async (room, role) => {
      const reply = await fetch(`${origin}/api/rooms/${room}/tokens`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ role, ttl_seconds: 600 }),
      });
      if (!reply.ok) throw new Error(`no token: ${reply.status} ${await reply.text()}`);
      return ((await reply.json()) as { token: string }).token;
    };
    const page: Server['page'] = async (room, role) =>
      `${origin}/?${new URLSearchParams({ room, token: await token(room, role) })}`;
    return { origin, kill, token, page };
  }
}

/** Fails if the promise takes longer. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_done, failed) => {
    timer = setTimeout(() => failed(new Error(`${what}: nothing within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again and again until there is an answer that counts as true. */
export async function until<T>(what: string, ask: () => Promise<T>, milliseconds = 15_000): Promise<NonNullable<T>> {
  const end = Date.now() + milliseconds;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not within ${milliseconds} ms`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

function firstLine(stream: Readable): Promise<string> {
  return new Promise((done) => createInterface({ input: stream }).once('line', done));
}
