#!/usr/bin/env python3
"""Checkpoints of the largest published shapes, with random weights: how fast they load, what memory sampling takes.

    large-models.py DIM MAKE_CHECKPOINT FOLDER [--models NAME ...] [--threads N]

DiM-Huge, DiT-XL/2 and DiffuSSM-XL, one after the other. Each is written to a folder below FOLDER as a bare state dict
in a PyTorch archive, imported from it together with the published autoencoder's shape, loaded from the page cache by
`dim bench`, and sampled at 256 x 256 with guidance, one step up to the latent. Peak memory is ru_maxrss of that
process, which counts everything: mapped pages of the checkpoint, libraries, the sampler. It stands against what bench
says the device holds: packed weights and the arena of one evaluation. Of loading, the lesser of wall clock and
processor time counts, since other work on the machine only adds to the clock. 8 GB of disk while it runs, 5 GB of
memory.

Exit status: 0 every target is met, 1 one is missed or a command fails, 77 FOLDER's file system has no room.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import json
import os
import pathlib
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

# family, backbone.config, side of the position table in tokens
MODELS = {
    "DiM-Huge": ("dim", {"hidden_size": 1536, "depth": 49, "num_classes": 1000}, 16),
    "DiT-XL/2": ("dit", {}, 16),
    "DiffuSSM-XL": ("diffussm", {}, 16),
}
LOAD_SECONDS, MEMORY, DISK = 10, 1.15, 8e9
SAMPLE = ["--size", "256x256", "--class", "3", "--guidance", "4", "--sampler", "ddim", "--steps", "1", "--seed", "1"]


def parse():
    parser = argparse.ArgumentParser(description="Load and sample the largest published shapes.")
    parser.add_argument("dim")
    parser.add_argument("make")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


# ---- a PyTorch archive ---------------------------------------------------------------------------

def plain(value):
    """Numbers, texts and tuples of them as a pickle's inside."""
    return pickle.dumps(value, 2)[2:-1]


def strides_of(shape):
    strides = [1]
    for side in reversed(shape[1:]):
        strides.insert(0, strides[0] * side)
    return tuple(strides[:len(shape)])


def pickled(key, shape, count):
    """A float32 tensor that is the whole of a storage, as torch.save writes it."""
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + plain("storage") + b"ctorch\nFloatStorage\n" + plain(key) +
            plain("cpu") + plain(count) + b"tQ" + plain(0) + plain(tuple(shape)) + plain(strides_of(shape)) +
            b"\x89)tR")


def write_archive(safetensors, archive):
    """The tensors of a safetensors file of float32 as torch.save would write their dictionary."""
    with open(safetensors, "rb") as file, zipfile.ZipFile(archive, "w") as out:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        structure = b"\x80\x02}("
        for key, (name, tensor) in enumerate(header.items()):
            begin, end = tensor["data_offsets"]
            structure += plain(name) + pickled(str(key), tensor["shape"], (end - begin) // 4)
            file.seek(8 + length + begin)
            record = zipfile.ZipInfo(f"archive/data/{key}")
            record.file_size = end - begin
            with out.open(record, "w") as data:
                data.write(file.read(end - begin))
        out.writestr("archive/data.pkl", structure + b"u.")
        out.writestr("archive/version", "3\n")


# ---- one model -----------------------------------------------------------------------------------

def run(*command):
    """Its output, the seconds it took and the most memory it had, in bytes."""
    begin = time.monotonic()
    env = {"OMP_WAIT_POLICY": "passive", **os.environ}
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, env=env)
    try:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"large-models.py: {command[0]} {command[1]}: exit status {process.returncode}")
    return output, time.monotonic() - begin, usage.ru_maxrss * 1024


def measure(options, folder, name):
    family, config, side = MODELS[name]
    made, checkpoint, autoencoder = (folder / file for file in ("made.safetensors", "checkpoint.pt", "kl.safetensors"))
    model, latent, threads = folder / "model", folder / "latent.safetensors", ["--threads", options.threads]

    run(options.make, family, json.dumps(config), side, made)
    write_archive(made, checkpoint)
    made.unlink()
    run(options.make, "kl", "{}", 0, autoencoder)
    _, imported, _ = run(options.dim, "import", checkpoint, "--autoencoder", autoencoder, "-o", model, *threads)
    bench = json.loads(run(options.dim, "bench", "--model", model, "--repeat", 1, "--json", *threads)[0])
    _, _, peak = run(options.dim, "sample", "--model", model, *SAMPLE, "--latent", latent, *threads)
    run(options.dim, "info", "--check", latent)  # finite
    return imported, bench, peak


def show(name, imported, bench, peak):
    """A row of the table; whether the targets are met."""
    load, cpu = bench["load_ms"] / 1e3, bench["load_cpu_ms"] / 1e3
    held, weights = bench["memory"]["bytes"], bench["memory"]["weights"]
    good = min(load, cpu) < LOAD_SECONDS and peak <= MEMORY * held
    print(f"{name:12} {imported:8.1f} {load:8.2f} {cpu:8.2f} {weights / 1e6:9.1f} "
          f"{(held - weights) / 1e6:7.1f} {peak / 1e6:8.1f} {peak / held:7.3f}{'' if good else '  missed'}", flush=True)
    return good


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the files go, too
    os.makedirs(options.folder, exist_ok=True)
    if shutil.disk_usage(options.folder).free < DISK:
        print(f"large-models.py: {options.folder} has less than {DISK / 1e9:.0f} GB left")
        return 77
    print(f"targets: load below {LOAD_SECONDS} s, peak / (weights + arena) at most {MEMORY}; {options.threads} thread(s)")
    print("             import s   load s    cpu s weights MB  arena  peak MB   ratio", flush=True)
    good = True
    for name in options.models:
        with tempfile.TemporaryDirectory(prefix="dim-large-", dir=options.folder) as folder:
            good &= show(name, *measure(options, pathlib.Path(folder), name))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
