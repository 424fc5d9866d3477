#!/usr/bin/python3
"""`dim import`: folders that compute as the golden ones do, names, links and copies, and what is refused.

SPDX-License-Identifier: LGPL-3.0-or-later"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

dim, golden, install = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
os.environ["DIM_MODEL_PATH"] = str(install / "models")
os.environ["OMP_WAIT_POLICY"] = "passive"
# Each with what no tensor tells and differs from the published models.
cases = {
    "dim/cifar-forward": [],
    "dim/square-forward": [],
    "dim/ft512-forward": ["pad_schedule=rho_pad"],
    "dim/upsample2x-forward": ["pad_schedule=rho_pad", "pos_embed_size=12", "skip_tune=[-299.0, 1.0]"],
    "dit/forward-p2": ["num_heads=4"],
    "dit/forward-p4-pt": ["num_heads=3"],
    "dit/forward-pixels": ["num_heads=6", "class_dropout_prob=0"],
    "diffussm/forward-m4-pt": [],
    "diffussm/forward-p2-m1": [],
    "diffussm/forward-wide": ["pos_embed=sincos"],
    "diffussm/forward-unconditional": [],
    "autoencoder/kl-ldm-pth": [],
    "autoencoder/kl-diffusers-old": [],
    "autoencoder/kl-decoder-only": [],
    "autoencoder/tae-two-files": [],
    "autoencoder/tae-diffusers": [],
    "autoencoder/linear-block4": [],
}
failures = 0


def check(good, what):
    global failures
    if not good:
        failures += 1
        print(f"FAILED: {what}")


def run(*args):
    return subprocess.run([dim, *map(str, args)], capture_output=True, text=True, timeout=300, errors="replace")


def refused(words, *args, folder, status=1):
    done = run("import", *args, "--output", folder)
    lines = done.stderr.splitlines()
    check(done.returncode == status and len(lines) == 1 and all(w in lines[0] for w in words),
          f"{args}: status {done.returncode}, {done.stderr!r}; expected {status} and {words}")
    check(not os.path.lexists(folder), f"{args}: left {folder}")


def refused_at_sight(words, *args):
    """What the headers tell is refused before anything is written, in the same words."""
    done = run("import", *args)
    lines = done.stderr.splitlines()
    check(done.returncode == 1 and len(lines) == 1 and all(w in lines[0] for w in words), f"look: {args}: {done.stderr!r}")


def nothing_left(root):
    check(not [f for f in os.listdir(root) if f.startswith(".dim-")], f"{root}: {os.listdir(root)}")


def weight_files(case, model):
    if "backbone" in model:
        return [golden / case / model["backbone"]["weights"]]
    weights = model["autoencoder"]["weights"]
    if isinstance(weights, str):
        return [golden / case / weights]
    return [golden / case / weights["encoder"], "--autoencoder", golden / case / weights["decoder"]]


def try_golden(root, case, config):
    """The imported folder gives the same bytes as the golden one, which compare.py holds against the official program."""
    model = json.loads((golden / case / "model.json").read_text())
    folder = root / case.replace("/", "-")
    options = [o for c in config for o in ("--config", c)]
    scale = "backbone" not in model and model["autoencoder"].get("scale_factor")
    options += ["--scale-factor", scale] if scale else []
    seen = run("import", *weight_files(case, model), *options)
    check(seen.returncode == 0, f"{case}: {seen.stderr}")
    done = run("import", *weight_files(case, model), *options, "--output", folder)
    check(done.returncode == 0, f"{case}: {done.stderr}")
    if done.returncode:
        return
    # What is said beforehand is what is then there.
    check([line for line in done.stdout.splitlines() if not line.startswith(("  folder ", "checked in "))]
          == seen.stdout.splitlines()[:-1], f"{case}: {seen.stdout} {done.stdout}")
    if "norm_groups" in model.get("autoencoder", {}).get("config", {}):
        made = json.loads((folder / "model.json").read_text())["autoencoder"]["config"]
        check(made.get("norm_groups", 32) == model["autoencoder"]["config"]["norm_groups"], f"{case}: {made}")
    command = "forward" if "backbone" in model else "decode"
    for where, out in ((golden / case, root / "golden.st"), (folder, root / "ours.st")):
        done = run(command, "--model", where, "--inputs", golden / case / "inputs.safetensors", "--output", out)
        check(done.returncode == 0, f"{case}: {where}: {done.stderr}")
    check((root / "golden.st").read_bytes() == (root / "ours.st").read_bytes(), f"{case}: another answer")


def write_tensors(file, shapes, value=0.0):
    """A safetensors file of zeros but for the first number."""
    header, at = {}, 0
    for name, shape in shapes.items():
        n = 4
        for side in shape:
            n *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<f", value) + bytes(at - 4))


def shapes_of(file):
    tensors = json.loads(run("info", file, "--json").stdout)["tensors"]
    return {t["name"]: t["shape"] for t in tensors}


def try_names(root):
    """A model of 1000 labels has ImageNet's names, and --class finds them and their synonyms."""
    shapes = shapes_of(golden / "dit/forward-p2/weights.safetensors")
    shapes["y_embedder.embedding_table.weight"][0] = 1001
    write_tensors(root / "imagenet.safetensors", shapes)
    folder = root / "imagenet"
    done = run("import", root / "imagenet.safetensors", "--output", folder, "--name", "N", "--prediction", "v",
               "--schedule", "linear,0.0002,0.03", "--native-size", 64, "--guidance", 2, "--autoencoder",
               golden / "autoencoder/tae-diffusers/diffusion_pytorch_model.safetensors", "--scale-factor", 0.5)
    check(done.returncode == 0 and "unknown: ask its authors" in done.stdout, f"imagenet: {done.stderr} {done.stdout}")
    model = json.loads((folder / "model.json").read_text())
    check([model["name"], model["prediction"], model["native_size"], model["defaults"]["guidance"], model["unconditional_class"]]
          == ["N", "v", 64, 2, 1000] and model["autoencoder"]["scale_factor"] == 0.5, f"imagenet: {model}")
    check(model["noise_schedule"] == {"type": "linear", "beta_start": 0.0002, "beta_end": 0.03, "timesteps": 1000}, str(model))
    names = json.loads(run("info", folder, "--json").stdout)["classes"]
    check(names[0] == "tench" and names[999] == "toilet tissue" and len({n.casefold() for n in names}) == 1000, "names")
    sample = ["sample", "--model", folder, "--size", "16x16", "--steps", 1, "--sampler", "ddim", "--seed", 1]
    for name in ("tench", "Tinca tinca", "0"):
        done = run(*sample, "--class", name, "--latent", root / f"{name}.st")
        check(done.returncode == 0, f"--class {name}: {done.stderr}")
    done = run(*sample, "--class", "crane", "--latent", root / "crane.st")
    check(done.returncode == 1 and '"crane (wading bird)" or "crane (lifting device)"' in done.stderr, done.stderr)
    refused(["classes", "999"], root / "imagenet.safetensors", "--classes", short_list(root), folder=root / "short")
    refused_at_sight(["classes", "999"], root / "imagenet.safetensors", "--classes", short_list(root))
    refused_at_sight(["nowhere.txt"], root / "imagenet.safetensors", "--classes", root / "nowhere.txt")
    check("tench" in run("import", root / "imagenet.safetensors").stdout, "ImageNet's names before the import")
    refused(["classes", "10"], golden / "dit/forward-p2/weights.safetensors", "--classes", "imagenet", folder=root / "few")


def short_list(root):
    (root / "short.txt").write_text("".join(f"class {i}\n" for i in range(999)))
    return root / "short.txt"


def try_refused(root):
    weights = golden / "dit/forward-p2/weights.safetensors"
    cut = root / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-1000])
    shapes = shapes_of(weights)
    missing = dict(shapes)
    del missing["blocks.1.mlp.fc2.bias"]
    write_tensors(root / "missing.safetensors", missing)
    write_tensors(root / "extra.safetensors", {**shapes, "blocks.0.attn.q_norm.weight": [16]})
    write_tensors(root / "nan.safetensors", shapes, float("nan"))
    new = root / "new"
    refused(["cut.safetensors"], cut, folder=new)
    refused(["nowhere"], root / "nowhere", folder=new)
    refused(["is no model that is known"], golden / "dit/forward-p2/inputs.safetensors", folder=new)
    refused(["blocks.1.mlp.fc2.bias", "missing"], root / "missing.safetensors", folder=new)
    refused(["blocks.0.attn.q_norm.weight", "no part"], root / "extra.safetensors", folder=new)
    for words, file in ((["cut.safetensors"], cut), (["is no model that is known"], golden / "dit/forward-p2/inputs.safetensors"),
                        (["blocks.1.mlp.fc2.bias", "missing"], root / "missing.safetensors"),
                        (["blocks.0.attn.q_norm.weight", "no part"], root / "extra.safetensors")):
        refused_at_sight(words, file)
    refused_at_sight(["latents of", "channels"], weights, "--autoencoder", golden / "autoencoder/linear-block4/linear.pth")
    refused(["new/", "NaN"], root / "nan.safetensors", folder=new)
    refused(["num_heads"], weights, "--config", "num_heads=5", folder=new)
    refused(["norm_groups"], golden / "autoencoder/kl-ldm-pth/autoencoder_kl.pth", "--config", "autoencoder.norm_groups=7", folder=new)
    refused(["latents of", "channels"], weights, "--autoencoder", golden / "autoencoder/linear-block4/linear.pth", folder=new)
    refused(["cannot be made"], weights, folder=root / "none" / "below")
    refused(["--config"], weights, "--config", "num_heads", folder=new, status=2)
    refused(["--schedule"], weights, "--schedule", "cosine", folder=new, status=2)
    refused(["prediction"], weights, "--prediction", "x0", folder=new)
    there = root / "there"
    there.mkdir()
    done = run("import", weights, "--output", there)
    check(done.returncode == 1 and "is there already" in done.stderr and not os.listdir(there), done.stderr)


def try_links(root):
    weights = golden / "dit/forward-p2/weights.safetensors"
    own = root / "own.safetensors"
    shutil.copy(weights, own)
    run("import", own, "--output", root / "linked")
    check(os.path.samefile(own, root / "linked/own.safetensors"), "no hard link")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as other:
        if os.stat(other).st_dev != os.stat(root).st_dev:
            done = run("import", own, "--output", other + "/copied")
            check(done.returncode == 0, f"copy: {done.stderr}")
            check(pathlib.Path(other, "copied/own.safetensors").read_bytes() == own.read_bytes(), "no copy")
            nothing_left(other)


def try_interrupt(root):
    """Ctrl-C while the folder is made: it goes."""
    process = subprocess.Popen([dim, "import", golden / "dit/forward-p2/weights.safetensors", "--output", root / "stopped"],
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not [f for f in os.listdir(root) if f.startswith(".dim-")]:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    check(process.returncode == 1 and "cancelled" in errors, f"interrupted: {process.returncode} {errors!r}")
    check(not (root / "stopped").exists(), "interrupted: it is there")


def try_bench(root):
    """Of an imported backbone without an autoencoder, `dim bench` takes the latents that it was trained on."""
    for case, batch, channels in (("dit/forward-p2", 2, 4), ("dit/forward-pixels", 1, 3)):
        side = json.loads((golden / case / "model.json").read_text())["backbone"]["config"]["input_size"]
        done = run("bench", "--model", root / case.replace("/", "-"), "--repeat", 1, "--json")
        check(done.returncode == 0 and json.loads(done.stdout)["x"] == [batch, channels, side, side],
              f"bench: {case}: {done.stderr} {done.stdout}")


with tempfile.TemporaryDirectory() as name:
    top = pathlib.Path(name)
    for case_name, keys in cases.items():
        try_golden(top, case_name, keys)
    try_bench(top)
    try_names(top)
    try_refused(top)
    try_links(top)
    try_interrupt(top)
    nothing_left(top)
sys.exit(1 if failures else 0)
