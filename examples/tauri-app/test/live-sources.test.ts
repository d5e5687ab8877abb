import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NativeError, type NativeSource, type Thumbnail } from 'yc-share-controller';
import { LiveSources } from '../src/live-sources.ts';

const picture: Thumbnail = { url: 'data:image/png;base64,', width: 16, height: 16 };
const source = (id: string): NativeSource => ({ id, kind: 'window', title: id, width: 10, height: 10, process: null, backend: 'x11' });

/** A host that answers as it is told, and counts how many requests it has at once. */
class Host {
  list: NativeSource[] = [source('a'), source('b')];
  problem: NativeError | null = null;
  gone = new Set<string>();
  /** How long an answer takes. */
  delayMs = 0;
  asked: string[] = [];
  atOnce = 0;
  mostAtOnce = 0;

  sources = (): Promise<NativeSource[]> => this.#answer('list', () => this.list, this.problem);
  thumbnail = (id: string): Promise<Thumbnail> => {
    const problem = this.gone.has(id) ? new NativeError('source_not_found', `${id} is gone`) : null;
    return this.#answer(id, () => picture, problem);
  };

  async #answer<T>(what: string, value: () => T, problem: NativeError | null): Promise<T> {
    this.asked.push(what);
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    this.atOnce -= 1;
    if (problem !== null) throw problem;
    return value();
  }
}

describe('live sources', () => {
  let host: Host;
  let live: LiveSources;
  let wanted: string[];
  let told: string[];

  beforeEach(() => {
    vi.useFakeTimers();
    host = new Host();
    wanted = ['a', 'b'];
    told = [];
    live = new LiveSources({
      native: host,
      wanted: () => wanted,
      onSources: (sources) => told.push(`sources ${sources.map(({ id }) => id).join(' ')}`),
      onThumbnail: (id, thumbnail, problem) => told.push(`${id} ${thumbnail === null ? problem?.code : 'picture'}`),
      onProblem: (problem) => problem !== null && told.push(`problem ${problem.code}`),
    });
  });
  afterEach(() => {
    live.stop();
    vi.useRealTimers();
  });

  test('are listed, and their pictures fetched, every one and a half seconds', async () => {
    live.start();
    await vi.advanceTimersByTimeAsync(1_400);
    expect(told).toEqual(['sources a b', 'a picture', 'b picture']);
    await vi.advanceTimersByTimeAsync(200);
    expect(told).toHaveLength(6);
  });

  test('are asked one request at a time, however slow and often started', async () => {
    host.delayMs = 900;
    live.start();
    await vi.advanceTimersByTimeAsync(1_000);
    live.stop();
    live.start();
    live.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(host.mostAtOnce).toBe(1);
  });

  test('rest while stopped, and nothing that comes late is told', async () => {
    host.delayMs = 500;
    live.start();
    await vi.advanceTimersByTimeAsync(700);
    live.stop();
    const asked = host.asked.length;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(told).toEqual(['sources a b']);
    expect(host.asked).toHaveLength(asked);
    expect(live.running).toBe(false);
  });

  test('fetch no picture that is out of view', async () => {
    wanted = ['b'];
    live.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(host.asked).toEqual(['list', 'b']);
  });

  test('lose the one that is gone at once', async () => {
    host.gone.add('a');
    live.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(told).toEqual(['sources a b', 'sources b', 'b picture']);
  });

  test('say why there is no list, try again by themselves, and at once when asked to', async () => {
    host.problem = new NativeError('capture_denied', 'forbidden');
    live.start();
    await vi.advanceTimersByTimeAsync(4_900);
    expect(told).toEqual(['problem capture_denied']);
    await vi.advanceTimersByTimeAsync(200);
    expect(told).toHaveLength(2);
    host.problem = null;
    live.retry();
    await vi.advanceTimersByTimeAsync(100);
    expect(told.slice(2)).toEqual(['sources a b', 'a picture', 'b picture']);
  });
});
