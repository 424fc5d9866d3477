#!/usr/bin/env python3
"""dim sample as a program: same bytes, recipes, exit statuses, files whole or not at all, Ctrl-C.

    sample.py DIM MODEL-FOLDER
"""
import json
import os
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

DIM, MODEL = [os.path.abspath(path) for path in sys.argv[1:3]]


def chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
        yield kind, body
        at += 12 + size


def recipe_of(data):
    for kind, body in chunks(data):
        if kind == b"iTXt" and body.startswith(b"gimp-dim-recipe\0"):
            return json.loads(body.split(b"\0", 5)[5].decode("utf-8"))
    return None


def pixels_of(data):
    return [body for kind, body in chunks(data) if kind in (b"IHDR", b"IDAT")]


class Program(unittest.TestCase):
    """`dim sample` in a folder of its own."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def dim(self, *arguments, status=0, model=MODEL, **more):
        command = [DIM, "sample"] + (["--model", model] if model else []) + [str(a) for a in arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, **{"cwd": self.folder.name, **more})
        self.assertEqual(done.returncode, status, done.stderr)
        if status:
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done

    def quick(self, output, *arguments, **more):
        self.dim("--steps", 3, "--size", "40x24", "--class", "lava", "--seed", 5, "-o", output, *arguments, **more)
        return self.read(output)


class Sample(Program):
    def test_same_bytes(self):
        one = self.quick("a.png", "--threads", 1)
        self.assertEqual(one, self.quick("b.png", "--threads", 1))
        self.assertEqual(one, self.quick("c.png", "--threads", 2))
        self.assertNotEqual(pixels_of(one), pixels_of(self.quick("d.png", "--seed", 6)))

    def test_picture(self):
        data = self.quick("a.png")
        self.assertEqual(dict(chunks(data))[b"IHDR"], struct.pack(">IIBBBBB", 40, 24, 8, 2, 0, 0, 0))
        self.assertIn(b"sRGB", dict(chunks(data)))
        recipe = recipe_of(data)
        self.assertEqual([recipe[k] for k in ("class", "width", "height", "steps", "seed", "upsample")],
                         ["lava", 40, 24, 3, 5, "off"])
        self.assertEqual(len(recipe["model_hash"]), 64)

    def test_recipe(self):
        first = self.quick("a.png", "--guidance", 1.37, "--sampler", "dpm-solver-fast", "--upsample", 2)
        self.dim("--recipe", "a.png", "-o", "b.png", model=None)
        self.assertEqual(first, self.read("b.png"))
        with open(self.path("a.json"), "w") as f:
            json.dump(recipe_of(first), f)
        self.dim("--recipe", "a.json", "-o", "c.png", model=None)
        self.assertEqual(first, self.read("c.png"))
        self.dim("--recipe", "a.png", "--seed", 77, "--size", "24x40", "-o", "d.png", model=None)
        changed = recipe_of(self.read("d.png"))
        self.assertEqual(changed, {**recipe_of(first), "seed": 77, "width": 24, "height": 40})

    def test_seamless(self):
        plain = self.quick("a.png", "--size", "48x32", "--seamless", "off")
        both = self.quick("b.png", "--size", "48x32", "--seamless", "both")
        self.assertNotEqual(pixels_of(plain), pixels_of(both))
        self.assertIn("seamless=both", recipe_of(both)["options"].split())
        self.dim("--recipe", "b.png", "-o", "c.png", model=None)
        self.assertEqual(both, self.read("c.png"))
        self.dim("--recipe", "b.png", "--seamless", "off", "-o", "d.png", model=None)
        self.assertEqual(plain, self.read("d.png"))
        auto = self.quick("auto.png", "--size", "48x32", "--seamless", "auto")
        self.assertEqual(pixels_of(auto), pixels_of(both))
        done = self.dim("--size", "100x50", "--seamless", "x", "-o", "e.png", status=1)
        self.assertIn("96x50", done.stderr)

    def test_windows(self):
        size = ["--size", "48x256", "--steps", 1]
        plain, windows = self.quick("a.png", *size, "--windows", "off"), self.quick("b.png", *size, "--windows", "on")
        self.assertNotEqual(pixels_of(plain), pixels_of(windows))
        self.assertIn("windows=on", recipe_of(windows)["options"].split())
        self.dim("--recipe", "b.png", "-o", "c.png", model=None)
        self.assertEqual(windows, self.read("c.png"))
        self.dim("--recipe", "b.png", "--windows", "off", "-o", "d.png", model=None)
        self.assertEqual(plain, self.read("d.png"))

    def test_seamless_as_the_model_says(self):
        self.as_the_model_says("seamless", ["--size", "50x33"], "auto")

    def test_windows_as_the_model_says(self):
        self.as_the_model_says("windows", ["--size", "48x256", "--steps", 1], "on")

    def as_the_model_says(self, name, size, on):
        """With either default: nothing asked is the default, the other can be asked, and the recipe does not rest on it."""
        option, word = f"--{name}", f"{name}={on}"
        made = {how: self.quick(f"{how}.png", *size, option, how) for how in ("off", on)}
        self.assertNotEqual(pixels_of(made["off"]), pixels_of(made[on]))
        shutil.copytree(MODEL, self.path("model"))
        with open(self.path("model/model.json")) as f:
            described = json.load(f)
        for default, other in ((on, "off"), ("off", on)):
            described["defaults"][name] = default == on
            with open(self.path("model/model.json"), "w") as f:
                json.dump(described, f)
            for how, asked in ((default, []), (other, [option, other])):
                picture = self.quick("here.png", *size, *asked, model="model")
                self.assertEqual(pixels_of(picture), pixels_of(made[how]))
                self.assertEqual(word in recipe_of(picture)["options"].split(), how == on)
        self.dim("--recipe", f"{on}.png", "--model", "model", "-o", "again.png", model=None)
        self.assertEqual(pixels_of(self.read("again.png")), pixels_of(made[on]))
        described["defaults"][name] = True
        with open(self.path("model/model.json"), "w") as f:
            json.dump(described, f)
        self.quick("off.png", *size, option, "off", model="model")
        self.dim("--recipe", "off.png", "-o", "again.png", model=None)
        self.assertEqual(pixels_of(self.read("again.png")), pixels_of(made["off"]))

    def test_words_of_the_noise(self):
        plain = self.quick("a.png", "--size", "48x32")
        other = self.quick("b.png", "--size", "48x32", "--guidance-interval", "0.2,0.75", "--rng", "torch")
        self.assertNotEqual(pixels_of(plain), pixels_of(other))
        self.assertEqual(recipe_of(other)["options"],
                         recipe_of(plain)["options"] + " guidance-interval=0.2,0.75 rng=torch")
        self.dim("--recipe", "b.png", "-o", "c.png", model=None)
        self.assertEqual(other, self.read("c.png"))
        self.dim("--recipe", "b.png", "--guidance-interval", "0,1", "--rng", "philox", "-o", "d.png", model=None)
        self.assertEqual(plain, self.read("d.png"))

    def test_guidance_zero(self):
        zero = self.quick("a.png", "--guidance", 0)
        self.assertEqual(pixels_of(zero), pixels_of(self.quick("b.png", "--guidance", 0, "--class", "snow")))
        self.dim("--recipe", "a.png", "-o", "c.png", model=None)
        self.assertEqual(zero, self.read("c.png"))

    def test_unknown_key(self):
        with open(self.path("preset.json"), "w") as f:
            json.dump({"format": "gimp-dim-recipe", "version": 1, "steps": 2, "width": 16, "height": 16, "tiled": 1}, f)
        done = self.dim("--recipe", "preset.json", "-o", "a.png")
        self.assertIn("tiled", done.stderr)
        self.assertEqual(recipe_of(self.read("a.png"))["steps"], 2)

    def test_fresh_seed(self):
        small = ["--steps", 2, "--size", "16x16"]
        seeds = [int(self.dim(*small, "-o", name).stdout.split()[1]) for name in ("a.png", "b.png")]
        self.assertNotEqual(*seeds)
        self.assertEqual(recipe_of(self.read("a.png"))["seed"], seeds[0])
        self.dim(*small, "--seed", seeds[0], "-o", "c.png")
        self.assertEqual(self.read("a.png"), self.read("c.png"))

    def test_latent_alone(self):
        self.dim("--steps", 2, "--size", "40x24", "--latent", "z.safetensors")
        data = self.read("z.safetensors")
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        self.assertEqual(header["z"]["shape"], [1, 16, 4, 6])
        self.assertEqual(os.listdir(self.folder.name), ["z.safetensors"])
        recipe = json.loads(header["__metadata__"]["gimp-dim-recipe"])
        shown = subprocess.check_output([DIM, "info", self.path("z.safetensors")], text=True).split("made by the recipe\n")
        self.assertEqual(json.loads(shown[1]), recipe)
        both = json.loads(subprocess.check_output([DIM, "info", "--json", self.path("z.safetensors")], text=True))
        self.assertEqual((both["recipe"], both["tensors"][0]["shape"]), (recipe, [1, 16, 4, 6]))

    def test_usage(self):
        for arguments in (["--steps", "0"], ["--steps", "x"], ["--size", "16"], ["--size", "16x"], ["--size", "0x16"],
                          ["--size", "16x16x16"], ["--seed", "-2"], ["--seed", "9007199254740992"], ["--seed", "1.5"],
                          ["--guidance", "x"], ["--guidance", "-1"], ["--guidance", "inf"], ["--sampler", "best"],
                          ["--upsample", "x"], ["--seamless", "z"], ["--windows", "z"], ["--rng", "mt"],
                          ["--guidance-interval", "0.7,0.2"], ["--guidance-interval", "0.5"], ["--tile", "-1"], ["--colour"], ["word"]):
            with self.subTest(arguments):
                self.dim(*arguments, "-o", "a.png", status=2)
        self.dim(status=2)
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_refused(self):
        for word, arguments in (("size 15x16", ["--size", "15x16"]), ("fits is", ["--size", "1000000000x1000000000"]),
                                ("\"grass\"", ["--class", "gras"]), ("class", ["--class", "15"]),
                                ("guidance", ["--guidance", "101"]), ("upsample", ["--upsample", "65"]),
                                ("/nowhere/", ["-o", "/nowhere/a.png"]), ("no.json", ["--recipe", "no.json"]),
                                ("\"x\"", ["--noise", os.path.join(MODEL, "codec.safetensors")])):
            with self.subTest(word):
                done = self.dim("-o", "a.png", *arguments, status=1)
                self.assertIn(word, done.stderr)
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_refused_pictures(self):
        good = self.quick("good.png")
        bare = b"".join([good[:8]] + [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
                                      for kind, body in chunks(good) if kind not in (b"iTXt", b"tEXt")])
        middle = good.index(b"gimp-dim-recipe") + 60
        cases = {"bare": bare, "cut": bare[:len(bare) // 2], "empty": b"", "head": good[:8], "text": b"{}",
                 "flipped": good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1:]}
        for name, data in cases.items():
            with self.subTest(name):
                with open(self.path(name), "wb") as f:
                    f.write(data)
                self.assertIn(name, self.dim("--recipe", name, "-o", "a.png", status=1).stderr)
        self.assertFalse(os.path.exists(self.path("a.png")))

    def test_recipe_behind_the_pixels(self):
        good = self.quick("good.png")
        parts = [(kind, body) for kind, body in chunks(good)]
        late = [p for p in parts if p[0] not in (b"iTXt", b"IEND")] + [p for p in parts if p[0] in (b"iTXt", b"IEND")]
        with open(self.path("late.png"), "wb") as f:
            f.write(good[:8] + b"".join(struct.pack(">I", len(body)) + kind + body +
                                        struct.pack(">I", zlib.crc32(kind + body)) for kind, body in late))
        self.dim("--recipe", "late.png", "-o", "again.png", model=None)
        self.assertEqual(good, self.read("again.png"))

    def test_earlier_file_stays(self):
        """No room for the whole picture: what was there before is there still, and nothing else."""
        with open(self.path("a.png"), "w") as f:
            f.write("earlier")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        done = self.dim("--steps", 1, "--size", "64x64", "-o", "a.png", status=1, preexec_fn=limit)
        self.assertIn("a.png", done.stderr)
        self.assertEqual(self.read("a.png"), b"earlier")
        self.assertEqual(os.listdir(self.folder.name), ["a.png"])

    def test_never_replaced(self):
        """Pipes and folders as a target; an input as a target; a link keeps pointing where it points."""
        os.mkfifo(self.path("pipe"))
        os.mkdir(self.path("folder"))
        quick = ["--steps", 1, "--size", "16x16", "--seed", 1]
        for option in ("--recipe", "--noise"):
            self.assertIn("is a pipe", self.dim(*quick, option, "pipe", "-o", "a.png", status=1).stderr)
        for option in ("-o", "--latent"):
            for target in ("pipe", "folder", ""):
                with self.subTest(option=option, target=target):
                    self.assertIn(target or "empty", self.dim(*quick, option, target, status=1).stderr)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("pipe")).st_mode))
        self.dim(*quick, "-o", "both", "--latent", "both", status=2)
        self.dim(*quick, "-o", "a.png", "--latent", "x")
        os.link(self.path("a.png"), self.path("again.png"))
        earlier = self.read("a.png")
        self.assertIn("again.png", self.dim("--recipe", "a.png", "-o", "again.png", status=1).stderr)
        self.assertIn("x: ", self.dim(*quick, "--noise", "x", "--latent", "x", status=1).stderr)
        self.assertEqual(self.read("a.png"), earlier)
        os.symlink("a.png", self.path("link.png"))
        os.chmod(self.path("a.png"), 0o600)
        self.dim(*quick, "--seed", 2, "-o", "link.png")
        self.assertEqual(os.readlink(self.path("link.png")), "a.png")
        self.assertNotEqual(self.read("a.png"), earlier)
        self.assertEqual(os.stat(self.path("a.png")).st_mode & 0o777, 0o600)

    def test_locale(self):
        """Words reach the program as they are, in a locale that cannot spell them, too."""
        environment = {**os.environ, "LC_ALL": "C"}
        for word, shown in (("gr\u00e4s", "\"gr\u00e4s\""), (b"\xff", "\\xff")):
            done = subprocess.run([DIM, "sample", "--model", MODEL, "--class", word, "-o", self.path("a.png")],
                                  capture_output=True, env=environment, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no class", done.stderr.decode())
            self.assertIn(shown, done.stderr.decode())

    def test_other_commands(self):
        """The options of all commands; a model that lacks what sampling needs."""
        for command in (["info", MODEL], ["info", os.path.join(MODEL, "codec.safetensors")], ["hash", MODEL]):
            plain, options = [subprocess.run([DIM, *command, *more], capture_output=True, timeout=60)
                              for more in ([], ["--threads", "1", "--device", "cpu", "--precision", "f32"])]
            self.assertEqual((plain.returncode, plain.stdout), (0, options.stdout), options.stderr)
            for wrong in (["--threads", "-1"], ["--device", "abacus"], ["--model", MODEL]):
                self.assertEqual(subprocess.run([DIM, *command, *wrong], capture_output=True).returncode, 2)
            with open("/dev/full", "wb") as full:
                done = subprocess.run([DIM, *command], stdout=full, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), done.stderr)
        with open(os.path.join(MODEL, "model.json")) as f:
            model = json.load(f)
        shutil.copy(os.path.join(MODEL, "codec.safetensors"), self.folder.name)
        with open(self.path("model.json"), "w") as f:
            json.dump({key: model[key] for key in model if key != "backbone"}, f)
        for words in ([], ["--class", "grass"]):
            self.assertIn("backbone", self.dim(*words, "-o", "a.png", status=1, model="./").stderr)

    def test_one_line(self):
        """Notes on a recipe do not come beside an error's line."""
        with open(self.path("preset.json"), "w") as f:
            json.dump({"format": "gimp-dim-recipe", "version": 1, "tiled": 1, "model_hash": "0" * 64}, f)
        self.dim("--recipe", "preset.json", "--size", "15x15", "-o", "a.png", status=1)
        notes = self.dim("--recipe", "preset.json", "--size", "16x16", "--steps", 1, "-o", "a.png").stderr
        self.assertIn("tiled", notes)
        self.assertIn("any more", notes)

    def test_own_prefix(self):
        """Models of the prefix that the program lies in, however deep, are found without being told of."""
        shutil.copytree(MODEL, self.path("prefix/share/gimp-dim/models/own"))
        program = self.path("prefix/lib/gimp/3.0/plug-ins/dim/dim")
        os.makedirs(os.path.dirname(program))
        shutil.copy(DIM, program)
        self.assertEqual(subprocess.run([program, "info", "own"], capture_output=True).returncode, 0)
        self.assertNotEqual(subprocess.run([DIM, "info", "own"], capture_output=True).returncode, 0)

    def test_interrupt(self):
        """Ctrl-C ends a long run within a moment, with one line, and nothing is left."""
        for seconds in (0.0, 0.3, 1.5):
            with self.subTest(seconds):
                process = subprocess.Popen([DIM, "sample", "--model", MODEL, "--size", "512x512", "--steps", "500",
                                            "-o", "a.png"], cwd=self.folder.name, stderr=subprocess.PIPE, text=True)
                time.sleep(0.2 + seconds)
                before = time.monotonic()
                process.send_signal(signal.SIGINT)
                message = process.communicate(timeout=20)[1]
                self.assertLess(time.monotonic() - before, 5)
                self.assertEqual(process.returncode, 1, message)
                self.assertEqual(message, "dim: a.png: cancelled; nothing was written there\n")
                self.assertEqual(os.listdir(self.folder.name), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
