"""Pictures for the metric: the folder of textures that install/textures makes, crops of it, trees of draws.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import csv
import dataclasses
import hashlib
import json
import math
import os
import struct

import numpy as np
from PIL import Image

BORDER = 16  # pixels; what a bicubic filter sees beyond the border of a picture being shrunk to three eighths


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What of a picture is a training crop: the options of `dim train`, and what it takes if they are not given."""

    scales: tuple = (1, 1.5, 2)  # sides that a picture takes, in native sizes
    flips: tuple = (0.5, 0.25)  # probabilities of left-right, up-down
    turns: float = 0.25  # of a quarter turn
    recolour: tuple = (0.12, 0.06, 0.04)  # 1 +- gain; deviations of a shift, and of a shift of each channel


class Textures:
    """OUT/textures.csv (file,class,group,split) and its pictures, read when they are asked for."""

    def __init__(self, folder, native, recipe=Recipe()):
        self.folder, self.native, self.recipe = folder, native, recipe
        self.sizes = [round(native * scale) for scale in recipe.scales]
        self.kept = {}
        name = os.path.join(folder, "textures.csv")
        with open(name, "rb") as f:
            data = f.read()
        self.hash = hashlib.sha256(data).hexdigest()
        self.rows = list(csv.DictReader(data.decode("utf-8").splitlines()))
        for column in ("file", "class", "group", "split"):
            if not self.rows or column not in self.rows[0]:
                raise SystemExit(f"{name}: no column '{column}', expected file, class, group, split")
        for row in self.rows:
            row["class"] = class_name(row["class"])
        self.classes = sorted({row["class"] for row in self.rows})

    def files(self, name, split):
        found = [row["file"] for row in self.rows if row["class"] == name and row["split"] == split]
        if not found:
            raise SystemExit(f"{self.folder}/textures.csv: no picture of class '{name}' in split '{split}'")
        return found

    def tile(self, file, size):
        """A whole picture of size x size, bytes; kept, since it is asked for often."""
        if (file, size) not in self.kept:
            with Image.open(os.path.join(self.folder, file)) as image:
                self.kept[file, size] = resized(np.asarray(image.convert("RGB")), size)
        return self.kept[file, size]

    def crop(self, name, split, rng, jitter):
        """One crop as training takes it: any picture of the class, any size, rolled on the torus, flipped, turned."""
        files = self.files(name, split)
        tile = self.tile(files[rng.integers(len(files))], self.sizes[rng.integers(len(self.sizes))])
        tile = np.roll(tile, rng.integers(0, tile.shape[0], 2), (0, 1))[:self.native, :self.native]
        chances, recipe = rng.random(3), self.recipe
        tile = tile[:, ::-1] if chances[0] < recipe.flips[0] else tile
        tile = tile[::-1] if chances[1] < recipe.flips[1] else tile
        tile = tile.transpose(1, 0, 2) if chances[2] < recipe.turns else tile
        gain, shift, tint = recipe.recolour
        gain, shift, tint = rng.uniform(1 - gain, 1 + gain), rng.normal(0, shift), rng.normal(0, tint, 3)
        if jitter:
            tile = np.rint(255 * np.clip(tile / 255 * gain + shift + tint, 0, 1)).astype(np.uint8)
        return np.ascontiguousarray(tile)

    def crops(self, name, split, count, seed, jitter=True):
        """count crops of a class; the same for the same seed (a list of numbers), whatever the other classes are."""
        key = int.from_bytes(hashlib.sha256(f"{name}/{split}".encode()).digest()[:4], "little")
        rng = np.random.default_rng([*seed, key])
        return [self.crop(name, split, rng, jitter) for _ in range(count)]

    def training_tiles(self, classes):
        """Every training picture of these classes at every size that training took."""
        return [self.tile(file, size) for name in classes for file in self.files(name, "train") for size in self.sizes]


def resized(picture, size):
    """A square picture on the torus at another size, as training does it (engine/train/resample.h)."""
    side = picture.shape[0]
    if side % size == 0:
        return np.asarray(Image.fromarray(picture).resize((size, size), Image.BOX))
    unit = side // math.gcd(side, size)  # so many pixels become a whole number of pixels
    border = -(-BORDER // unit) * unit
    to = border * size // side
    wrapped = Image.fromarray(np.pad(picture, ((border, border), (border, border), (0, 0)), "wrap"))
    return np.asarray(wrapped.resize((size + 2 * to, size + 2 * to), Image.BICUBIC))[to:-to, to:-to]


def class_name(text):
    """Lists of names may say dry_grass where folders and models say "dry grass": one form for all."""
    return text.strip().lower().replace(" ", "_")


def windows(picture, size, name):
    """A picture cut into as many whole size x size windows as it has, none of them twice."""
    down, across = picture.shape[0] // size, picture.shape[1] // size
    if not down or not across:
        raise SystemExit(f"{name}: {picture.shape[1]}x{picture.shape[0]} pixels, expected at least {size}x{size}")
    return [np.ascontiguousarray(picture[y * size:(y + 1) * size, x * size:(x + 1) * size])
            for y in range(down) for x in range(across)]


def read_tree(folder, size):
    """class/NAME.png below a folder: {class: list of size x size pictures}."""
    found = {}
    for name in sorted(os.listdir(folder)):
        inside = os.path.join(folder, name)
        if not os.path.isdir(inside):
            continue
        pictures = []
        for file in sorted(os.listdir(inside)):
            if file.lower().endswith((".png", ".jpg", ".jpeg")):
                with Image.open(os.path.join(inside, file)) as image:
                    pictures += windows(np.asarray(image.convert("RGB")), size, os.path.join(inside, file))
        if pictures:
            found[class_name(name)] = pictures
    if not found:
        raise SystemExit(f"{folder}: no pictures, expected CLASS/NAME.png")
    return found


def blurred(pictures):
    """A mean over 5 x 5 pixels, on the torus."""
    value = np.asarray(pictures, np.float32)
    for axis in (1, 2):
        value = sum(np.roll(value, k, axis) for k in range(-2, 3)) / 5
    return np.rint(value).astype(np.uint8)


def noisy(pictures, rng):
    """White noise of deviation 0.1 of the range."""
    value = np.asarray(pictures, np.float32) + rng.normal(0, 0.1 * 255, np.shape(pictures))
    return np.clip(np.rint(value), 0, 255).astype(np.uint8)


class LinearCodec:
    """The model's linear autoencoder there and back (blocks of pixels on a few directions): what becomes of a
    picture that a model copies without a fault."""

    def __init__(self, file):
        with open(file, "rb") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            header, data = json.loads(f.read(size)), f.read()
        tensor = {key: np.frombuffer(data[slice(*value["data_offsets"])], "<f4").reshape(value["shape"])
                  for key, value in header.items() if key != "__metadata__"}
        try:
            self.basis, self.mean = tensor["basis"].astype(np.float64), tensor["mean"]
        except KeyError as missing:
            raise SystemExit(f"{file}: no tensor {missing}, expected the weights of a linear autoencoder") from None
        self.block = int(round(np.sqrt(len(self.mean) / 3)))

    def __call__(self, picture):
        b, (height, width) = self.block, picture.shape[:2]
        blocks = (picture / 127.5 - 1).reshape(height // b, b, width // b, b, 3)
        flat = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, 3 * b * b) - self.mean  # channel, row, column
        back = (flat @ self.basis @ np.linalg.pinv(self.basis) + self.mean).reshape(height // b, width // b, 3, b, b)
        back = back.transpose(0, 3, 1, 4, 2).reshape(height, width, 3)
        return np.clip(np.rint((back + 1) * 127.5), 0, 255).astype(np.uint8)
