#!/usr/bin/env python3
"""Training against PyTorch, in turns, one thread, samples a second of processor time.

    train-against-torch.py TRAIN MODULE.PY [--family dim|dit] [--side N] [--rounds N] [--batch N]

TRAIN is this folder's program, MODULE.PY a DiM in PyTorch (class DiM with published tensor names, `fast` for a compiled scan)
or a DiT (class DiT of a dict of tensors and a configuration, and random_weights). Both train the shape of a small texture model
at 128 pixels: width 256, 9 blocks, batch 32; forward, backward, AdamW, average. Of PyTorch's DiM (16 states) these are measured:

    loop      the scan as a Python loop, float32
    compiled  the compiled scan, bf16 autocast (needs AVX-512, g++, ninja)
    no scan   the scan replaced by a product, in float32 and under bf16 autocast: more than any scan can reach

Of a DiT (4 heads, no variances) float32, its attention PyTorch's fused one. SIDE is of the latent grid: 16 has 64 tokens, 32
has 256.

Where the compiled scan cannot run, "no scan" stands in for it: who is three times as fast as a training without any scan is so
all the more against one with it. Exit status: 0 the targets are reached (20 x the loop, 3 x compiled or what stands in
for it; 1.2 x a DiT), 1 they are not, 77 there is no torch here.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import importlib.util
import os
import subprocess
import sys
import time

TARGETS = {"loop": 20, "compiled": 3, "dit": 1.2}
WIDTH, DEPTH, CLASSES, CHANNELS = 256, 9, 15, 16


def load(path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location("module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def own_rate(train, batch, side, family):
    env = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    text = subprocess.check_output([train, "1", str(batch), "2", str(side), family], env=env, text=True)
    return float(text.split("samples_per_cpu_second ")[1])


class NoScan:
    """Stands where the compiled scan is called: one product, and so nearly nothing."""
    @staticmethod
    def apply(u, delta, A, B, C, D):
        return u * delta + 0 * (A.sum() + B.sum() + C.sum() + D.sum())


def make_dit(torch, dit, side):
    """The module's DiT with trained tensors and PyTorch's fused attention; its positions are fixed."""
    class Fused(dit.DiT):
        def attention(self, x, name):
            n, length, d = x.shape
            heads = self.c["num_heads"]
            q, k, v = self.linear(x, name + ".qkv").reshape(n, length, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
            a = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            return self.linear(a.transpose(1, 2).reshape(n, length, d), name + ".proj")

    config = {"input_size": side, "in_channels": CHANNELS, "hidden_size": WIDTH, "depth": DEPTH, "num_heads": 4,
              "num_classes": CLASSES, "learn_sigma": False}
    weights = dit.random_weights(config, 0)
    trained = [w.requires_grad_() for name, w in weights.items() if name != "pos_embed"]
    return Fused(weights, config), trained


class Peer:
    def __init__(self, torch, module, family, name, bf16, batch, side):
        torch.manual_seed(0)
        self.torch, self.bf16, self.batch = torch, bf16, batch
        if family == "dit":
            self.net, self.trained = make_dit(torch, module, side)
        else:
            self.net = module.DiM(WIDTH, DEPTH, CLASSES, C=CHANNELS, grid=side // 2, fast=name != "loop")
            self.trained = list(self.net.parameters())
        self.scan = {"no scan": NoScan, "compiled": getattr(module, "ScanFast", None)}.get(name)
        self.dim, self.average = module, [p.detach().clone() for p in self.trained]
        self.optimiser = torch.optim.AdamW(self.trained, lr=1e-4, betas=(0.9, 0.99), fused=True)
        self.x = torch.randn(batch, CHANNELS, side, side)
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
            torch._foreach_lerp_(self.average, self.trained, 0.001)

    def rate(self):
        begin = time.process_time()
        self.step()
        return self.batch / (time.process_time() - begin)


def peers_of(torch, module, options):
    def peer(name, bf16):
        return Peer(torch, module, options.family, name, bf16, options.batch, options.side)

    if options.family == "dit":
        return {"dit, f32": peer("dit", False)}, {"dit, f32": TARGETS["dit"]}
    peers = {"loop, f32": peer("loop", False), "no scan, f32": peer("no scan", False), "no scan, bf16": peer("no scan", True)}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        has_avx512 = "avx512f" in f.read()
    if has_avx512:
        peers["compiled, bf16"] = peer("compiled", True)
    return peers, {"loop, f32": TARGETS["loop"], "compiled, bf16" if has_avx512 else "no scan, bf16": TARGETS["compiled"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("module")
    parser.add_argument("--family", choices=["dim", "dit"], default="dim")
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("no torch here")
        return 77
    torch.set_num_threads(1)
    peers, targets = peers_of(torch, load(options.module), options)
    best = dict.fromkeys(["own", *peers], 0)
    for _ in range(options.rounds):
        best["own"] = max(best["own"], own_rate(options.train, options.batch, options.side, options.family))
        for name, peer in peers.items():
            peer.rate()  # warm
            best[name] = max(best[name], peer.rate())
    for name, rate in best.items():
        print(f"{name:16} {rate:8.2f} samples / CPU second, own is {best['own'] / rate:6.2f} x")
    return 0 if all(best["own"] >= factor * best[name] for name, factor in targets.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
