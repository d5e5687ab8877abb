import { once } from 'node:events';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { build, createServer, preview, type InlineConfig } from 'vite';
import { WebSocket } from 'ws';
import type { Socket } from 'yc-signalling';
import { lines, MAX_LINE } from '../bridge/connection.ts';
import { findProgram, isLoopback, isOwnOrigin, nativeBridge, type NativeBridgeOptions } from '../bridge/plugin.ts';
import { BridgeNativeSender } from '../src/native/bridge.ts';
import type { SenderEvent } from '../src/native/status.ts';

const FAKE = fileURLToPath(new URL('fake-yc-share.mjs', import.meta.url));
const PAGE = '<!doctype html><html><head><title>t</title></head><body></body></html>';

let root: string;
let logged: string[];
let endings: (() => Promise<unknown>)[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'yc-bridge-'));
  writeFileSync(join(root, 'index.html'), PAGE);
  logged = [];
  endings = [];
});
afterEach(async () => {
  for (const end of endings.reverse()) await end();
  rmSync(root, { recursive: true });
});

function config(options: NativeBridgeOptions): InlineConfig {
  const customLogger = {
    info: (line: string) => void logged.push(line),
    warn: () => {},
    warnOnce: () => {},
    error: () => {},
    clearScreen: () => {},
    hasErrorLogged: () => false,
    hasWarned: false,
  };
  return {
    configFile: false,
    root,
    customLogger,
    plugins: [nativeBridge({ program: process.execPath, arguments: [FAKE], ...options })],
    server: { host: '127.0.0.1', port: 0, hmr: false, ws: false as never },
    build: { reportCompressedSize: false },
    preview: { host: '127.0.0.1', port: 0 },
  };
}

async function listening(options: NativeBridgeOptions = {}): Promise<{ origin: string; address: string }> {
  const server = await createServer(config(options));
  await server.listen();
  endings.push(() => server.close());
  return read(`http://127.0.0.1:${(server.httpServer!.address() as AddressInfo).port}`);
}

async function read(origin: string): Promise<{ origin: string; address: string }> {
  const page = await (await fetch(`${origin}/`)).text();
  const content = /<meta name="yc-native-bridge" content="([^"]+)">/.exec(page)?.[1];
  expect(content).toMatch(/^\/native-bridge\?token=[\w-]{32}$/);
  return { origin, address: `${origin.replace('http', 'ws')}${content}` };
}

function native(address: string, origin: string): BridgeNativeSender {
  const openSocket = (url: string): Socket => new WebSocket(url, { origin }) as unknown as Socket;
  const sender = new BridgeNativeSender(address, { openSocket });
  endings.push(() => sender.dispose());
  return sender;
}

async function refusal(address: string, origin?: string): Promise<number> {
  const socket = new WebSocket(address, origin === undefined ? {} : { origin });
  const [error] = (await once(socket, 'error')) as [Error];
  return Number(/\d+$/.exec(error.message)?.[0]);
}

const pidOfHost = async (at = 0): Promise<number> => {
  const pids = (): string[] => logged.filter((line) => / pid \d+$/.test(line));
  await expect.poll(() => pids().length).toBeGreaterThan(at);
  return Number(/\d+$/.exec(pids()[at]!)![0]);
};

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the bridge of the development server', () => {
  test('carries commands, failures and events of a host of its own', async () => {
    const { address, origin } = await listening();
    const sender = native(address, origin);
    const heard: SenderEvent[] = [];
    sender.subscribe((event) => heard.push(event));
    const [source] = await sender.sources();
    expect(source).toMatchObject({ id: 'test:0', title: 'Grüße', width: 640 });
    await expect(sender.thumbnail('test:0', 1_000_000, 1)).resolves.toMatchObject({ width: 1, url: expect.stringMatching(/^data:image\/png;base64,A{1000000}$/) });
    await expect(sender.start({ session: {} as never })).rejects.toMatchObject({ code: 'not_prepared', message: 'prepare first' });
    await expect.poll(() => heard).toEqual([{ event: 'source_paused' }]);
  });

  test('tells when the host dies, and starts another for the next command', async () => {
    const { address, origin } = await listening();
    const sender = native(address, origin);
    const heard: SenderEvent[] = [];
    sender.subscribe((event) => heard.push(event));
    await expect(sender.prepare({ source: 'test:0' })).rejects.toMatchObject({ code: 'native_host_lost' });
    expect(heard).toEqual([expect.objectContaining({ event: 'sender_stopped', reason: 'native_host_lost', failure: true })]);
    await expect(sender.sources()).resolves.toHaveLength(1);
    expect(await pidOfHost(1)).not.toBe(await pidOfHost(0));
  });

  test('ends the host when the page goes', async () => {
    const { address, origin } = await listening();
    const sender = native(address, origin);
    await sender.sources();
    const pid = await pidOfHost();
    expect(lives(pid)).toBe(true);
    await sender.dispose();
    await expect.poll(() => lives(pid)).toBe(false);
  });

  test('kills a host that does not end with its input, after 2 s', async () => {
    const { address, origin } = await listening({ arguments: [FAKE, '--stubborn'] });
    const sender = native(address, origin);
    await sender.sources();
    const pid = await pidOfHost();
    const before = performance.now();
    await sender.dispose();
    await expect.poll(() => lives(pid), { timeout: 4_000 }).toBe(false);
    expect(performance.now() - before).toBeGreaterThan(1_900);
  });

  test('says where there is no such program', async () => {
    const { address, origin } = await listening({ program: '/nowhere/yc-share' });
    const socket = new WebSocket(address, { origin });
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
    expect(code).toBe(1011);
    expect(String(reason)).toContain('/nowhere/yc-share did not start');
  });

  test('lets nobody in without the token, from another origin, or with a fault that is not allowed', async () => {
    const { address, origin } = await listening();
    expect(await refusal(address.replace(/token=.*/, 'token=x'), origin)).toBe(403);
    expect(await refusal(address.replace(/\?.*/, ''), origin)).toBe(403);
    expect(await refusal(address)).toBe(403);
    expect(await refusal(address, 'http://evil.example')).toBe(403);
    expect(await refusal(`${address}&fault=x`, origin)).toBe(403);
    expect(logged.filter((line) => line.includes('refused'))).toHaveLength(5);
  });

  test('hands faults on where they are allowed', async () => {
    const { address, origin } = await listening({ allowFaults: true });
    const socket = new WebSocket(`${address}&fault=${encodeURIComponent('encode hang@3s')}`, { origin });
    endings.push(async () => socket.close());
    const [line] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(String(line))).toMatchObject({ event: 'host_ready', arguments: ['--control', '--fault', 'encode hang@3s'] });
  });

  test('takes one line of text a message', async () => {
    const { address, origin } = await listening();
    const socket = new WebSocket(address, { origin });
    await once(socket, 'open');
    socket.send('{"id":1}\n{"id":2}');
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1008);
  });

  test('serves previews of a build, and is in no build', async () => {
    const options = config({});
    await build(options);
    const server = await preview(options);
    endings.push(() => server.close());
    const { address, origin } = await read(`http://127.0.0.1:${(server.httpServer.address() as AddressInfo).port}`);
    await expect(native(address, origin).sources()).resolves.toHaveLength(1);
    expect(readFileSync(join(root, 'dist/index.html'), 'utf8')).not.toContain('yc-native-bridge');
  });
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['192.0.2.1', false],
  ['::ffff:192.0.2.1', false],
  ['', false],
])('whether %j is this machine: %s', (address, answer) => {
  expect(isLoopback(address)).toBe(answer);
});

test.each([
  ['http://localhost:5173', true],
  ['http://127.0.0.1:5173', true],
  ['http://[::1]:5173', true],
  ['https://localhost:5173', true],
  ['http://localhost:5174', false],
  ['http://localhost', false],
  ['http://evil.example:5173', false],
  ['null', false],
  [undefined, false],
])("whether %j is the server's own on port 5173: %s", (origin, answer) => {
  expect(isOwnOrigin(origin, 5_173)).toBe(answer);
});

test('the program is that of the environment, else a build of the project or above it, release first, else that of PATH', () => {
  expect(findProgram(root, { YC_SHARE: '/x/yc-share' })).toBe('/x/yc-share');
  expect(findProgram(root, {})).toMatch(/^yc-share/);
  const project = join(root, 'examples/app');
  for (const profile of ['debug', 'release']) {
    mkdirSync(join(root, 'target', profile), { recursive: true });
    const program = join(root, 'target', profile, process.platform === 'win32' ? 'yc-share.exe' : 'yc-share');
    writeFileSync(program, '');
    expect(findProgram(project, {})).toBe(program);
  }
});

test('lines are cut wherever the chunks are, and one that is too long is told once', () => {
  const heard: string[] = [];
  let tooLong = 0;
  const take = lines((line) => heard.push(line), () => (tooLong += 1));
  const bytes = Buffer.from('eins\r\nzwö\n\ndrei\n');
  for (const byte of bytes) take(Buffer.from([byte]));
  take(bytes);
  expect(heard).toEqual(['eins', 'zwö', 'drei', 'eins', 'zwö', 'drei']);
  take(Buffer.alloc(MAX_LINE));
  expect(tooLong).toBe(0);
  take(Buffer.alloc(1));
  take(Buffer.alloc(1));
  expect(tooLong).toBe(1);
});
