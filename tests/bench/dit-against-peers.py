#!/usr/bin/env python3
"""DiT's forward against PyTorch and OpenVINO, in turns, on the same random weights.

    dit-against-peers.py DIM [--sizes S B] [--depth N] [--rounds N] [--threads N] [--compile]

One guided evaluation at 256 pixels, a batch of 2 of 256 tokens, of DiT-S/2 and DiT-B/2 (or --sizes L XL). Everyone's outputs
are compared with PyTorch's float32 first. Times are processor time, of each the least of all rounds. Measured are

    f32   ours, PyTorch eager, OpenVINO told to keep to float32
    best  the faster of ours with --precision f32 and bf16; of PyTorch's eager float32, bf16 autocast and, with
          --compile, both compiled; of OpenVINO's two: f32 and what it takes by itself

Wants a Python with torch; without openvino there it is left out. --depth takes fewer blocks than published. Exit
status: 0 ours is the fastest of both rows at every size, 1 it is not or an output differs, 77 there is no torch here.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}
SIDE, PATCH, CHANNELS, CLASSES = 32, 2, 4, 1000
HOPELESS = 2  # times as slow as the fastest: not measured again
AGREE = {"f32": 1e-4, "bf16": 5e-2, "default": 1e-1}  # |a - b| / |b|


def parse():
    parser = argparse.ArgumentParser(description="DiT's forward against PyTorch and OpenVINO.")
    parser.add_argument("dim")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["S", "B"])
    parser.add_argument("--depth", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


# ---- the model in PyTorch --------------------------------------------------------------------

def make_module(torch, width, depth, heads):
    """A DiT with the published names, its position table left to the formula."""
    nn, f = torch.nn, torch.nn.functional
    tokens, grid = (SIDE // PATCH) ** 2, SIDE // PATCH

    def positions():
        k = torch.arange(width // 4, dtype=torch.float64)
        at = torch.arange(grid, dtype=torch.float64)[:, None] * 10000 ** (-k / (width // 4))
        line = torch.cat([at.sin(), at.cos()], 1)
        return torch.cat([line.repeat(grid, 1), line.repeat_interleave(grid, 0)], 1).float()

    def modulate(x, shift, scale):
        return f.layer_norm(x, (width,), eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            b, n, _ = x.shape
            qkv = self.qkv(x).reshape(b, n, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            y = f.scaled_dot_product_attention(*qkv.unbind(0))
            return self.proj(y.transpose(1, 2).reshape(b, n, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = Attention()
            self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width),
                                      "fc2": nn.Linear(4 * width, width)})
            self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

        def forward(self, x, c):
            s1, a1, g1, s2, a2, g2 = self.adaLN_modulation(c).chunk(6, 1)
            x = x + g1[:, None] * self.attn(modulate(x, s1, a1))
            hidden = f.gelu(self.mlp["fc1"](modulate(x, s2, a2)), approximate="tanh")
            return x + g2[:, None] * self.mlp["fc2"](hidden)

    class DiT(nn.Module):
        def __init__(self):
            super().__init__()
            self.x_embedder = nn.ModuleDict(
                {"proj": nn.Conv2d(CHANNELS, width, PATCH, stride=PATCH)})
            self.t_embedder = nn.ModuleDict({"mlp": nn.Sequential(
                nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))})
            self.y_embedder = nn.ModuleDict(
                {"embedding_table": nn.Embedding(CLASSES + 1, width)})
            self.blocks = nn.ModuleList([Block() for _ in range(depth)])
            self.final_layer = nn.ModuleDict({
                "adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width)),
                "linear": nn.Linear(width, PATCH * PATCH * 2 * CHANNELS)})
            self.register_buffer("positions", positions(), persistent=False)

        def forward(self, x, t, y):
            angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
            time_vector = self.t_embedder["mlp"](torch.cat([angle.cos(), angle.sin()], 1))
            c = time_vector + self.y_embedder["embedding_table"](y)
            v = self.x_embedder["proj"](x).flatten(2).transpose(1, 2) + self.positions
            for block in self.blocks:
                v = block(v, c)
            shift, scale = self.final_layer["adaLN_modulation"](c).chunk(2, 1)
            v = self.final_layer["linear"](modulate(v, shift, scale))
            v = v.reshape(-1, grid, grid, PATCH, PATCH, 2 * CHANNELS)
            return torch.einsum("nhwpqc->nchpwq", v).reshape(-1, 2 * CHANNELS, SIDE, SIDE)

    torch.manual_seed(1)
    module = DiT().eval()
    for name, p in module.named_parameters():
        wide = p.ndim > 1 and "table" not in name
        torch.nn.init.normal_(p, 0, 1 / math.sqrt(p[0].numel()) if wide else 0.1)
    return module


def write_folder(write_tensors, folder, module, width, depth, heads):
    config = {"input_size": SIDE, "patch_size": PATCH, "in_channels": CHANNELS, "depth": depth,
              "hidden_size": width, "num_heads": heads, "num_classes": CLASSES}
    model = {"format": "gimp-dim-model", "version": 1, "name": "random weights",
             "backbone": {"family": "dit", "weights": "weights.safetensors", "config": config},
             "noise_schedule": {"type": "linear", "beta_start": 0.0001, "beta_end": 0.02,
                                "timesteps": 1000},
             "prediction": "epsilon", "unconditional_class": CLASSES, "native_size": SIDE}
    (folder / "model.json").write_text(json.dumps(model))
    write_tensors(folder / "weights.safetensors",
                  {name: value.numpy() for name, value in module.state_dict().items()})


# ---- those who take part: name -> (precision, seconds of one evaluation, output) -------------

class Ours:
    def __init__(self, options, folder, precision):
        self.env = {"OMP_WAIT_POLICY": "passive", **os.environ}
        self.of = ["--model", folder, "--inputs", folder / "inputs.safetensors", "--threads",
                   str(options.threads), "--precision", precision]
        self.dim, self.output = options.dim, folder / "output.safetensors"

    def time(self):
        text = subprocess.check_output([self.dim, "bench", *self.of, "--json", "--repeat", "3"],
                                       env=self.env)
        return json.loads(text)["least_cpu_ms"]

    def run(self):
        from compare import read_tensors
        subprocess.run([self.dim, "forward", *self.of, "--output", self.output], check=True,
                       env=self.env)
        return read_tensors(self.output)["output"]


class Peer:
    """One that is called here; `run` is called first, which compiles and warms up."""

    def __init__(self, call):
        self.call = call

    def time(self):
        least = math.inf
        for _ in range(3):
            begin = time.process_time()
            self.call()
            least = min(least, time.process_time() - begin)
        return 1e3 * least

    def run(self):
        return self.call()


def torch_peers(torch, module, inputs, compiles):
    modules = {"PyTorch": module}
    if compiles:
        modules["PyTorch compiled"] = torch.compile(module)

    def call(of, autocast):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return of(*inputs).float().numpy()

    peers = {}
    for name, of in modules.items():
        peers[name] = ("f32", Peer(lambda of=of: call(of, False)))
        peers[name + " bf16"] = ("bf16", Peer(lambda of=of: call(of, True)))
    return peers


def openvino_peers(module, inputs, threads):
    try:
        import openvino
    except ImportError:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer that it uses
        converted = openvino.convert_model(module, example_input=inputs,
                                           input=[list(x.shape) for x in inputs])
    arrays = [x.numpy() for x in inputs]
    peers = {}
    for name, more in (("f32", {"INFERENCE_PRECISION_HINT": "f32"}), ("default", {})):
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        request = openvino.compile_model(converted, "CPU", {**settings, **more}).create_infer_request()
        peers["OpenVINO" if more else "OpenVINO default"] = (
            name, Peer(lambda r=request: r.infer(arrays)[0].copy()))
    return peers


# ---- one size --------------------------------------------------------------------------------

def agree(takers, want):
    import numpy as np
    good = True
    for name, (precision, taker) in takers.items():
        error = np.linalg.norm(taker.run() - want) / np.linalg.norm(want)
        good &= bool(error < AGREE[precision])
        print(f"  {name:24} differs from PyTorch's float32 by {error:.1e}"
              + ("" if error < AGREE[precision] else f", expected less than {AGREE[precision]:.0e}"))
    return good


def table(takers, rounds, work):
    least = dict.fromkeys(takers, 0)
    for _ in range(rounds):
        for name, (_, taker) in takers.items():
            if least[name] <= HOPELESS * min(least.values()):
                ms = taker.time()
                least[name] = min(ms, least[name] or ms)
    for name, ms in sorted(least.items(), key=lambda item: item[1]):
        print(f"  {name:24} {ms:8.1f} ms {work / ms * 1e-6:8.1f} GFLOP/s")
    return least


def is_ahead(takers, least):
    good = True
    for row, precisions in (("f32", ("f32",)), ("best", ("f32", "bf16", "default"))):
        of = {name: ms for name, ms in least.items() if takers[name][0] in precisions}
        ours = min(ms for name, ms in of.items() if name.startswith("ours"))
        for peer in ("PyTorch", "OpenVINO"):
            theirs = [ms for name, ms in of.items() if name.startswith(peer)]
            if theirs:
                print(f"  {row:5} ours / {peer}: {min(theirs) / ours:.2f} x, expected 1.00 x or more")
                good &= ours <= min(theirs)
    return good


def measure(torch, options, size):
    from reference import write_tensors
    width, depth, heads = SIZES[size]
    depth = options.depth or depth
    module = make_module(torch, width, depth, heads)
    inputs = (torch.randn(1, CHANNELS, SIDE, SIDE).repeat(2, 1, 1, 1), torch.tensor([500.0] * 2),
              torch.tensor([207, CLASSES]))
    tokens = (SIDE // PATCH) ** 2
    work = 4 * tokens * (depth * (12 * width ** 2 + 2 * tokens * width) + 48 * width)
    with tempfile.TemporaryDirectory(prefix="dim-dit-") as name:
        folder = pathlib.Path(name)
        write_folder(write_tensors, folder, module, width, depth, heads)
        write_tensors(folder / "inputs.safetensors",
                      {name: x.numpy() for name, x in zip("xty", inputs)})
        takers = {"ours": ("f32", Ours(options, folder, "f32")),
                  "ours bf16": ("bf16", Ours(options, folder, "bf16")),
                  **torch_peers(torch, module, inputs, options.compile),
                  **openvino_peers(module, inputs, options.threads)}
        print(f"DiT-{size}/2, {depth} blocks, batch 2, {options.threads} thread(s), processor time, "
              f"the least of {options.rounds} rounds")
        good = agree(takers, takers["PyTorch"][1].run())
        return is_ahead(takers, table(takers, options.rounds, work)) and good


def main():
    options = parse()
    try:
        import torch
    except ImportError:
        print("no torch in this Python; run it by hand: PYTHON-WITH-TORCH", *sys.argv)
        return 77
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
    torch.set_num_threads(options.threads)
    return 0 if all([measure(torch, options, size) for size in options.sizes]) else 1


if __name__ == "__main__":
    sys.exit(main())
