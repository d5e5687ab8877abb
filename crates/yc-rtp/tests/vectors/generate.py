#!/usr/bin/env python3
"""Makes the golden vectors: real access units, and the packets that they must become.

It shares no code with the crate: it follows RFC 6184 and the rules of the crate's documentation by itself.
Without an argument it writes the packets of the streams that are here; with `--encode` it encodes the
streams anew first (ffmpeg with libx264, GStreamer with openh264enc), which other versions of the encoders
do differently.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
MAX_PACKET_LEN = 1200
PAYLOAD_TYPE, SSRC = 101, 0x12345678
# Both wrap within the vectors.
FIRST_SEQUENCE, TIMESTAMP_OFFSET = 65530, 0xFFFFF000
FRAME_NANOS = 33_333_333
# mid "0" under id 1, room for abs-send-time under 4 and the transport-wide sequence number under 5.
EXTENSIONS = bytes([0xBE, 0xDE, 0, 3]) + bytes([0x10]) + b"0" + bytes([0x42, 0, 0, 0, 0x51, 0, 0, 0, 0, 0])
MAX_AGGREGATED = 4

SOURCE = "testsrc2=size=320x180:rate=30"


def encode():
    x264 = (
        "aud=1:slices=3:keyint=3:min-keyint=3:scenecut=0:threads=1:sliced-threads=0:nal-hrd=vbr:"
        "vbv-maxrate=1200:vbv-bufsize=120:bitrate=1200"
    )
    subprocess.run(
        ["ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", SOURCE, "-frames:v", "4", "-pix_fmt", "yuv420p"]
        + ["-c:v", "libx264", "-profile:v", "baseline", "-preset", "veryfast", "-tune", "zerolatency"]
        + ["-x264-params", x264, "-f", "h264", HERE / "x264-slices.h264"],
        check=True,
    )
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", SOURCE, "-frames:v", "5", "-pix_fmt", "yuv420p"]
        + ["-f", "rawvideo", "-"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    subprocess.run(
        "gst-launch-1.0 -q fdsrc fd=0"
        " ! rawvideoparse width=320 height=180 format=i420 framerate=30/1"
        " ! openh264enc usage-type=screen gop-size=4 bitrate=800000"
        f" ! video/x-h264,profile=constrained-baseline ! filesink location={HERE}/openh264-screen.h264",
        shell=True,
        check=True,
        input=raw,
    )


def nal_units(stream):
    """(start with its start code, bytes without start code and zeros) of each NAL unit."""
    starts = [match.start() for match in re.finditer(b"\0\0\1", stream)]
    for start, end in zip(starts, starts[1:] + [len(stream)]):
        unit = stream[start + 3 : end].rstrip(b"\0")
        yield (start - 1 if start > 0 and stream[start - 1] == 0 else start), unit


def access_units(stream):
    """Splits before the first unit that may begin an access unit behind a slice (H.264 §7.4.1.2.3)."""
    borders, slices = [0], False
    for start, unit in nal_units(stream):
        kind = unit[0] & 31
        is_slice = kind in (1, 5)
        # first_mb_in_slice is 0: one bit, set.
        if slices and (kind in (6, 7, 8, 9) or (is_slice and unit[1] & 0x80)):
            borders.append(start)
            slices = False
        slices = slices or is_slice
    return [stream[a:b] for a, b in zip(borders, borders[1:] + [len(stream)])]


def payloads(access_unit, limit):
    units = [unit for _, unit in nal_units(access_unit) if unit[0] & 31 not in (9, 12)]
    while units:
        group, size = [], 1
        while units and len(group) < MAX_AGGREGATED and size + 2 + len(units[0]) <= limit:
            size += 2 + len(units[0])
            group.append(units.pop(0))
        if len(group) > 1:
            header = max(unit[0] & 0x60 for unit in group) | 24
            for unit in group:
                header |= unit[0] & 0x80
            yield bytes([header]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in group)
            continue
        unit = group[0] if group else units.pop(0)
        if len(unit) <= limit:
            yield unit
            continue
        body = unit[1:]
        count = -(-len(body) // (limit - 2))
        base, longer = divmod(len(body), count)
        for at in range(count):
            size = base + (at < longer)
            position = 0x80 if at == 0 else 0x40 if at == count - 1 else 0
            yield bytes([unit[0] & 0xE0 | 28, position | unit[0] & 31]) + body[:size]
            body = body[size:]


def write(path):
    lines, sequence = [], FIRST_SEQUENCE
    for at, unit in enumerate(access_units(path.read_bytes())):
        key = any(nal[0] & 31 == 5 for _, nal in nal_units(unit))
        nanos = at * FRAME_NANOS
        lines.append(f"frame {len(unit)} {'key' if key else 'delta'} {nanos}")
        timestamp = (nanos * 90_000 // 1_000_000_000 + TIMESTAMP_OFFSET) % 2**32
        parts = list(payloads(unit, MAX_PACKET_LEN - 12 - len(EXTENSIONS)))
        for number, payload in enumerate(parts):
            marker = 0x80 if number == len(parts) - 1 else 0
            header = bytes([0x90, marker | PAYLOAD_TYPE]) + sequence.to_bytes(2, "big")
            header += timestamp.to_bytes(4, "big") + SSRC.to_bytes(4, "big")
            lines.append((header + EXTENSIONS + payload).hex())
            sequence = (sequence + 1) % 65536
    path.with_suffix(".packets").write_text("\n".join(lines) + "\n")
    print(path.name, [line for line in lines if line.startswith("frame")], len(lines))


if __name__ == "__main__":
    if sys.argv[1:] == ["--encode"]:
        encode()
    for vector in sorted(HERE.glob("*.h264")):
        write(vector)
