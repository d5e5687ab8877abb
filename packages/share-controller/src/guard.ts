/**
 * The negotiation guard: whether a native sender may start on what the server answered. It refuses what
 * `yc_sfu::NativeSession::validate` refuses, in the same words; `crates/yc-sfu/tests/vectors/native_session.json` holds
 * both to that.
 */
import { PROTOCOL, type NativeSenderOffer, type NativeSession, type OfferedCodec } from 'yc-signalling';
import { parseTarget, type Target } from './target.ts';

export interface SessionRules {
  /** Whether RTP may leave this machine unprotected. Default: false. */
  allowPlainRtp?: boolean;
}

/** A field of a session that a sender must not start on. */
export interface Problem {
  /** Its path in the reply. */
  field: string;
  /** What the server answered; never a key. */
  value: string;
  expected: string;
  /** `field value is not expected`. */
  message: string;
}

/** What is wrong with `reply`; empty if a sender may start on it. */
export function validateNativeSession(reply: NativeSession, offer: NativeSenderOffer, rules: SessionRules = {}): Problem[] {
  const problems: Problem[] = [];
  const refuse: Refuse = (field, value, expected) => {
    const shown = [...String(value)].slice(0, MAX_VALUE).join('');
    problems.push({ field, value: shown, expected: String(expected), message: `${field} ${shown} is not ${expected}` });
  };
  if (reply.protocol !== PROTOCOL) refuse('protocol', reply.protocol, PROTOCOL);
  if (!reply.rtcp_mux) refuse('rtcp_mux', false, true);
  const target = checkTarget(reply.rtp_target, refuse);
  checkCodec(reply, offer, refuse);
  checkSsrc('ssrc', reply.ssrc, refuse);
  checkPayloadType('payload_type', reply.payload_type, refuse);
  checkText('cname', reply.cname, 255, refuse);
  checkRtx(reply, offer, refuse);
  checkExtensions(reply, refuse);
  if (reply.mid != null) checkText('mid', reply.mid, 16, refuse);
  checkText('session_id', reply.session_id, 64, refuse);
  checkSrtp(reply, offer, target, rules, refuse);
  checkText('producer_id', reply.producer_id, 64, refuse);
  checkText('transport_id', reply.transport_id, 64, refuse);
  return problems;
}

type Refuse = (field: string, value: unknown, expected: unknown) => void;

/** A value is the server's and may be of any length. */
const MAX_VALUE = 400;

function checkTarget(value: string, refuse: Refuse): Target | null {
  const target = parseTarget(value);
  if (target === null) refuse('rtp_target', quoted(value), 'ip:port or [ip]:port, with a port from 1 to 65535');
  else if (target.port === 0) refuse('rtp_target', quoted(value), 'an address with a port from 1 to 65535');
  else if (target.unspecified || target.multicast) refuse('rtp_target', quoted(value), 'the address of one host');
  return target;
}

/** Dynamic payload types, all outside those that rtcp-mux forbids (RFC 5761 §4). */
function checkPayloadType(field: string, value: number, refuse: Refuse): void {
  if (!isInteger(value, 96, 127)) refuse(field, value, 'from 96 to 127');
}

function checkSsrc(field: string, value: number, refuse: Refuse): void {
  if (!isInteger(value, 1, 0xffff_ffff)) refuse(field, value, 'from 1 to 4294967295');
}

function checkText(field: string, value: string, most: number, refuse: Refuse): void {
  const bytes = new TextEncoder().encode(value).length;
  if (bytes >= 1 && bytes <= most && !/\p{Cc}/u.test(value)) return;
  refuse(field, quoted(value), `1 to ${most} bytes without control characters`);
}

function checkRtx(reply: NativeSession, offer: NativeSenderOffer, refuse: Refuse): void {
  const { rtx } = reply;
  if (rtx == null) return;
  if (offer.rtx !== true) {
    refuse('rtx', 'an object', 'null, as it was not offered');
    return;
  }
  checkSsrc('rtx.ssrc', rtx.ssrc, refuse);
  checkPayloadType('rtx.payload_type', rtx.payload_type, refuse);
  if (rtx.ssrc === reply.ssrc) refuse('rtx.ssrc', rtx.ssrc, 'another than ssrc');
  if (rtx.payload_type === reply.payload_type) refuse('rtx.payload_type', rtx.payload_type, 'another than payload_type');
}

/** Those that a native sender knows; it leaves any other out, so another may be there twice. */
const KNOWN_EXTENSIONS = new Set([
  'urn:ietf:params:rtp-hdrext:sdes:mid',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  'urn:3gpp:video-orientation',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time',
  'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
]);

function checkExtensions({ header_extensions: extensions = [] }: NativeSession, refuse: Refuse): void {
  const ids = new Set<number>();
  const known = new Set<string>();
  for (const [at, { id, uri }] of (extensions ?? []).entries()) {
    const field = `header_extensions[${at}]`;
    if (!isInteger(id, 1, 14)) refuse(`${field}.id`, id, 'from 1 to 14');
    else if (ids.has(id)) refuse(`${field}.id`, id, 'an id of its own');
    ids.add(id);
    if (!KNOWN_EXTENSIONS.has(uri)) continue;
    if (known.has(uri)) refuse(`${field}.uri`, quoted(uri), 'there once');
    known.add(uri);
  }
}

/** Bytes of master key and master salt together. */
const KEY_BYTES: Record<string, number> = {
  AEAD_AES_256_GCM: 44,
  AEAD_AES_128_GCM: 28,
  AES_CM_128_HMAC_SHA1_80: 30,
  AES_CM_128_HMAC_SHA1_32: 30,
};

function checkSrtp(reply: NativeSession, offer: NativeSenderOffer, target: Target | null, rules: SessionRules, refuse: Refuse): void {
  const ours = offer.srtp ?? null;
  const theirs = reply.srtp ?? null;
  if (ours !== null && theirs !== null) {
    const wanted = KEY_BYTES[ours.crypto_suite];
    const bytes = base64Bytes(theirs.key_base64);
    if (theirs.crypto_suite !== ours.crypto_suite) refuse('srtp.crypto_suite', theirs.crypto_suite, ours.crypto_suite);
    else if (bytes === null) refuse('srtp.key_base64', '<secret>', 'padded base64');
    else if (bytes !== wanted) refuse('srtp.key_base64', '<secret>', `of ${wanted} bytes; it holds ${bytes} bytes`);
  } else if (ours !== null) {
    refuse('srtp', 'null', 'a key, as SRTP was offered');
  } else if (theirs !== null) {
    refuse('srtp', 'an object', 'null, as it was not offered');
  } else if (target !== null && !target.loopback && rules.allowPlainRtp !== true) {
    refuse('srtp', 'null', `a key: plain RTP to ${reply.rtp_target}, which is not this machine, must be allowed explicitly`);
  }
}

function base64Bytes(text: string): number | null {
  const padding = /=*$/.exec(text)![0].length;
  if (text.length % 4 !== 0 || padding > 2 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  return (text.length / 4) * 3 - padding;
}

function checkCodec({ codec }: NativeSession, offer: NativeSenderOffer, refuse: Refuse): void {
  const offered = offer.codecs.filter(isKnownCodec);
  const same = offered.filter(({ mime_type }) => withVideo(mime_type) === codec.mime_type.toLowerCase());
  if (same.length === 0) {
    const names = offered.map(({ mime_type }) => mime_type).join(', ');
    refuse('codec.mime_type', quoted(codec.mime_type), `one of those offered: ${names}`);
    return;
  }
  if (codec.clock_rate !== 90_000) refuse('codec.clock_rate', codec.clock_rate, 90_000);
  const name = withVideo(codec.mime_type);
  if (name === 'video/h264') checkH264(codec.fmtp ?? {}, same, refuse);
  const profile = fmtpNumber(codec.fmtp?.['profile-id']) ?? 0;
  if (name === 'video/vp9' && profile !== 0) refuse('codec.fmtp.profile-id', profile, 0);
}

function checkH264(fmtp: Record<string, number | string>, offered: OfferedCodec[], refuse: Refuse): void {
  // Absent means 0: RFC 6184 §8.1.
  const mode = fmtp['packetization-mode'];
  if (fmtpNumber(mode) !== 1) refuse('codec.fmtp.packetization-mode', shown(mode), 1);
  const field = 'codec.fmtp.profile-level-id';
  const answer = fmtp['profile-level-id'];
  const answered = parseProfile(answer === undefined ? '' : String(answer));
  if (answered === null) {
    refuse(field, shown(answer), 'six hexadecimal digits, for example 42e01f');
    return;
  }
  const asymmetric = fmtpNumber(fmtp['level-asymmetry-allowed']) === 1;
  const fits = offered.some(({ profile_level_id }) => {
    const own = parseProfile(profile_level_id ?? '');
    return own?.profile != null && own.profile === answered.profile && (asymmetric || own.level <= answered.level);
  });
  if (fits) return;
  const ids = offered.map(({ profile_level_id }) => profile_level_id).join(', ');
  refuse(field, shown(answer), `of the same profile as what was offered (${ids})${asymmetric ? '' : ', and at least its level'}`);
}

function isKnownCodec({ mime_type, packetization_mode, profile_level_id }: OfferedCodec): boolean {
  const name = withVideo(mime_type);
  if (name === 'video/h264') return (packetization_mode ?? 1) === 1 && parseProfile(profile_level_id ?? '')?.profile != null;
  return name === 'video/vp8' || name === 'video/vp9' || name === 'video/av1';
}

function withVideo(mimeType: string): string {
  const name = mimeType.toLowerCase();
  return name.startsWith('video/') ? name : `video/${name}`;
}

/** The profile that a profile-level-id stands for, by RFC 6184 §8.1, table 5; `profile` is null for one that browsers do not receive. */
function parseProfile(text: string): { profile: string | null; level: number } | null {
  if (!/^[0-9a-f]{6}$/i.test(text)) return null;
  const [idc, flags, level] = [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16)) as [number, number, number];
  let profile: string | null = null;
  if (idc === 66) profile = flags & 0x40 ? 'constrained baseline' : 'baseline';
  else if (idc === 77) profile = flags & 0x80 ? 'constrained baseline' : 'main';
  else if (idc === 100) profile = (flags & 0x0c) === 0x0c ? 'constrained high' : 'high';
  return { profile, level };
}

function fmtpNumber(value: number | string | undefined): number | null {
  if (typeof value === 'string') return /^\+?\d+$/.test(value) ? Number(value) : null;
  return value ?? null;
}

function shown(value: number | string | undefined): string {
  return value === undefined ? 'nothing' : typeof value === 'string' ? quoted(value) : String(value);
}

function quoted(value: string): string {
  return JSON.stringify(value);
}

function isInteger(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
