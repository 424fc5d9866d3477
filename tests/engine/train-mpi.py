#!/usr/bin/env python3
"""dim train under mpirun: two processes that share a batch come to what one process comes to, within rounding.

    train-mpi.py DIM        exit status 77: there is no mpirun, or dim was built without MPI
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import train_pictures

DIM = os.path.abspath(sys.argv[1])
MPIRUN = shutil.which("mpirun")
STEPS = 12


def tensors(data):
    """name -> list of floats, of an F32 safetensors file."""
    size = struct.unpack("<Q", data[:8])[0]
    for name, entry in json.loads(data[8:8 + size]).items():
        begin, end = entry["data_offsets"]
        yield name, struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin:8 + size + end])


class TrainMpi(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        train_pictures.make(self.path("data"))

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def train(self, run, *arguments, processes=1, status=0):
        # Two on a machine of any size, started by anybody, as tests are.
        start = [MPIRUN, "-np", str(processes), "--oversubscribe"] + ["--allow-run-as-root"] * (os.geteuid() == 0)
        command = (start if processes > 1 else []) + [DIM, "train", "--output", run, "--threads", "1", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder.name, capture_output=True, text=True, timeout=250,
                              env={**os.environ, "OMPI_MCA_btl_vader_single_copy_mechanism": "none"})
        self.assertEqual(done.returncode != 0, status != 0, done.stderr)
        return done

    def begin(self, run, **more):
        return self.train(run, "--data", "data", "--size", 32, "--width", 24, "--depth", 3, "--states", 4, "--batch", 8,
                          "--steps", STEPS, "--warmup", 2, "--rate", "1e-3", "--checkpoint-every", 0, **more)

    def rows(self, run):
        with open(self.path(run, "loss.csv")) as f:
            return [line.strip().split(",") for line in f][1:]

    def compare(self, one, two):
        self.assertEqual(len(self.rows(one)), len(self.rows(two)))
        for a, b in zip(self.rows(one), self.rows(two)):
            self.assertEqual(a[:2], b[:2])
            for field in (3, 6):
                self.assertLess(abs(float(a[field]) - float(b[field])), 1e-4 * float(a[field]), (a, b))
        files = []
        for run in (one, two):
            with open(self.path(run, "model", "dim.safetensors"), "rb") as f:
                files.append(dict(tensors(f.read())))
        self.assertEqual(set(files[0]), set(files[1]))
        far = sum((a - b) ** 2 for name in files[0] for a, b in zip(files[0][name], files[1][name]))
        all_of_it = sum(a * a for values in files[0].values() for a in values)
        self.assertLess(far, 1e-8 * all_of_it)

    def test_two_as_one(self):
        self.begin("one")
        said = self.begin("two", processes=2).stdout
        self.assertEqual(said.count("0 of 12 steps of 8 samples"), 1, said)
        self.compare("one", "two")

    def test_going_on(self):
        """What two processes began one goes on with, and the other way round."""
        self.begin("one")
        for first, second in ((1, 2), (2, 1)):
            run = f"broken{first}"
            self.begin(run, processes=first)
            self.train(run, "--steps", 16, processes=second)
            self.assertEqual(len(self.rows(run)), 16)
        self.compare("broken1", "broken2")

    def test_refused(self):
        """A batch that cannot be shared; a folder that is no training's."""
        done = self.train("run", "--data", "data", "--batch", 3, "--size", 32, processes=2, status=1)
        self.assertIn("batch", done.stderr)
        self.assertFalse(os.path.exists(self.path("run", "checkpoint.safetensors")))
        self.assertIn("train.json", self.train("data", "--data", "data", processes=2, status=1).stderr)


if __name__ == "__main__":
    if not MPIRUN or not os.path.exists(os.path.join(os.path.dirname(DIM), "dim-mpi.so")):
        print("no mpirun, or built without MPI")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
