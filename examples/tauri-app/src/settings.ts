/** What the join form starts with, what of it is remembered, and what is wrong with it. Pure but for the storage it is given. */
import { roleOfToken, roomNameProblem } from 'yc-signalling';

export interface JoinValues {
  server: string;
  room: string;
  token: string;
  name: string;
}

export type JoinField = keyof JoinValues;
export type Store = Pick<Storage, 'getItem' | 'setItem'>;

/** The page's query first, then what was remembered. The token is never remembered: who has it may enter. */
export function initialValues(query: URLSearchParams, storage: Store | null): JoinValues {
  const remembered = (field: JoinField): string => {
    try {
      return storage?.getItem(PREFIX + field) ?? '';
    } catch {
      return '';
    }
  };
  const value = (field: JoinField): string => query.get(field)?.trim() ?? remembered(field);
  return { server: value('server'), room: value('room'), token: query.get('token')?.trim() ?? '', name: value('name') };
}

/** Keeps server, room and name for the next time; where the storage is full or forbidden, they are typed again. */
export function remember(values: JoinValues, storage: Store | null): void {
  try {
    for (const field of REMEMBERED) storage?.setItem(PREFIX + field, values[field]);
  } catch (error) {
    console.warn('the values were not remembered:', error);
  }
}

/** The first thing that is wrong, with its field; `null` if all is well. */
export function joinProblem({ server, room, token, name }: JoinValues): { field: JoinField; words: string } | null {
  const url = signallingUrl(server);
  if ('problem' in url) return { field: 'server', words: url.problem };
  const inRoom = roomNameProblem(room);
  if (inRoom !== null) return { field: 'room', words: `Room: ${inRoom}` };
  if (token === '') return { field: 'token', words: 'Enter the token that you were given.' };
  // A token that cannot be read reads as `view`: the server says what is wrong with that one.
  if (token.startsWith('v1.view.') && roleOfToken(token) === 'view') {
    return { field: 'token', words: 'This token only lets you watch. Ask for one of the role share or both.' };
  }
  const length = [...name].length;
  if (length > NAME_LONGEST) return { field: 'name', words: `Your name has ${length} characters; it may have up to ${NAME_LONGEST}.` };
  if (/\p{Cc}/u.test(name)) return { field: 'name', words: 'Your name holds a control character.' };
  return null;
}

/** The WebSocket of a server: `http://host:port`, `host:port` and `wss://host/ws` are all understood. */
export function signallingUrl(server: string): { url: string } | { problem: string } {
  const text = server.trim();
  if (text === '') return { problem: 'Enter the address of the server, for example http://localhost:8080.' };
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    return { problem: `“${text}” is no address of a server. One looks like http://localhost:8080.` };
  }
  const protocol = SOCKET_PROTOCOLS[url.protocol];
  if (protocol === undefined) {
    return { problem: `The address begins with ${url.protocol}//; it may begin with http://, https://, ws:// or wss://.` };
  }
  if (url.username !== '' || url.password !== '') return { problem: 'The address holds a user name or a password; leave them out.' };
  const path = url.pathname.replace(/\/+$/, '');
  return { url: `${protocol}//${url.host}${path.endsWith('/ws') ? path : `${path}/ws`}` };
}

const SOCKET_PROTOCOLS: Record<string, string> = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' };
const REMEMBERED: readonly JoinField[] = ['server', 'room', 'name'];
const PREFIX = 'yc_app_';
const NAME_LONGEST = 64;
