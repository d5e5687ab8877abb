import { describe, expect, test, vi } from 'vitest';
import { type JoinValues, type Store, initialValues, joinProblem, remember, signallingUrl } from '../src/settings.ts';

const good: JoinValues = { server: 'http://localhost:8080', room: 'demo', token: 'v1.share.1.demo.mac', name: 'Ada' };

function store(values: Record<string, string> = {}): Store & { values: Record<string, string> } {
  return {
    values,
    getItem: (key) => values[key] ?? null,
    setItem: (key, value) => {
      values[key] = value;
    },
  };
}

const forbidden: Store = {
  getItem: () => {
    throw new Error('storage is forbidden');
  },
  setItem: () => {
    throw new Error('storage is full');
  },
};

describe('the values of the form', () => {
  test('are remembered, but for the token', () => {
    const storage = store();
    remember(good, storage);
    expect(Object.values(storage.values)).not.toContain(good.token);
    expect(initialValues(new URLSearchParams(), storage)).toEqual({ ...good, token: '' });
  });

  test('come from the query first', () => {
    const storage = store();
    remember(good, storage);
    const query = new URLSearchParams({ room: ' other ', token: 'v1.both.1.other.mac' });
    expect(initialValues(query, storage)).toEqual({ ...good, room: 'other', token: 'v1.both.1.other.mac' });
  });

  test.each([[null], [forbidden]])('are empty without a storage, and nothing fails', (storage) => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    remember(good, storage);
    expect(initialValues(new URLSearchParams(), storage)).toEqual({ server: '', room: '', token: '', name: '' });
  });
});

describe('what is wrong with them', () => {
  test('is nothing in good ones, with or without a name', () => {
    expect(joinProblem(good)).toBeNull();
    expect(joinProblem({ ...good, name: '' })).toBeNull();
    expect(joinProblem({ ...good, name: '𝄞'.repeat(64) })).toBeNull();
  });

  test.each([
    [{ server: '' }, 'server', /address of the server/],
    [{ server: 'ftp://host' }, 'server', /ftp:.*may begin with http/],
    [{ room: 'a b' }, 'room', /letters, digits/],
    [{ room: '' }, 'room', /name of the room/],
    [{ token: '' }, 'token', /token/],
    [{ token: 'v1.view.1.demo.mac' }, 'token', /only lets you watch/],
    [{ name: 'x'.repeat(65) }, 'name', /65 characters; it may have up to 64/],
    [{ name: 'a\u0007b' }, 'name', /control character/],
  ] as [Partial<JoinValues>, string, RegExp][])('is said of %j, and where', (change, field, words) => {
    const problem = joinProblem({ ...good, ...change });
    expect(problem?.field).toBe(field);
    expect(problem?.words).toMatch(words);
  });

  test('leaves a token that cannot be read to the server', () => {
    expect(joinProblem({ ...good, token: 'nonsense' })).toBeNull();
  });
});

describe('the address of the signalling', () => {
  test.each([
    ['http://localhost:8080', 'ws://localhost:8080/ws'],
    ['https://share.example/', 'wss://share.example/ws'],
    ['localhost:8080', 'ws://localhost:8080/ws'],
    [' 127.0.0.1:4000 ', 'ws://127.0.0.1:4000/ws'],
    ['ws://[::1]:4000/ws', 'ws://[::1]:4000/ws'],
    ['https://example.org/yc/?room=a#b', 'wss://example.org/yc/ws'],
  ])('of %s', (server, url) => {
    expect(signallingUrl(server)).toEqual({ url });
  });

  test.each([['http://'], ['a b c'], ['http://user:secret@host'], ['file:///etc']])('is refused for %s', (server) => {
    expect(signallingUrl(server)).toHaveProperty('problem');
  });
});
