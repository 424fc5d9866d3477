#!/usr/bin/env python3
"""Training a DiM against PyTorch, in turns, one thread, samples a second of processor time.

    train-against-torch.py TRAIN DIM.PY [--rounds N] [--batch N]

TRAIN is this folder's program, DIM.PY a DiM in PyTorch (class DiM with published tensor names, `fast` for a compiled scan).
Both train the shape of a small texture model at 128 pixels: width 256, 9 blocks, 16 states, batch 32; forward, backward,
AdamW, average. Of PyTorch these are measured:

    loop      the scan as a Python loop, float32
    compiled  the compiled scan, bf16 autocast (needs AVX-512, g++, ninja)
    no scan   the scan replaced by a product, in float32 and under bf16 autocast: more than any scan can reach

Where the compiled scan cannot run, "no scan" stands in for it: who is three times as fast as a training without any scan is so
all the more against one with it. Exit status: 0 the targets are reached (20 x the loop, 3 x compiled or what stands in
for it), 1 they are not, 77 there is no torch here.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import importlib.util
import os
import subprocess
import sys
import time

TARGETS = {"loop": 20, "compiled": 3}
WIDTH, DEPTH, CLASSES, CHANNELS, SIDE = 256, 9, 15, 16, 16


def load(path):
    spec = importlib.util.spec_from_file_location("dim", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def own_rate(train, batch):
    env = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    text = subprocess.check_output([train, "1", str(batch), "2"], env=env, text=True)
    return float(text.split("samples_per_cpu_second ")[1])


class NoScan:
    """Stands where the compiled scan is called: one product, and so nearly nothing."""
    @staticmethod
    def apply(u, delta, A, B, C, D):
        return u * delta + 0 * (A.sum() + B.sum() + C.sum() + D.sum())


class Peer:
    def __init__(self, torch, dim, name, bf16, batch):
        torch.manual_seed(0)
        self.torch, self.bf16, self.batch = torch, bf16, batch
        self.net = dim.DiM(WIDTH, DEPTH, CLASSES, C=CHANNELS, grid=SIDE // 2, fast=name != "loop")
        self.scan = {"no scan": NoScan, "compiled": dim.ScanFast}.get(name)
        self.dim, self.average = dim, [p.detach().clone() for p in self.net.parameters()]
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
        self.x = torch.randn(batch, CHANNELS, SIDE, SIDE)
        self.t, self.y = torch.linspace(1, 999, batch), torch.arange(batch) % CLASSES
        self.target = torch.randn_like(self.x)

    def step(self):
        torch = self.torch
        if self.scan:
            self.dim.ScanFast = self.scan
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            output = self.net(self.x, self.t, self.y)
        loss = ((output.float() - self.target) ** 2).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.net.parameters()), 0.001)

    def rate(self):
        begin = time.process_time()
        self.step()
        return self.batch / (time.process_time() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("dim")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("no torch here")
        return 77
    torch.set_num_threads(1)
    dim = load(options.dim)
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        has_avx512 = "avx512f" in f.read()
    peers = {"loop, f32": Peer(torch, dim, "loop", False, options.batch),
             "no scan, f32": Peer(torch, dim, "no scan", False, options.batch),
             "no scan, bf16": Peer(torch, dim, "no scan", True, options.batch)}
    if has_avx512:
        peers["compiled, bf16"] = Peer(torch, dim, "compiled", True, options.batch)
    best = dict.fromkeys(["own", *peers], 0)
    for _ in range(options.rounds):
        best["own"] = max(best["own"], own_rate(options.train, options.batch))
        for name, peer in peers.items():
            peer.rate()  # warm
            best[name] = max(best[name], peer.rate())
    for name, rate in best.items():
        print(f"{name:16} {rate:8.2f} samples / CPU second, own is {best['own'] / rate:6.1f} x")
    instead = "compiled, bf16" if has_avx512 else "no scan, bf16"
    return 0 if best["own"] >= TARGETS["loop"] * best["loop, f32"] and \
        best["own"] >= TARGETS["compiled"] * best[instead] else 1


if __name__ == "__main__":
    sys.exit(main())
