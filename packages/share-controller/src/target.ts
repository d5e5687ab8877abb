/** Reads `ip:port` and `[ip]:port`, as strictly as Rust's `SocketAddr`: no names, no leading zeros in IPv4, no zone. */

export interface Target {
  port: number;
  loopback: boolean;
  unspecified: boolean;
  multicast: boolean;
}

export function parseTarget(text: string): Target | null {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  if (parts === null) return null;
  const [, six, four, digits] = parts;
  const port = Number(digits);
  if (port > 65_535) return null;
  if (four !== undefined) {
    const bytes = parseV4(four);
    if (bytes === null) return null;
    return {
      port,
      loopback: bytes[0] === 127,
      unspecified: bytes.every((byte) => byte === 0),
      multicast: bytes[0]! >= 224 && bytes[0]! <= 239,
    };
  }
  const groups = parseV6(six!);
  if (groups === null) return null;
  const zeros = groups.slice(0, 7).every((group) => group === 0);
  return {
    port,
    loopback: zeros && groups[7] === 1,
    unspecified: zeros && groups[7] === 0,
    multicast: groups[0]! >> 8 === 0xff,
  };
}

function parseV4(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

function parseV6(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map(groupsOf);
  if (!head || (halves.length === 2 && !tail)) return null;
  if (tail === undefined || tail === null) return head.length === 8 ? head : null;
  const missing = 8 - head.length - tail.length;
  // `::` stands for at least one group.
  return missing >= 1 ? [...head, ...Array<number>(missing).fill(0), ...tail] : null;
}

function groupsOf(text: string): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [at, part] of parts.entries()) {
    if (part.includes('.')) {
      const bytes = at === parts.length - 1 ? parseV4(part) : null;
      if (bytes === null) return null;
      groups.push(bytes[0]! * 256 + bytes[1]!, bytes[2]! * 256 + bytes[3]!);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}
