import { describe, expect, test } from 'vitest';
import { readSentStats, sentRows } from '../src/sent-stats.ts';
import { codecName, formatBitrate, readVideoStats, statsRows, videoRates } from '../src/stats.ts';

/** As Chromium 156 reports a received H264 share, shortened. */
const CHROMIUM = [
  { id: 'CIT01_103', type: 'codec', timestamp: 5_000, mimeType: 'video/H264', payloadType: 103, clockRate: 90_000 },
  { id: 'CPx', type: 'candidate-pair', timestamp: 5_000, nominated: false, currentRoundTripTime: 9 },
  { id: 'CPy', type: 'candidate-pair', timestamp: 5_000, nominated: true, currentRoundTripTime: 0.0012 },
  {
    id: 'IT01V1234',
    type: 'inbound-rtp',
    kind: 'video',
    timestamp: 5_000,
    codecId: 'CIT01_103',
    framesDecoded: 150,
    framesDropped: 2,
    frameWidth: 1920,
    frameHeight: 1080,
    framesPerSecond: 30,
    keyFramesDecoded: 1,
    pliCount: 1,
    nackCount: 3,
    freezeCount: 0,
    totalFreezesDuration: 0,
    packetsLost: 4,
    packetsReceived: 1_996,
    bytesReceived: 2_000_000,
    jitterBufferDelay: 3,
    jitterBufferEmittedCount: 150,
    totalDecodeTime: 0.6,
    decoderImplementation: 'FFmpeg',
    powerEfficientDecoder: false,
  },
  { id: 'T01', type: 'transport', timestamp: 5_000, bytesReceived: 2_100_000 },
];

/** As Firefox reports it: fewer fields. */
const FIREFOX = [
  { id: '6b1a', type: 'inbound-rtp', kind: 'video', timestamp: 5_000, framesDecoded: 90, bytesReceived: 1_000, packetsLost: 0 },
];

describe('a report', () => {
  test('of Chromium is read in full', () => {
    expect(readVideoStats(CHROMIUM)).toEqual({
      codec: 'H264',
      framesDecoded: 150,
      framesDropped: 2,
      frameWidth: 1920,
      frameHeight: 1080,
      framesPerSecond: 30,
      keyFramesDecoded: 1,
      pliCount: 1,
      nackCount: 3,
      freezeCount: 0,
      totalFreezesDuration: 0,
      packetsLost: 4,
      packetsReceived: 1_996,
      bytesReceived: 2_000_000,
      jitterBufferDelay: 3,
      jitterBufferEmittedCount: 150,
      totalDecodeTime: 0.6,
      decoder: 'FFmpeg',
      hardwareDecoder: false,
      roundTripTime: 0.0012,
      timestamp: 5_000,
    });
  });

  test('of Firefox is read as far as it goes: what it lacks is null, not 0', () => {
    expect(readVideoStats(FIREFOX)).toMatchObject({ framesDecoded: 90, packetsLost: 0, codec: null, freezeCount: null, decoder: null });
  });

  test.each([
    ['empty', []],
    ['with sound only', [{ id: 'a', type: 'inbound-rtp', kind: 'audio', packetsReceived: 7 }]],
    ['with nonsense', [null, 7, { type: 'inbound-rtp', kind: 'video', framesDecoded: 'many', bytesReceived: Number.NaN }]],
  ])('that is %s has no values', (_name, report) => {
    expect(Object.values(readVideoStats(report)).every((value) => value === null)).toBe(true);
  });
});

describe('rates', () => {
  const earlier = readVideoStats(CHROMIUM);

  test('are what the interval adds', () => {
    const later = {
      ...earlier,
      timestamp: 7_000,
      framesDecoded: 200,
      bytesReceived: 2_500_000,
      jitterBufferDelay: 4,
      jitterBufferEmittedCount: 200,
      totalDecodeTime: 0.8,
    };
    expect(videoRates(earlier, later)).toEqual({
      bitsPerSecond: 2_000_000,
      framesPerSecond: 25,
      jitterBufferMs: 20,
      decodeMsPerFrame: expect.closeTo(4, 9) as number,
    });
  });

  test('are unknown at first, but for what the browser itself counts', () => {
    expect(videoRates(null, earlier)).toEqual({
      bitsPerSecond: null,
      framesPerSecond: 30,
      jitterBufferMs: null,
      decodeMsPerFrame: null,
    });
  });

  test('are unknown, not infinite or negative, where no time went by or the counts began anew', () => {
    expect(videoRates(earlier, earlier).bitsPerSecond).toBeNull();
    const anew = { ...earlier, timestamp: 6_000, bytesReceived: 10, framesDecoded: 1 };
    expect(videoRates(earlier, anew)).toMatchObject({ bitsPerSecond: null, framesPerSecond: 30 });
  });

  test('of a still picture are zero', () => {
    expect(videoRates(earlier, { ...earlier, timestamp: 6_000 })).toEqual({
      bitsPerSecond: 0,
      framesPerSecond: 0,
      jitterBufferMs: null,
      decodeMsPerFrame: null,
    });
  });
});

describe('words', () => {
  const rowsOf = (report: unknown[]): Record<string, string> => {
    const stats = readVideoStats(report);
    return Object.fromEntries(statsRows(stats, videoRates(null, stats)));
  };

  test('of a full report', () => {
    expect(rowsOf(CHROMIUM)).toMatchObject({
      Codec: 'H264',
      Resolution: '1920 × 1080',
      'Frame rate': '30 fps',
      Bitrate: '–',
      'Packets lost': '4 (0.20 %)',
      'Round trip': '1.2 ms',
      'Key frames': '1',
      'PLI sent': '1',
      Freezes: '0',
      Decoder: 'FFmpeg (software)',
    });
  });

  test('of an empty one say so in every row', () => {
    const { Decoder, ...others } = rowsOf([]);
    expect(Decoder).toBe('not told');
    expect(new Set(Object.values(others))).toEqual(new Set(['–']));
  });

  test('of freezes say how long', () => {
    expect(rowsOf([{ type: 'inbound-rtp', freezeCount: 2, totalFreezesDuration: 1.26 }])['Freezes']).toBe('2 (1.3 s)');
  });

  test('of duplicates, which make the loss negative, give no percentage', () => {
    expect(rowsOf([{ type: 'inbound-rtp', packetsLost: -3, packetsReceived: 10 }])['Packets lost']).toBe('-3');
  });

  test.each([
    [null, '–'],
    [0, '0 kbit/s'],
    [999_499, '999 kbit/s'],
    [999_500, '1.0 Mbit/s'],
    [8_160_000, '8.2 Mbit/s'],
  ])('of %s bit/s', (rate, words) => {
    expect(formatBitrate(rate)).toBe(words);
  });

  test.each([
    ['video/H264', 'H264'],
    ['video/AV1', 'AV1'],
    ['H264', null],
    [undefined, null],
  ])('of the MIME type %s', (mimeType, name) => {
    expect(codecName(mimeType)).toBe(name);
  });
});

describe('what is sent', () => {
  const report = (timestamp: number, bytesSent: number) => [
    { id: 'c', type: 'codec', mimeType: 'video/VP8' },
    {
      id: 'o',
      type: 'outbound-rtp',
      codecId: 'c',
      frameWidth: 1280,
      frameHeight: 720,
      framesPerSecond: 29.6,
      bytesSent,
      encoderImplementation: 'libvpx',
      timestamp,
    },
  ];

  test('is read and put into words', () => {
    const earlier = readSentStats(report(1_000, 0));
    const later = readSentStats(report(3_000, 500_000));
    expect(sentRows(earlier, later)).toEqual([
      ['Codec', 'VP8'],
      ['Resolution', '1280 × 720'],
      ['Frame rate', '30 fps'],
      ['Bitrate', '2.0 Mbit/s'],
      ['Encoder', 'libvpx'],
    ]);
  });

  test('has no bitrate at first, nor across a new start', () => {
    const one = readSentStats(report(1_000, 900));
    expect(sentRows(null, one)[3]).toEqual(['Bitrate', '–']);
    expect(sentRows(one, readSentStats(report(2_000, 10)))[3]).toEqual(['Bitrate', '–']);
  });
});
