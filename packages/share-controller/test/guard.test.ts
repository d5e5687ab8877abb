import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { NativeSenderOffer, NativeSession } from 'yc-signalling';
import { validateNativeSession } from '../src/guard.ts';

interface Vectors {
  offers: Record<string, NativeSenderOffer>;
  reply: NativeSession;
  cases: { name: string; offer?: string; allow_plain_rtp?: boolean; set: Record<string, unknown>; refused: string | null; hides?: string }[];
}

const file = new URL('../../../crates/yc-sfu/tests/vectors/native_session.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

describe('the guard says what the native sender says', () => {
  test.each(vectors.cases)('$name', ({ offer = 'plain', allow_plain_rtp = false, set, refused, hides }) => {
    const reply = structuredClone(vectors.reply);
    for (const [path, value] of Object.entries(set)) put(reply, path, value);
    const problems = validateNativeSession(reply, vectors.offers[offer]!, { allowPlainRtp: allow_plain_rtp });
    const said = problems.map(({ message }) => message).join('; ');
    if (refused === null) expect(said).toBe('');
    else expect(said).toContain(refused);
    if (hides !== undefined) expect(said).not.toContain(hides);
  });

  test('a value of any length is cut', () => {
    const [problem] = validateNativeSession({ ...vectors.reply, rtp_target: 'x'.repeat(100_000) }, vectors.offers['plain']!);
    expect(problem!.message.length).toBeLessThan(600);
  });
});

function put(reply: unknown, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop()!;
  let at = reply as Record<string, unknown>;
  for (const name of names) at = at[name] as Record<string, unknown>;
  at[last] = value;
}
