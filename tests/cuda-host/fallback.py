#!/usr/bin/env python3
"""No CUDA, or one of no use: --device auto makes the picture on the CPU and says why in one line; --device cuda refuses
with the same cause.

usage: fallback.py DIM MODEL CC SOURCE_FOLDER HOST_MODULE [MODULE]

HOST_MODULE has the kernels executed on the host; MODULE is nvcc's, tried with a fake driver. CC compiles that, and a
module whose library is missing.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import re
import subprocess
import sys
import tempfile

# the driver's state: what the line must say
DRIVERS = {
    "fails": "driver fails: CUDA_ERROR_NOT_",
    "old": "driver is too old: it is for CUDA",
    "no-card": "finds no card",
    "old-card": "compute capability is 5.0; expected 7.5 or more",
}


def run(dim, model, device, output, env, size="32x32"):
    command = [dim, "sample", "--model", model, "--class", "grass", "--size", size, "--steps", "2", "--device", device,
               "--threads", "1", "-o", output]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DIM_CUDA", "FAKE_CUDA"))}
    done = subprocess.run(command, env={**clean, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr.strip().splitlines()


def check(what, expected, arguments, env):
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "picture.png")
        status, lines = run(*arguments, "auto", output, env)
        if status != 0 or not os.path.exists(output):
            faults.append(f"auto: exit status {status}")
        if len(lines) != 1 or expected not in lines[0] or "CPU" not in lines[0]:
            faults.append(f"auto: expected one line with \"CPU\" and \"{expected}\", got {lines}")
        os.path.exists(output) and os.remove(output)
        status, lines = run(*arguments, "cuda", output, env)
        if status != 1 or os.path.exists(output):
            faults.append(f"cuda: exit status {status}")
        if len(lines) != 1 or expected not in lines[0]:
            faults.append(f"cuda: expected one line with \"{expected}\", got {lines}")
    print(f"{'FAIL' if faults else 'ok'}   {what}" + "".join(f"\n       {fault}" for fault in faults))
    return not faults


def check_memory(arguments, module):
    """A card with room for a small picture only: the line offers a size, which then is made."""
    env, fault = {"DIM_CUDA_MODULE": module, "DIM_CUDA_HOST_MEMORY": str(32 << 20)}, ""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "picture.png")
        status, lines = run(*arguments, "cuda", output, env, "2048x1024")
        match = re.fullmatch(r"dim: size 2048x1024: needs \d+\.\d GB of the card's memory, 0\.[01] GB are free; "
                             r"the largest size of this shape that fits is (\d+x\d+)", "\n".join(lines))
        if status != 1 or not match or os.path.exists(output):
            fault = f"2048x1024: exit status {status}, {lines}"
        else:
            status, lines = run(*arguments, "cuda", output, env, match[1])
            fault = "" if status == 0 and not lines and os.path.exists(output) else f"{match[1]}: exit status {status}, {lines}"
    print(f"{'FAIL' if fault else 'ok'}   host: little memory {match and match[1]}{fault and chr(10) + '       ' + fault}")
    return not fault


def compile_library(cc, folder, name, source, *more):
    output = os.path.join(folder, name)
    subprocess.run([*cc.split(), "-shared", "-fPIC", "-w", "-o", output, source, *more], check=True)
    return output


def module_without_its_library(cc, folder):
    source = os.path.join(folder, "empty.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write("int dim_nothing;\n")
    gone = compile_library(cc, folder, "libdim-gone.so", source)
    module = compile_library(cc, folder, "needs-gone.so", source, "-Wl,--no-as-needed", "-L" + folder, "-ldim-gone")
    os.remove(gone)
    return module, compile_library(cc, folder, "stranger.so", source)


def main():
    dim, model, cc, sources, host, *real = sys.argv[1:]
    arguments, good = (dim, model), []
    with tempfile.TemporaryDirectory() as folder:
        needs_gone, stranger = module_without_its_library(cc, folder)
        good.append(check("no module", "there is no CUDA module", arguments, {"DIM_CUDA_MODULE": folder + "/none.so"}))
        good.append(check("a library is missing", "libdim-gone.so", arguments, {"DIM_CUDA_MODULE": needs_gone}))
        good.append(check("another module", "none of ours", arguments, {"DIM_CUDA_MODULE": stranger}))
        good.append(check("host: no driver", "there is no CUDA driver: libcuda.so.1", arguments,
                          {"DIM_CUDA_MODULE": host, "DIM_CUDA_HOST_DRIVER": "absent"}))
        good.append(check("host: no memory", "memory", arguments,
                          {"DIM_CUDA_MODULE": host, "DIM_CUDA_HOST_MEMORY": "1000"}))
        good.append(check("host: a kernel fails", "pack: an illegal memory access", arguments,
                          {"DIM_CUDA_MODULE": host, "DIM_CUDA_HOST_FAIL": "1"}))
        good.append(check_memory(arguments, host))
        for driver, expected in DRIVERS.items():
            good.append(check(f"host: {driver}", expected, arguments,
                              {"DIM_CUDA_MODULE": host, "DIM_CUDA_HOST_DRIVER": driver}))
        if real:
            compile_library(cc, folder, "libcuda.so.1", os.path.join(sources, "fake-libcuda.c"))
            for driver, expected in DRIVERS.items():
                good.append(check(f"nvcc's: {driver}", expected, arguments,
                                  {"DIM_CUDA_MODULE": real[0], "LD_LIBRARY_PATH": folder, "FAKE_CUDA": driver}))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
