#!/usr/bin/env python3
"""Makes the gradient cases of this folder: a PyTorch DiM in float64, one batch, the squared error, every gradient.

usage: make.py DIM.PY [FOLDER]     DIM.PY: a PyTorch implementation with published tensor names (class DiM); needs torch, numpy

A case is one safetensors file: "weights/NAME", "gradient/NAME", "x", "t", "y", "target", "output", "loss"; its model.json
beside it says the configuration. The weights are drawn anew, so that nothing is zero.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import importlib.util
import json
import os
import struct
import sys

import torch

CASES = {  # name: (configuration in the words of model.json, latent height, latent width)
    "lateral": ({"hidden_size": 24, "depth": 5, "in_channels": 4, "num_classes": 3, "d_state": 4}, 8),
    "rho": ({"hidden_size": 16, "depth": 7, "in_channels": 3, "num_classes": 2, "d_state": 5, "d_conv": 4,
             "expand": 3, "pad_schedule": "rho_pad", "pad_token_len": 3, "scan_directions": 3}, 10),
}


def save(path, tensors):
    header, blobs, at = {}, [], 0
    for name, t in tensors.items():
        kind = "I64" if t.dtype == torch.int64 else "F32"
        blob = (t if kind == "I64" else t.float()).contiguous().numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def make(dim, name, folder):
    config, side = CASES[name]
    torch.manual_seed(sum(map(ord, name)))
    c = config
    net = dim.DiM(c["hidden_size"], c["depth"], c["num_classes"], C=c["in_channels"], grid=side // 2,
                  n=c.get("d_state", 16), pad=c.get("pad_token_len", 3), S=c.get("scan_directions", 4),
                  k=c.get("d_conv", 3), expand=c.get("expand", 2), schedule=c.get("pad_schedule", "lateral")).double()
    with torch.no_grad():
        for p in net.parameters():  # float32 numbers, as the file has them
            p.add_(0.05 * torch.randn_like(p))
            p.copy_(p.float().double())
    x = torch.randn(2, c["in_channels"], side, side).float().double()
    t = torch.tensor([37.0, 812.0], dtype=torch.float64)
    y = torch.tensor([0, c["num_classes"]])
    target = torch.randn_like(x).float().double()
    output = net(x, t, y)
    loss = ((output - target) ** 2).mean()
    loss.backward()
    tensors = {"x": x, "t": t, "y": y, "target": target, "output": output.detach(), "loss": loss.detach().reshape(1)}
    for key, p in net.named_parameters():
        tensors["weights/" + key] = p.detach()
        tensors["gradient/" + key] = p.grad
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    save(os.path.join(folder, name, "case.safetensors"), tensors)
    model = {"format": "gimp-dim-model", "version": 1, "name": "gradients: " + name,
             "backbone": {"family": "dim", "weights": "case.safetensors", "config": config},
             "native_size": side}
    with open(os.path.join(folder, name, "model.json"), "w") as f:
        json.dump(model, f, indent=1)
        f.write("\n")
    print(f"{name}: {sum(p.numel() for p in net.parameters())} parameters, loss {loss.item():.6f}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    spec = importlib.util.spec_from_file_location("dim", sys.argv[1])
    dim = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dim)
    for name in CASES:
        make(dim, name, sys.argv[2] if len(sys.argv) == 3 else os.path.dirname(os.path.abspath(__file__)))


if __name__ == "__main__":
    main()
