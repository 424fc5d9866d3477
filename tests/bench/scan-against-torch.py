#!/usr/bin/env python3
"""The selective scan against PyTorch's reference loop, in turns, one thread.

    scan-against-torch.py SCAN [--rounds N]

The loop is mamba's selective_scan_ref (Gu and Dao, 2023) at the width of DiM-Huge: 366 tokens, 3072
channels, 16 states, softplus, D and gate included. Both by processor time, of both the best round
counts. Any Python that can import torch will do. Exit status: 0 the target is reached, 1 it is not,
77 there is no torch here.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import os
import subprocess
import sys
import time

TARGET = 60
TOKENS, CHANNELS, STATES = 366, 3072, 16


def selective_scan_ref(torch, u, delta, A, B, C, D, z):
    """u, delta, z [b, d, l]; A [d, n]; B, C [b, n, l]; D [d]."""
    functional = torch.nn.functional
    delta = functional.softplus(delta)
    delta_a = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    delta_b_u = torch.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    x = A.new_zeros((u.shape[0], u.shape[1], A.shape[1]))
    ys = []
    for i in range(u.shape[2]):
        x = delta_a[:, :, i] * x + delta_b_u[:, :, i]
        ys.append(torch.einsum("bdn,bn->bd", x, C[:, :, i]))
    y = torch.stack(ys, dim=2) + u * D[:, None]
    return y * functional.silu(z)


def operands(torch):
    torch.manual_seed(1)
    u, z = torch.randn(1, CHANNELS, TOKENS), torch.randn(1, CHANNELS, TOKENS)
    delta = torch.randn(1, CHANNELS, TOKENS) - 3
    A = -torch.arange(1.0, STATES + 1).repeat(CHANNELS, 1)
    B, C = torch.randn(1, STATES, TOKENS), torch.randn(1, STATES, TOKENS)
    return u, delta, A, B, C, torch.ones(CHANNELS), z


def own_rate(scan):
    """Tokens a second of ours, and its share of the exp yardstick."""
    env = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    lines = subprocess.check_output([scan, "1", "1", str(TOKENS), str(CHANNELS), str(STATES)],
                                    env=env, text=True)
    values = dict(line.split(" ", 1) for line in lines.splitlines())
    return float(values["tokens_per_second"]), float(values["ratio"])


def torch_rate(torch, inputs):
    begin = time.process_time()
    with torch.no_grad():
        selective_scan_ref(torch, *inputs)
    return TOKENS / (time.process_time() - begin)


def main():
    parser = argparse.ArgumentParser(description="The scan against PyTorch's reference loop.")
    parser.add_argument("scan")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("no torch in this Python; run it by hand: PYTHON-WITH-TORCH", *sys.argv)
        return 77
    torch.set_num_threads(1)
    inputs = operands(torch)
    ours, theirs, share = 0, 0, 0
    for _ in range(options.rounds):
        rate, ratio = own_rate(options.scan)
        ours, share = max(ours, rate), max(share, ratio)
        theirs = max(theirs, torch_rate(torch, inputs))
    print(f"ours {ours:.0f} token/s ({share:.2f} of the exp yardstick), "
          f"torch {torch.__version__} selective_scan_ref {theirs:.0f} token/s: {ours / theirs:.0f} x, "
          f"expected {TARGET} x or more")
    return 0 if ours >= TARGET * theirs else 1


if __name__ == "__main__":
    sys.exit(main())
