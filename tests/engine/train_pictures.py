"""A few small pictures to train on: three classes of coloured noise, three pictures to train on and one to test on each.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import random
import struct
import zlib

CLASSES = {"moss": (60, 140, 50), "red_sand": (200, 80, 40), "sky": (90, 120, 220)}


def write_png(path, side, pixel):
    rows = b"".join(b"\0" + bytes(value for x in range(side) for value in pixel(x, y)) for y in range(side))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            f.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


def make(folder, side=48):
    dice = random.Random(1)
    for name, colour in CLASSES.items():
        for part, count in (("train", 3), ("test", 1)):
            os.makedirs(os.path.join(folder, part, name))
            for i in range(count):
                noise = [dice.randrange(-40, 41) for _ in range(side * side)]
                write_png(os.path.join(folder, part, name, f"{i}.png"), side,
                          lambda x, y: [min(255, max(0, value + noise[y * side + x])) for value in colour])
