#!/usr/bin/env python3
"""dim sample --count: the pictures of single runs, however they are split, and none made twice or in another's place.

    sample-count.py DIM MODEL-FOLDER

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

import sample

SEED_MAX = 2**53 - 1
QUICK = ["--steps", 2, "--size", "32x32"]


class Count(sample.Program):
    def files(self, folder=""):
        """{path: bytes} below a folder; what a killed run may leave, a file under a temporary name, apart."""
        top, found = self.path(folder), {}
        for where, _, names in os.walk(top):
            for name in names:
                if not name.startswith(".dim-"):
                    path = os.path.join(where, name)
                    with open(path, "rb") as f:
                        found[os.path.relpath(path, top)] = f.read()
        return found

    def identities(self, folder=""):
        stats = {name: os.stat(self.path(os.path.join(folder, name))) for name in self.files(folder)}
        return {name: (s.st_ino, s.st_mtime_ns) for name, s in stats.items()}

    def start(self, *arguments):
        return subprocess.Popen([sample.DIM, "sample", "--model", sample.MODEL, "--threads", "1", *map(str, arguments)],
                                cwd=self.folder.name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, name):
        before = time.monotonic()
        while not os.path.exists(self.path(name)):
            self.assertLess(time.monotonic() - before, 60)
            time.sleep(0.002)

    def test_singles(self):
        """Items are what their own seeds make alone; seeds go round at 2^53."""
        for first in (5, SEED_MAX - 1):
            self.dim(*QUICK, "--seed", first, "--count", 3, "--threads", 2, "-o", "a.png", "--latent", "z.st")
            for k in range(3):
                seed = (first + k) % 2**53
                data = self.read(f"a-000{k}.png")
                self.assertEqual(sample.recipe_of(data)["seed"], seed)
                self.dim(*QUICK, "--seed", seed, "-o", "one.png", "--latent", "one.st", "--threads", 1)
                self.assertEqual(data, self.read("one.png"))
                self.assertEqual(self.read(f"z-000{k}.st"), self.read("one.st"))
                os.remove(self.path(f"a-000{k}.png"))
                os.remove(self.path(f"z-000{k}.st"))
        self.assertEqual(set(self.files()), {"one.png", "one.st"})

    def test_shards(self):
        """Parts are disjoint, as even as can be, and together the whole."""
        call = [*QUICK, "--seed", 3, "--class", "grass,snow", "--count", 4, "-o", "{class}/{item}.png"]
        os.mkdir(self.path("whole"))
        self.dim(*call, cwd=self.path("whole"))
        whole = self.files("whole")
        self.assertEqual(set(whole), {f"{c}/000{k}.png" for c in ("grass", "snow") for k in range(4)})
        for n in (3, 8, 11):
            together, sizes = {}, []
            for i in range(1, n + 1):
                os.mkdir(self.path(f"{n}-{i}"))
                self.dim(*call, "--shard", f"{i}/{n}", "--threads", 1 + i % 2, cwd=self.path(f"{n}-{i}"))
                part = self.files(f"{n}-{i}")
                self.assertFalse(set(part) & set(together))
                together.update(part)
                sizes.append(len(part))
            self.assertEqual(together, whole)
            self.assertLessEqual(max(sizes) - min(sizes), 1)

    def test_names(self):
        for output, options, names in (
                ("a.b.png", ["--count", 1], ["a.b-0000.png"]),
                ("x/a", ["--count", 2], ["x/a-0000", "x/a-0001"]),
                ("{item}/.png", ["--count", 1], ["0000/.png"]),
                ("p{item}.png", ["--count", 10001, "--shard", "10001/10001"], ["p10000.png"]),
                ("p.png", ["--count", 1, "--class", "snow,1,snow"], ["p-dry grass-0000.png", "p-snow-0000.png"]),
                ("{class}/n-{item}-{class}.png", ["--count", 1, "--class", "lava"], ["lava/n-0000-lava.png"]),
                ("{class}/{item}.png", ["--count", 15, "--class", "all", "--shard", "2/225"], ["dirt/0001.png"])):
            with self.subTest(output):
                os.makedirs(self.path("t/x"))
                self.dim("--steps", 1, "--size", "16x16", "--seed", 1, *options, "-o", output, cwd=self.path("t"))
                self.assertEqual(sorted(self.files("t")), names)
                shutil.rmtree(self.path("t"))

    def test_class_words(self):
        """Names of classes that cannot name a file, or not one class alone, give way to numbers."""
        shutil.copytree(sample.MODEL, self.path("model"))
        with open(self.path("model/model.json")) as f:
            model = json.load(f)
        words = ["../up", "a/b", "..", "\u202eabc", "same", "same", "3", "x" * 300, "a\nb", "tench, Tinca"]
        model["classes"][:len(words)] = words
        with open(self.path("model/model.json"), "w") as f:
            json.dump(model, f)
        call = ["--steps", 1, "--size", "16x16", "--seed", 1, "--count", 1, "-o", "t/{class}/{item}.png"]
        self.dim(*call, "--class", "all", model=self.path("model"))
        wanted = ["0", "1", "2", "3", "same", "5", "6", "7", "8", "tench, Tinca"] + model["classes"][len(words):]
        self.assertEqual(sorted(self.files("t")), sorted(f"{word}/0000.png" for word in wanted))
        for k, word in enumerate(wanted):
            recipe = sample.recipe_of(self.files("t")[f"{word}/0000.png"])
            self.assertEqual(recipe["class"], str(k) if model["classes"].index(model["classes"][k]) < k else model["classes"][k])
        done = self.dim(*call, "--class", "tench, Tinca", model=self.path("model"))
        self.assertIn("1 of 1 were there already", done.stdout)

    def test_resume(self):
        """Killed at any moment and begun again, by itself or in parts: nothing is made twice, nothing is missing."""
        call = ["--steps", 4, "--size", "96x96", "--seed", 11, "--count", 10, "-o"]
        self.dim(*call, "whole.png")
        whole = {name.replace("whole", "a"): data for name, data in self.files().items()}
        os.mkdir(self.path("t"))
        rng, kills, seen = random.Random(4), 0, {}
        for attempt in range(25):
            part = ["--shard", f"{attempt % 2 + 1}/2"] if attempt < 4 else []
            process = self.start(*call, "t/a.png", *part)
            while attempt and process.poll() is None and len(self.files("t")) == len(seen):
                time.sleep(0.002)
            try:
                message = process.communicate(timeout=rng.uniform(0, 0.3))[1]
                self.assertEqual(process.returncode, 0, message)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
            now = self.identities("t")
            self.assertEqual({name: now[name] for name in seen}, seen)
            seen = now
            if process.returncode == 0 and not part:
                break
        self.assertGreater(kills, 1)
        self.assertEqual(self.files("t"), whole)
        self.assertIn("10 of 10 were there already", self.dim(*call, "t/a.png").stdout)
        self.assertEqual(self.identities("t"), seen)

    def test_together(self):
        """Two runs of the same pictures at once."""
        call = [*QUICK, "--seed", 1, "--count", 12, "-o", "a.png"]
        runs = [self.start(*call) for _ in range(2)]
        for run in runs:
            self.assertEqual((run.communicate(timeout=100)[1], run.returncode), ("", 0))
        self.assertEqual(len(os.listdir(self.folder.name)), 12)
        together = self.files()
        self.dim(*call[:-1], "b.png")
        self.assertEqual({name.replace("b-", "a-"): data for name, data in self.files().items() if name[0] == "b"}, together)

    def test_in_the_way(self):
        """Something else in a picture's place is refused before anything is made, and replaced where that is asked for."""
        call = [*QUICK, "--seed", 5, "--class", "grass", "--count", 4, "-o", "a.png", "--latent", "a.st"]
        self.dim(*call)
        whole = self.files()
        for name, data, word in (("a-0002.png", whole["a-0001.png"], "\"seed\""),
                                 ("a-0002.png", whole["a-0002.png"][:-20], "nothing whole"),
                                 ("a-0002.png", b"my own work", "nothing whole"), ("a-0002.png", b"", "nothing whole"),
                                 ("a-0003.st", whole["a-0000.st"], "\"seed\""),
                                 ("a-0003.st", whole["a-0003.st"][:-4], "nothing whole")):
            with self.subTest(name=name, word=word):
                with open(self.path(name), "wb") as f:
                    f.write(data)
                os.remove(self.path("a-0000.png"))
                os.remove(self.path("a-0001.st"))
                before = self.identities()
                line = self.dim(*call, status=1).stderr
                self.assertTrue(name in line and word in line and "--overwrite" in line, line)
                self.assertEqual(self.identities(), before)
                self.dim(*call, "--overwrite")
                self.assertEqual(self.files(), whole)
                after = self.identities()
                kept = set(whole) - {name, "a-0000.png", "a-0001.st"}
                self.assertEqual({key: after[key] for key in kept}, {key: before[key] for key in kept})
        for option, key in ((["--steps", 3], "steps"), (["--guidance", 2.5], "guidance"), (["--class", "snow"], "class"),
                            (["--size", "32x48"], "height"), (["--sampler", "euler"], "sampler"),
                            (["--seamless", "x"], "options")):
            self.assertIn(f"\"{key}\"", self.dim(*call, *option, status=1).stderr)
        self.assertEqual(self.files(), whole)

    def test_comes_in_the_way(self):
        """What appears while a run goes on is not replaced either."""
        run = self.start("--steps", 10, "--size", "96x96", "--seed", 1, "--count", 4, "-o", "a.png")
        self.wait_for("a-0000.png")
        with open(self.path("a-0003.png"), "wb") as f:
            f.write(b"my own work")
        line = run.communicate(timeout=100)[1]
        self.assertEqual((run.returncode, line.count("\n")), (1, 1), line)
        self.assertIn("a-0003.png", line)
        self.assertEqual(self.read("a-0003.png"), b"my own work")
        self.assertEqual(len(self.files()), 4)

    def test_same_elsewhere(self):
        """A model is known by its hash, not by where it is."""
        shutil.copytree(sample.MODEL, self.path("model"))
        call = [*QUICK, "--seed", 5, "--count", 2, "-o", "a.png"]
        self.dim(*call)
        self.assertIn("2 of 2", self.dim(*call, model=self.path("model")).stdout)
        with open(self.path("model/model.json"), "a") as f:
            f.write("\n")
        self.assertIn("model_hash", self.dim(*call, model=self.path("model"), status=1).stderr)

    def test_interrupt(self):
        """Ctrl-C: what is whole stays, the rest is not there, and one line says where it stopped."""
        run = self.start("--steps", 10, "--size", "96x96", "--seed", 1, "--count", 500, "-o", "a.png")
        self.wait_for("a-0001.png")
        run.send_signal(signal.SIGINT)
        line = run.communicate(timeout=20)[1]
        self.assertEqual(run.returncode, 1)
        self.assertRegex(line, r"^dim: a-0\d\d\d.png: cancelled; nothing was written there\n$")
        names = sorted(os.listdir(self.folder.name))
        self.assertEqual(names, [f"a-{k:04d}.png" for k in range(len(names))])
        self.assertNotIn(line.split()[1][:-1], names)

    def test_fresh_seed(self):
        """A fresh seed is said before the first picture, so that a run that was killed can go on."""
        first = self.dim(*QUICK, "--count", 2, "-o", "a.png").stdout.split()
        self.assertEqual(first[0], "seed")
        self.assertEqual(sample.recipe_of(self.read("a-0000.png"))["seed"], int(first[1]))
        self.assertIn("2 of 2", self.dim(*QUICK, "--count", 2, "--seed", first[1], "-o", "a.png").stdout)

    def test_recipe(self):
        """A recipe's seed is item 0's."""
        self.dim(*QUICK, "--seed", 7, "--class", "snow", "-o", "a.png")
        self.dim("--recipe", "a.png", "--count", 3, "--shard", "1/2", "-o", "b.png", model=None)
        self.assertEqual(self.read("a.png"), self.read("b-0000.png"))
        self.assertEqual(sample.recipe_of(self.read("b-0002.png"))["seed"], 9)
        self.assertFalse(os.path.exists(self.path("b-0001.png")))

    def test_usage(self):
        few = ["--count", 3, "--seed", 1]
        for arguments in (["--count", 0], ["--count", -1], ["--count", "1.5"], ["--count", 10**9 + 1], ["--count", 2**64 + 1],
                          ["--count", ""], [*few, "--shard", "3/2"], [*few, "--shard", "1/0"], [*few, "--shard", "0/3"],
                          [*few, "--shard", "-1/3"], [*few, "--shard", "1"], [*few, "--shard", "1/2/3"],
                          [*few, "--shard", "1/99999999999999999999"], [*few, "--shard", ""], ["--shard", "1/2"],
                          ["--count", 3, "--shard", "1/2"], ["--overwrite"], [*few, "--noise", "x.safetensors"],
                          [*few, "--output", "{n}.png"], [*few, "--output", "a}.png"], [*few, "--latent", "folder/"]):
            with self.subTest(arguments):
                self.dim("-o", "a.png", *arguments, status=2)
        for arguments in ([*few, "--class", "grass,,nothing"], [*few, "--class", "grass,99"], ["--class", "all"],
                          [*few, "-o", "nowhere/a.png"], [*few, "--size", "8x8"]):
            with self.subTest(arguments):
                self.dim("-o", "a.png", *arguments, status=1)
        self.dim(*few, "--shard", "4/4", "-o", "a.png")
        self.assertEqual(os.listdir(self.folder.name), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
