/** What a room token says of itself (docs/signalling.md, Room tokens). Only the server can tell whether it is true. */
import type { Role } from './messages.ts';

/** The role that a token was made for; `view` if the token cannot be read: the server then says what is wrong. */
export function roleOfToken(token: string): Role {
  const role = /^v1\.(share|view|both)\.\d+\./.exec(token)?.[1];
  return (role as Role | undefined) ?? 'view';
}

/** Why a room's name is refused, in words; `null` if it is good. */
export function roomNameProblem(room: string): string | null {
  if (room === '') return 'Enter the name of the room.';
  if (room.length > 64) return `The name has ${room.length} characters; it may have up to 64.`;
  if (!/^[A-Za-z0-9_-]+$/.test(room)) return 'The name may hold letters, digits, - and _ only.';
  return null;
}
