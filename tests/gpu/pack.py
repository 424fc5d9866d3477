#!/usr/bin/env python3
"""What card.py takes, in one folder, for a machine with a card and a Python but without our packages and compilers.

usage: pack.py BUILD FOLDER

BUILD is a build folder with everything built, its module for that machine's card. FOLDER is made; there, `python3
FOLDER/tests/gpu/card.py FOLDER/build` does the work. It has the programs with the libraries that they load, but for the C
library, which must be as new as here, and CUDA's own (libcublasLt, of the toolkit), the golden cases, and what `card.py
--prepare` counts, so that no minute with the card goes into it.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import re
import shutil
import subprocess
import sys

import card

PROGRAMS = ["engine/dim", "tests/kern/kern", "tests/kern/kern-device", "tests/kern/kern-properties", "tests/kern/kern-gradients",
            "tests/kern/kern-gradients-wide", "tests/gpu/roof", "tests/bench/make-random-model"]
OTHERS = ["kernels/cuda/dim-cuda.so", "tests/cuda-host/dim-cuda-check.so", "tests/gpu/counts.json"]
SOURCES = ["tests/gpu", "tests/cuda-host", "tests/kern/ops.h", "install/models/textures", "tests/golden/compare.py",
           "tests/golden/plain_tensors.py", *(f"tests/golden/{family}" for family in card.FAMILIES)]
LEFT_OUT = re.compile(r"(ld-linux|lib(c|m|dl|rt|pthread|cuda|cublas\w*))[-.]")


def copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(source):
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def libraries(program):
    """What it loads from where."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    found = re.findall(r"^\s*(\S+) => (/\S+)", done.stdout, re.MULTILINE)
    return {name: path for name, path in found if not LEFT_OUT.match(name)}


def main():
    build, folder = sys.argv[1:]
    subprocess.run([sys.executable, card.__file__, build, "--prepare"], check=True)
    for name in [*PROGRAMS, *OTHERS]:
        copy(os.path.join(build, name), os.path.join(folder, "build", name))
    for name in SOURCES:
        copy(os.path.join(card.ROOT, name), os.path.join(folder, name))
    for program in PROGRAMS:
        for name, path in libraries(os.path.join(build, program)).items():
            copy(path, os.path.join(folder, "lib", name))
    with open(os.path.join(folder, "commit"), "w", encoding="utf-8") as file:
        file.write(card.commit() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
