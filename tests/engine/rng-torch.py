#!/usr/bin/env python3
"""What PyTorch's generator gives, for tests/engine/rng-torch.c: writes rng-torch.txt beside this file.

    rng-torch.py            needs torch

Each line: kind, seed, how many numbers, then for `uniform` the sha256 of all of them (f32, little endian), for
`normal` as many places and their bits, spread over all numbers and over the last 20, where the tail's rule shows.
`pairs` is three calls in a row on one generator: of 3, 20 and 4 numbers.
"""
import hashlib
import os
import struct

import torch

SEEDS = [0, 1, 2, 3, 5, 8, 42, 123, 1234, 4096, 65537, 999983, 20240229, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32,
         2 ** 32 + 7, 2 ** 40 + 12345, 2 ** 53 - 1]
SIZES = [1, 2, 3, 7, 15, 16, 17, 31, 32, 40, 1000, 4096, 100003, 1000000]


def bits(value):
    return struct.pack("<f", value)[::-1].hex()


def places(n):
    spread = [i * (n - 1) // 11 for i in range(12)] if n > 12 else list(range(n))
    return sorted(set(spread + list(range(max(0, n - 20), n, 3))))


def main():
    generator = torch.Generator()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "rng-torch.txt"), "w", encoding="ascii") as f:
        for j, seed in enumerate(SEEDS):
            for n in SIZES:
                generator.manual_seed(seed)
                raw = torch.rand(n, generator=generator).numpy().astype("<f4").tobytes()
                f.write(f"uniform {seed} {n} {hashlib.sha256(raw).hexdigest()}\n")
                generator.manual_seed(seed)
                z = torch.randn(n, generator=generator).tolist()
                f.write(f"normal {seed} {n} " + " ".join(f"{i}:{bits(z[i])}" for i in places(n)) + "\n")
            generator.manual_seed(seed)
            z = sum((torch.randn(n, generator=generator).tolist() for n in (3, 20, 4)), [])
            f.write(f"pairs {seed} {len(z)} " + " ".join(f"{i}:{bits(v)}" for i, v in enumerate(z)) + "\n")


main()
