"""What compare.py needs of numpy, for machines without it: tensors as flat lists of Python's numbers.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json
import math
import struct

FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "U8": "B", "BOOL": "?"}


class Tensor:
    def __init__(self, dtype, shape, numbers):
        self.dtype, self.shape, self.numbers = dtype, tuple(shape), numbers


def read_tensors(path):
    """All tensors of a safetensors file; a broken file raises ValueError, KeyError or struct.error."""
    with open(path, "rb") as file:
        raw = file.read()
    size = int.from_bytes(raw[:8], "little")
    header, data, tensors = json.loads(raw[8:8 + size]), raw[8 + size:], {}
    header.pop("__metadata__", None)
    for name, info in header.items():
        begin, end = info["data_offsets"]
        count = math.prod(info["shape"])
        tensors[name] = Tensor(info["dtype"], info["shape"], struct.unpack(f"<{count}{FORMATS[info['dtype']]}", data[begin:end]))
    return tensors


def tensor_errors(got, want):
    """As compare.tensor_errors."""
    diff = [a - b for a, b in zip(got.numbers, want.numbers, strict=True)]
    if not all(map(math.isfinite, diff)):
        return math.inf, math.inf, math.inf
    if not diff:
        return 0.0, 0.0, 0.0
    square, norm = math.fsum(d * d for d in diff), math.sqrt(math.fsum(b * b for b in want.numbers))
    relative = math.sqrt(square) / norm if norm > 0 else (0.0 if square == 0 else math.inf)
    return max(map(abs, diff)), math.sqrt(square / len(diff)), relative
