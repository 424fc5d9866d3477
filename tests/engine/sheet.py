#!/usr/bin/env python3
"""`dim sheet`: the pictures on it are those of `dim sample`, at the size, class and seed of their place, repeated as asked.

usage: sheet.py DIM MODEL

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import struct
import subprocess
import sys
import tempfile
import zlib

GAP, CAPTION = 4, 20


def pixels(path):
    """Rows of RGB bytes of an 8-bit PNG."""
    with open(path, "rb") as f:
        data = f.read()
    at, body, width, height = 8, b"", 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", chunk[:10])
            assert (depth, colour) == (8, 2), (depth, colour)
        elif kind == b"IDAT":
            body += chunk
        at += length + 12
    raw, rows, before = zlib.decompress(body), [], bytearray(3 * width)
    for y in range(height):
        line = bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        kind = raw[y * (3 * width + 1)]
        for i in range(3 * width):
            a, b, c = (line[i - 3] if i >= 3 else 0), before[i], (before[i - 3] if i >= 3 else 0)
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows.append(bytes(line))
        before = line
    return rows


def cut(rows, x, y, width, height):
    return [row[3 * x:3 * (x + width)] for row in rows[y:y + height]]


def main():
    dim, model = sys.argv[1:]

    def run(*args, status=0):
        done = subprocess.run([dim, *args], capture_output=True, text=True, check=False)
        assert done.returncode == status, (args, done)
        return done.stderr

    with tempfile.TemporaryDirectory() as folder:
        sheet, one = os.path.join(folder, "sheet.png"), os.path.join(folder, "one.png")
        run("sheet", "--model", model, "--classes", "grass,5", "--seeds", "2", "--seed", "7", "--size", "48x32",
            "--repeat", "2", "--steps", "3", "--guidance", "1.5", "-o", sheet)
        rows = pixels(sheet)
        assert len(rows) == GAP + 2 * (64 + CAPTION) and len(rows[0]) == 3 * (GAP + 2 * (96 + GAP))
        for r, name in enumerate(("grass", "5")):
            for c in range(2):
                run("sample", "--model", model, "--class", name, "--seed", str(7 + c), "--size", "48x32", "--steps", "3",
                    "--guidance", "1.5", "-o", one)
                picture = pixels(one)
                for tile in range(4):
                    x = GAP + c * (96 + GAP) + tile % 2 * 48
                    y = GAP + r * (64 + CAPTION) + CAPTION - GAP + tile // 2 * 32
                    assert cut(rows, x, y, 48, 32) == picture, (name, c, tile)
        # Above the native size, with all that the model does there by itself.
        large = ("--size", "208x192", "--steps", "2")
        run("sheet", "--model", model, "--classes", "grass", "--seeds", "1", *large, "-o", sheet)
        run("sample", "--model", model, "--class", "grass", "--seed", "0", *large, "-o", one)
        assert cut(pixels(sheet), GAP, CAPTION, 208, 192) == pixels(one)
        before = os.stat(sheet).st_mtime_ns
        for args, status, word in ((("--classes", "nope"), 1, "nope"), (("--size", "3"), 2, "--size"),
                                   (("--seeds", "0"), 2, "--seeds"), (("--seamless", "z"), 2, "--seamless"), (("--windows", "z"), 2, "--windows"),
                                   (("--seeds", "900", "--size", "512x512"), 1, "pixels")):
            line = run("sheet", "--model", model, *args, "-o", sheet, status=status)
            assert word in line and line.count("\n") == 1, line
        assert os.stat(sheet).st_mtime_ns == before
    print("the sheet's pictures are those of dim sample")


if __name__ == "__main__":
    main()
