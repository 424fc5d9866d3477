#!/usr/bin/env python3
"""DiM in plain numpy, float64, written from the paper's and the program's formulas with no code of the engine's.

    reference.py DIM GOLDEN

First it must meet the golden cases of the official program below GOLDEN. Then random models with the
configuration's other keys, which no published model has, go through `DIM forward` and through here.
Exit status: 0 all agree, 1 some do not.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

from compare import read_tensors

TOLERANCE = 2e-5  # rel_l2; float32 against float64, whose rounding makes 5e-6 here


# ---- the model ------------------------------------------------------------------------------------

class Config:
    def __init__(self, keys):
        self.d = keys["hidden_size"]
        self.depth = keys["depth"]
        self.p = keys.get("patch_size", 2)
        self.c = keys.get("in_channels", 4)
        self.co = keys.get("out_channels", self.c)
        self.classes = keys["num_classes"]
        self.n = keys.get("d_state", 16)
        self.k = keys.get("d_conv", 3)
        self.e = int(keys.get("expand", 2) * self.d)
        self.r = keys.get("dt_rank", math.ceil(self.d / 16))
        self.s = keys.get("encoder_start", 1)
        self.skips = keys.get("skip_connections", True)
        self.directions = keys.get("scan_directions", 4)
        self.pads = keys.get("pad_schedule", "lateral")
        self.n_pads = keys.get("pad_token_len", self.k)
        self.split = keys.get("split_tokens", True)
        self.smooth = keys.get("depthwise_conv", True)
        self.final = keys.get("final_conv", False)
        self.eps = keys.get("norm_eps", 1e-5)
        size = keys.get("pos_embed_size")
        self.table = [size, size] if isinstance(size, int) else size
        self.tune = keys.get("skip_tune")
        self.half = (self.depth - self.s) // 2


def silu(x):
    return x / (1 + np.exp(-x))


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def sinusoid(t, size):
    half = size // 2
    angles = t * np.exp(-math.log(10000) * np.arange(half) / half)
    return np.concatenate([np.cos(angles), np.sin(angles), np.zeros(size % 2)])


def resize_axis(table, size, axis):
    """Bilinear, half-pixel centres, no anti-aliasing."""
    old = table.shape[axis]
    u = np.maximum(0, (np.arange(size) + 0.5) * old / size - 0.5)
    low = np.floor(u).astype(int)
    high = np.minimum(low + 1, old - 1)
    shape = [1] * table.ndim
    shape[axis] = size
    f = (u - low).reshape(shape)
    return np.take(table, low, axis) * (1 - f) + np.take(table, high, axis) * f


def resize(table, h, w):
    return resize_axis(resize_axis(table, h, 0), w, 1)


def conv3x3(image, weight, bias):
    """image [H, W, I], weight [O, I, 3, 3] or [D, 1, 3, 3] for one filter a channel."""
    h, w, channels = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    depthwise = weight.shape[1] == 1 and channels > 1
    out = np.zeros((h, w, weight.shape[0])) + bias
    for a in range(3):
        for b in range(3):
            part = padded[a:a + h, b:b + w]
            out += part * weight[:, 0, a, b] if depthwise else part @ weight[:, :, a, b].T
    return out


def direction(c, i):
    """The running id of section 5."""
    if i < c.s or i == c.depth - 1:
        return 0
    running = 0
    for j in range(c.s, i + 1):
        running = (running + (1 if j < c.s + c.half else -1)) % c.directions
    return running


def scan_order(which, h, w):
    cells = np.arange(h * w)
    order = cells if which < 2 else cells.reshape(h, w).T.reshape(-1)
    return order[::-1] if which % 2 else order


def pad_image(c, image, z):
    h, w, d = image.shape
    if c.pads == "none":
        return image
    out = np.zeros((h + c.n_pads, w + c.n_pads, d))
    out[:h, :w] = image
    visited = 0
    for i in range(h + c.n_pads):
        for j in range(w + c.n_pads):
            if i < h and j < w:
                continue
            if c.pads == "rho_pad":
                q = visited % c.n_pads
            else:
                q = j - w if i < h else i - h
            out[i, j] = z[q]
            visited += 1
    return out


def mamba(c, w, y):
    """y [L, d] in the order in which it is scanned."""
    length = len(y)
    xz = y @ w["in_proj.weight"].T
    x, z = xz[:, :c.e], xz[:, c.e:]
    late = np.concatenate([np.zeros((c.k - 1, c.e)), x])
    u = np.zeros_like(x) + w["conv1d.bias"]
    for a in range(c.k):
        u += w["conv1d.weight"][:, 0, a] * late[a:a + length]
    u = silu(u)
    low, b, cc = np.split(u @ w["x_proj.weight"].T, [c.r, c.r + c.n], axis=1)
    delta = np.logaddexp(0, low @ w["dt_proj.weight"].T + w["dt_proj.bias"])
    a = -np.exp(w["A_log"])
    state = np.zeros((c.e, c.n))
    out = np.zeros_like(u)
    for q in range(length):
        state = np.exp(delta[q][:, None] * a) * state + (delta[q] * u[q])[:, None] * b[q]
        out[q] = state @ cc[q] + w["D"] * u[q]
    return (out * silu(z)) @ w["out_proj.weight"].T


def skip_factor(c, i):
    if c.tune is None:
        return 1.0
    top, bottom = c.tune
    top = bottom + (top - bottom) * 0.001
    first, last = c.s + c.half, c.depth - 1
    return bottom + (i - first) / (last - first) * (top - bottom)


def join_skip(c, w, v, u):
    if c.d <= 512:
        return np.concatenate([v, u], axis=1) @ w["skip_linear.weight"].T + w["skip_linear.bias"]
    return (v @ w["skip_linear.0.weight"].T + w["skip_linear.0.bias"] +
            u @ w["skip_linear.1.weight"].T + w["skip_linear.1.bias"])


def forward_one(c, w, x, t, y):
    h, width = x.shape[1] // c.p, x.shape[2] // c.p
    patches = x.reshape(c.c, h, c.p, width, c.p).transpose(1, 3, 0, 2, 4).reshape(h * width, -1)
    tokens = patches @ w["pos_embed.proj.weight"].reshape(c.d, -1).T + w["pos_embed.proj.bias"]
    e, label = sinusoid(t, c.d), w["label_emb.weight"][y]
    mlp = "adaln_single.emb.timestep_embedder.linear_"
    a = silu(sinusoid(t, 256) @ w[mlp + "1.weight"].T + w[mlp + "1.bias"])
    a = a @ w[mlp + "2.weight"].T + w[mlp + "2.bias"]
    a = a + w["adaln_single.emb.class_embedder.embedding_table.weight"][y]
    g = (silu(a) @ w["adaln_single.linear.weight"].T + w["adaln_single.linear.bias"]).reshape(3, c.d)

    positions = w["additional_embed"][0]
    side = math.isqrt(len(positions) - 2)
    table = positions[2:].reshape(side, side, c.d)
    if c.table:
        table = resize(table, *c.table)
    table = resize(table, h, width)
    extra = np.stack([e, label]) + positions[:2]
    image = tokens.reshape(h, width, c.d) + table
    if c.smooth:
        image = conv3x3(image, w["a4m_adapter.first_smoother.weight"],
                        w["a4m_adapter.first_smoother.bias"])
    z = w["a4m_adapter.pad_token"][0].T if c.pads != "none" else None
    image = pad_image(c, image, z)
    rows, columns = image.shape[:2]
    parts = [extra] + ([w["a4m_adapter.pad_token_dec_split"][0]] if c.split else [])
    sequence = np.concatenate(parts + [image.reshape(-1, c.d)])
    lead = len(sequence) - rows * columns

    hidden, residual, kept = sequence, np.zeros_like(sequence), []
    order = np.arange(rows * columns)
    for i in range(c.depth):
        prefix = f"transformer_blocks.{i}."
        block = {name[len(prefix):]: value for name, value in w.items() if name.startswith(prefix)}
        inner = {name[6:]: value for name, value in block.items() if name.startswith("attn1.")}
        v = hidden + residual
        if c.skips and i >= c.s + c.half:
            v = join_skip(c, block, v, kept.pop() * skip_factor(c, i))
        now = scan_order(direction(c, i), rows, columns)
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        v = np.concatenate([v[:lead], v[lead:][inverse[now]]])
        order = now
        shift, scale, gate = block["scale_shift_table"] + g
        n = rms_norm(v, block["norm1.norm.weight"], c.eps) * (1 + scale) + shift
        hidden, residual = (1 + gate) * mamba(c, inner, n), v
        if c.skips and c.s <= i < c.s + c.half:
            kept.append(hidden + residual)

    v = (hidden + residual)[lead:]
    assert np.array_equal(order, np.arange(len(order)))
    v = v.reshape(rows, columns, c.d)[:h, :width]
    if c.smooth:
        v = conv3x3(v, w["a4m_adapter.last_smoother.weight"], w["a4m_adapter.last_smoother.bias"])
    shift, scale = np.split(silu(e + label) @ w["proj_out_1.weight"].T + w["proj_out_1.bias"], 2)
    v = rms_norm(v, w["norm_out.norm.weight"], c.eps) * (1 + scale) + shift
    o = v @ w["proj_out_2.weight"].T + w["proj_out_2.bias"]
    o = o.reshape(h, width, c.p, c.p, c.co).transpose(0, 2, 1, 3, 4).reshape(h * c.p, width * c.p, c.co)
    if c.final:
        o = conv3x3(o, w["final_layer.weight"], w["final_layer.bias"])
    return o.transpose(2, 0, 1)


def forward(c, weights, x, t, y):
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    return np.stack([forward_one(c, weights, x[i].astype(np.float64), float(t[i]), int(y[i]))
                     for i in range(len(x))])


# ---- random models ----------------------------------------------------------------------------------

def shapes(c, side):
    d, p = c.d, c.p
    all_shapes = {
        "additional_embed": (1, 2 + side * side, d),
        "pos_embed.proj.weight": (d, c.c, p, p), "pos_embed.proj.bias": (d,),
        "label_emb.weight": (c.classes + 1, d),
        "adaln_single.emb.timestep_embedder.linear_1.weight": (d, 256),
        "adaln_single.emb.timestep_embedder.linear_1.bias": (d,),
        "adaln_single.emb.timestep_embedder.linear_2.weight": (d, d),
        "adaln_single.emb.timestep_embedder.linear_2.bias": (d,),
        "adaln_single.emb.class_embedder.embedding_table.weight": (c.classes + 1, d),
        "adaln_single.linear.weight": (3 * d, d), "adaln_single.linear.bias": (3 * d,),
        "norm_out.norm.weight": (d,),
        "proj_out_1.weight": (2 * d, d), "proj_out_1.bias": (2 * d,),
        "proj_out_2.weight": (p * p * c.co, d), "proj_out_2.bias": (p * p * c.co,),
    }
    if c.split:
        all_shapes["a4m_adapter.pad_token_dec_split"] = (1, c.n_pads, d)
    if c.pads != "none":
        all_shapes["a4m_adapter.pad_token"] = (1, d, c.n_pads)
    if c.smooth:
        for which in ("first", "last"):
            all_shapes[f"a4m_adapter.{which}_smoother.weight"] = (d, 1, 3, 3)
            all_shapes[f"a4m_adapter.{which}_smoother.bias"] = (d,)
    if c.final:
        all_shapes["final_layer.weight"] = (c.co, c.co, 3, 3)
        all_shapes["final_layer.bias"] = (c.co,)
    for i in range(c.depth):
        block = {
            "scale_shift_table": (3, d), "norm1.norm.weight": (d,),
            "attn1.in_proj.weight": (2 * c.e, d),
            "attn1.conv1d.weight": (c.e, 1, c.k), "attn1.conv1d.bias": (c.e,),
            "attn1.x_proj.weight": (c.r + 2 * c.n, c.e),
            "attn1.dt_proj.weight": (c.e, c.r), "attn1.dt_proj.bias": (c.e,),
            "attn1.A_log": (c.e, c.n), "attn1.D": (c.e,), "attn1.out_proj.weight": (d, c.e),
        }
        if c.skips and i >= c.s + c.half:
            if d <= 512:
                block.update({"skip_linear.weight": (d, 2 * d), "skip_linear.bias": (d,)})
            else:
                for half in (0, 1):
                    block.update({f"skip_linear.{half}.weight": (d, d), f"skip_linear.{half}.bias": (d,)})
        all_shapes.update({f"transformer_blocks.{i}.{name}": shape for name, shape in block.items()})
    return all_shapes


def random_weights(c, side, random):
    weights = {}
    for name, shape in shapes(c, side).items():
        value = random.standard_normal(shape)
        if name.endswith("A_log"):
            value = np.log(np.arange(1, c.n + 1)) + 0.1 * value
        elif name.endswith(("norm.weight", "attn1.D")):
            value = 1 + 0.2 * value
        elif name.endswith(".weight") and "emb.weight" not in name and "table" not in name:
            value = value / math.sqrt(np.prod(shape[1:]))
        else:
            value = 0.3 * value
        weights[name] = value.astype(np.float32)
    return weights


def write_tensors(path, tensors):
    header, data, end = {}, b"", 0
    for name, value in tensors.items():
        raw = np.ascontiguousarray(value).tobytes()
        header[name] = {"dtype": {"float32": "F32", "int64": "I64"}[str(value.dtype)],
                        "shape": list(value.shape), "data_offsets": [end, end + len(raw)]}
        data, end = data + raw, end + len(raw)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


BASE = {"hidden_size": 32, "depth": 5, "num_classes": 4, "d_state": 8}
# keys, side of the position table, height and width in tokens
MODELS = {
    "no-pads": ({"pad_schedule": "none"}, 4, 4, 4),
    "no-split-tokens": ({"split_tokens": False}, 4, 3, 5),
    "bare-sequence": ({"pad_schedule": "none", "split_tokens": False}, 4, 5, 2),
    "no-smoothers": ({"depthwise_conv": False}, 4, 4, 4),
    "final-conv": ({"final_conv": True}, 4, 3, 4),
    "one-direction": ({"scan_directions": 1, "depth": 7}, 4, 3, 4),
    "two-directions": ({"scan_directions": 2, "depth": 7}, 4, 3, 4),
    "three-directions": ({"scan_directions": 3, "depth": 9}, 4, 3, 4),
    "no-skips": ({"skip_connections": False}, 4, 4, 3),
    "late-encoder": ({"encoder_start": 3, "depth": 9}, 4, 4, 3),
    "no-plain-block": ({"encoder_start": 0, "depth": 6}, 4, 4, 3),
    "all-plain": ({"encoder_start": 3, "depth": 3}, 4, 4, 3),
    "fractional-expand": ({"expand": 1.55, "dt_rank": 3}, 4, 3, 3),
    "four-taps": ({"d_conv": 4}, 4, 3, 3),
    "one-tap": ({"d_conv": 1, "pad_token_len": 2}, 4, 3, 3),
    "wide-rho": ({"pad_schedule": "rho_pad", "pad_token_len": 4}, 4, 3, 6),
    "high-lateral": ({"pad_token_len": 2}, 4, 7, 2),
    "pixels": ({"patch_size": 1, "in_channels": 3, "out_channels": 6}, 4, 5, 4),
    "big-patch": ({"patch_size": 4, "in_channels": 1, "num_classes": 0}, 2, 2, 3),
    "table-size": ({"pos_embed_size": [3, 7]}, 4, 6, 5),
    "table-side": ({"pos_embed_size": 8}, 4, 4, 4),
    "odd-width": ({"hidden_size": 31, "norm_eps": 0.1}, 4, 3, 4),
    "two-part-skip": ({"hidden_size": 514, "depth": 5, "expand": 0.5, "skip_tune": [-300, 0.7]}, 2, 2, 3),
    "tuned-skip": ({"depth": 9, "skip_tune": [400, 1.2]}, 4, 4, 4),
}


def distance(got, want):
    return float(np.linalg.norm(got.astype(np.float64) - want) / np.linalg.norm(want))


def check_model(binary, keys, side, h, w, random):
    config = {**BASE, **keys}
    c = Config(config)
    weights = random_weights(c, side, random)
    inputs = {"x": random.standard_normal((2, c.c, h * c.p, w * c.p)).astype(np.float32),
              "t": np.array([3.75, 871], np.float32),
              "y": np.array([min(1, c.classes), c.classes])}
    with tempfile.TemporaryDirectory(prefix="dim-reference-") as folder:
        write_tensors(os.path.join(folder, "w.safetensors"), weights)
        write_tensors(os.path.join(folder, "in.safetensors"), inputs)
        out = os.path.join(folder, "out.safetensors")
        with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as f:
            json.dump({"format": "gimp-dim-model", "version": 1, "name": "random",
                       "backbone": {"family": "dim", "weights": "w.safetensors", "config": config}}, f)
        subprocess.run([binary, "forward", "--model", folder, "--output", out, "--device", "cpu",
                        "--inputs", os.path.join(folder, "in.safetensors")], check=True)
        return distance(read_tensors(out)["output"], forward(c, weights, **inputs))


def check_golden(folder):
    with open(os.path.join(folder, "model.json"), encoding="utf-8") as f:
        backbone = json.load(f)["backbone"]
    weights = read_tensors(os.path.join(folder, backbone["weights"]))
    inputs = read_tensors(os.path.join(folder, "inputs.safetensors"))
    want = read_tensors(os.path.join(folder, "expected.safetensors"))["output"]
    return distance(forward(Config(backbone["config"]), weights, **inputs), want)


def main():
    binary, golden = sys.argv[1:]
    random, failed = np.random.default_rng(20), 0
    results = {}
    for name in ("square-forward", "small-t-forward", "ft512-forward", "upsample2x-forward"):
        # float64 against float64, of which the file holds the nearest float32
        results[name] = (check_golden(os.path.join(golden, name)), 1e-7)
    for name, (keys, side, h, w) in MODELS.items():
        results[name] = (check_model(os.path.abspath(binary), keys, side, h, w, random), TOLERANCE)
    for name, (rel, allowed) in results.items():
        failed += not rel <= allowed
        print(f"{name:20} {'pass' if rel <= allowed else 'FAIL'} {rel:.3g}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
