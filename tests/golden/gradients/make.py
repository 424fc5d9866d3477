#!/usr/bin/env python3
"""Makes the gradient cases of this folder: a PyTorch network in float64, one batch, the squared error, every gradient.

usage: make.py REFERENCE [NAME...]     REFERENCE: a folder with dim.py (class DiM with published tensor names), dit.py and
                                       diffussm.py (classes DiT and DiffuSSM of a dict of tensors and a configuration,
                                       and random_weights); needs torch, numpy

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

CASES = {  # name: (family, configuration in the words of model.json, latent height, latent width)
    "lateral": ("dim", {"hidden_size": 24, "depth": 5, "in_channels": 4, "num_classes": 3, "d_state": 4}, 8, 8),
    "rho": ("dim", {"hidden_size": 16, "depth": 7, "in_channels": 3, "num_classes": 2, "d_state": 5, "d_conv": 4,
             "expand": 3, "pad_schedule": "rho_pad", "pad_token_len": 3, "scan_directions": 3}, 10, 10),
    "attention": ("dit", {"input_size": 8, "in_channels": 4, "hidden_size": 16, "depth": 2, "num_heads": 2,
                          "num_classes": 3}, 8, 8),
    "attention-plain": ("dit", {"input_size": 8, "patch_size": 1, "in_channels": 3, "hidden_size": 12, "depth": 3,
                                "num_heads": 1, "mlp_ratio": 2.5, "num_classes": 2, "class_dropout_prob": 0,
                                "learn_sigma": False}, 6, 7),
    "s4d": ("diffussm", {"input_size": 8, "in_channels": 4, "hidden_size": 16, "depth": 2, "d_state": 6, "num_classes": 3},
            8, 8),
    "s4d-thirds": ("diffussm", {"patch_size": 2, "in_channels": 2, "hidden_size": 12, "depth": 2, "hourglass_ratio": 3,
                                "d_state": 10, "num_classes": 0, "learn_sigma": False, "pos_embed": "sincos"}, 8, 12),
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


def load(folder, name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_dim(reference, c, side):
    net = load(reference, "dim").DiM(
        c["hidden_size"], c["depth"], c["num_classes"], C=c["in_channels"], grid=side // 2, n=c.get("d_state", 16),
        pad=c.get("pad_token_len", 3), S=c.get("scan_directions", 4), k=c.get("d_conv", 3), expand=c.get("expand", 2),
        schedule=c.get("pad_schedule", "lateral")).double()
    with torch.no_grad():
        for p in net.parameters():  # float32 numbers, as the file has them
            p.add_(0.05 * torch.randn_like(p))
            p.copy_(p.float().double())
    return net, dict(net.named_parameters())


def make_other(reference, family, c):
    module = load(reference, family)
    weights = {k: v.double() for k, v in module.random_weights(c, len(str(c))).items()}
    for name, v in weights.items():
        v.requires_grad_(name != "pos_embed")
    kind = module.DiT if family == "dit" else module.DiffuSSM
    return kind(weights, c, torch.float64), {k: v for k, v in weights.items() if v.requires_grad}


def make(reference, name, folder):
    family, c, height, width = CASES[name]
    torch.manual_seed(sum(map(ord, name)))
    net, parameters = make_dim(reference, c, height) if family == "dim" else make_other(reference, family, c)
    channels = c["in_channels"]
    x = torch.randn(2, channels, height, width).float().double()
    t = torch.tensor([37.0, 812.0], dtype=torch.float64)
    y = torch.tensor([0, c["num_classes"] - (c.get("class_dropout_prob") == 0)])
    target = torch.randn(2, channels * (1 + (family != "dim" and c.get("learn_sigma", True))), height, width).float().double()
    output = net(x, t, y)
    loss = ((output - target) ** 2).mean()
    loss.backward()
    tensors = {"x": x, "t": t, "y": y, "target": target, "output": output.detach(), "loss": loss.detach().reshape(1)}
    for key, p in parameters.items():
        tensors["weights/" + key] = p.detach()
        tensors["gradient/" + key] = p.grad
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    save(os.path.join(folder, name, "case.safetensors"), tensors)
    model = {"format": "gimp-dim-model", "version": 1, "name": "gradients: " + name,
             "backbone": {"family": family, "weights": "case.safetensors", "config": c},
             "native_size": height}
    with open(os.path.join(folder, name, "model.json"), "w") as f:
        json.dump(model, f, indent=1)
        f.write("\n")
    print(f"{name}: {sum(p.numel() for p in parameters.values())} parameters, loss {loss.item():.6f}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.path.insert(0, sys.argv[1])
    for name in sys.argv[2:] or CASES:
        make(sys.argv[1], name, os.path.dirname(os.path.abspath(__file__)))


if __name__ == "__main__":
    main()
