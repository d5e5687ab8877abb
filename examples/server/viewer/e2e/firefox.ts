/** Drives Firefox over WebDriver BiDi, which it speaks by itself: no driver program is needed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Harness, within } from './harness.ts';

/** Nothing of Firefox calls home in a check. */
const PREFERENCES: Record<string, boolean | number | string> = {
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.telemetry.enabled': false,
};

type Json = Record<string, unknown>;

export class Firefox {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Json) => void>();
  /** Messages of the page's console, and its errors. */
  readonly complaints: string[] = [];
  #context = '';
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = (event) => {
      const message = JSON.parse(String(event.data)) as Json;
      if (typeof message['id'] === 'number') this.#waiting.get(message['id'])?.(message);
      else if (message['method'] === 'log.entryAdded') this.#note(message['params'] as Json);
    };
  }

  /** Starts Firefox (FIREFOX, or firefox-esr) without a window. */
  static async start(harness: Harness): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), 'yc-firefox-'));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    writeFileSync(join(profile, 'user.js'), lines.join('\n'));
    const program = process.env['FIREFOX'] ?? 'firefox-esr';
    const child = spawn(program, ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'], {
      env: { ...harness.environment, HOME: profile },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    harness.defer(async () => {
      child.kill('SIGKILL');
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    });
    const address = new Promise<string>((done, failed) => {
      child.once('error', failed);
      createInterface({ input: child.stderr! }).on('line', (line) => {
        const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
        if (found) done(found);
      });
    });
    const socket = new WebSocket(`${await within(30_000, 'Firefox', address)}/session`);
    await within(10_000, 'the BiDi session', new Promise((done) => (socket.onopen = done)));
    harness.defer(() => socket.close());
    const firefox = new Firefox(socket);
    await firefox.#command('session.new', { capabilities: {} });
    await firefox.#command('session.subscribe', { events: ['log.entryAdded'] });
    const { contexts } = (await firefox.#command('browsingContext.getTree', {})) as { contexts: { context: string }[] };
    firefox.#context = contexts[0]!.context;
    return firefox;
  }

  async open(url: string, width: number, height: number): Promise<void> {
    const context = this.#context;
    await this.#command('browsingContext.setViewport', { context, viewport: { width, height } });
    await this.#command('browsingContext.navigate', { context, url, wait: 'complete' });
  }

  /** The value of a JavaScript expression, or of the promise that it is, in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.#command('script.evaluate', {
      expression: `(async () => JSON.stringify(await (${expression})))()`,
      target: { context: this.#context },
      awaitPromise: true,
    });
    if (answer['type'] !== 'success') throw new Error(`${expression}: ${JSON.stringify(answer['exceptionDetails'])}`);
    const { value } = answer['result'] as { value?: string };
    return (value === undefined ? undefined : JSON.parse(value)) as T;
  }

  async screenshot(path: string): Promise<void> {
    const { data } = await this.#command('browsingContext.captureScreenshot', { context: this.#context });
    writeFileSync(path, Buffer.from(String(data), 'base64'));
  }

  async #command(method: string, params: Json): Promise<Json> {
    const id = this.#nextId++;
    const reply = new Promise<Json>((done) => this.#waiting.set(id, done));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const message = await within(20_000, method, reply);
    this.#waiting.delete(id);
    if (message['type'] !== 'success') throw new Error(`${method}: ${String(message['error'])}: ${String(message['message'])}`);
    return message['result'] as Json;
  }

  #note(entry: Json): void {
    if (entry['level'] === 'error' || entry['level'] === 'warn') this.complaints.push(String(entry['text']));
  }
}
