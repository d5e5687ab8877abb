"""Draws the app's icon: a screen with a red dot. Plain Python: `python3 draw.py` in this folder."""

import struct
import zlib


def colour(x, y):
    """The colour at a point, with coordinates from 0 to 1."""

    def rounded(left, top, right, bottom, radius):
        dx = max(left + radius - x, x - right + radius, 0)
        dy = max(top + radius - y, y - bottom + radius, 0)
        return left <= x <= right and top <= y <= bottom and dx * dx + dy * dy <= radius * radius

    if (x - 0.72) ** 2 + (y - 0.34) ** 2 <= 0.09**2:
        return (0xE5, 0x48, 0x4D, 255)
    if rounded(0.12, 0.22, 0.88, 0.70, 0.05):
        return (0xF4, 0xF6, 0xFA, 255)
    if rounded(0.06, 0.16, 0.94, 0.76, 0.10) or rounded(0.44, 0.74, 0.56, 0.86, 0.01) or rounded(0.28, 0.82, 0.72, 0.89, 0.03):
        return (0x2F, 0x5F, 0xD0, 255)
    return (0, 0, 0, 0)


def picture(size, samples=4):
    """Rows of RGBA, each pixel the mean of samples × samples points."""
    rows = []
    for row in range(size):
        line = bytearray()
        for column in range(size):
            points = [
                colour((column + (i + 0.5) / samples) / size, (row + (j + 0.5) / samples) / size)
                for i in range(samples)
                for j in range(samples)
            ]
            alpha = sum(p[3] for p in points)
            line += bytes(sum(p[c] * p[3] for p in points) // alpha if alpha else 0 for c in range(3))
            line.append(alpha // len(points))
        rows.append(bytes(line))
    return rows


def png(size):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    pixels = b"".join(b"\0" + line for line in picture(size))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")


def ico(sizes):
    """An icon file whose pictures are PNGs."""
    pictures = [png(size) for size in sizes]
    offset = 6 + 16 * len(sizes)
    entries = b""
    for size, data in zip(sizes, pictures):
        entries += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(data), offset)
        offset += len(data)
    return struct.pack("<HHH", 0, 1, len(sizes)) + entries + b"".join(pictures)


for name, data in (
    ("32x32.png", png(32)),
    ("128x128.png", png(128)),
    ("icon.png", png(512)),
    ("icon.ico", ico((16, 32, 48, 256))),
):
    with open(name, "wb") as file:
        file.write(data)
