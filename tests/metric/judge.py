"""The figures of a set of pictures against a reference, class by class, the gate for shipping, and the tables.

Only numpy; pictures are known here by their features.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json

import numpy as np

import kid

GATE_KID, GATE_NAMES, GATE_COPY = 10, 0.8, 0.9


class Reference:
    """What `reference` found: the projection, and the features of three sets of real crops, class by class.

    train: training crops, which KID compares with and which the reader learns; again: another draw of
    training crops; held-out: crops of pictures that no training sees.
    """

    SETS = ("train", "again", "held-out")

    def __init__(self, projection, sets, about):
        self.projection, self.sets, self.about = projection, sets, about
        self.classes = about["classes"]

    def save(self, file):
        arrays = {f"projection/{field}": getattr(self.projection, field) for field in kid.Projection.FIELDS}
        arrays.update({f"{name}/{c}": x.astype(np.float32) for name in self.SETS for c, x in self.sets[name].items()})
        with open(file, "wb") as f:
            np.savez_compressed(f, about=json.dumps(self.about), **arrays)

    @classmethod
    def load(cls, file):
        with np.load(file, allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            projection = kid.Projection(*(held[f"projection/{field}"] for field in kid.Projection.FIELDS))
            sets = {name: {c: held[f"{name}/{c}"].astype(np.float64) for c in about["classes"]} for name in cls.SETS}
        return cls(projection, sets, about)

    def reader(self, classes=None):
        """A reader that knows these classes, all without; it has seen training crops only."""
        train = {c: self.sets["train"][c] for c in classes or self.classes}
        labels = np.concatenate([[c] * len(x) for c, x in train.items()])
        return kid.Reader(np.concatenate(list(train.values())), labels)

    def unknown(self, classes):
        return [c for c in classes if c not in self.classes]


def judge(reference, found, copies=None):
    """found: {class: projected features}; copies: {class: correlations}, or None. Gives {class: figures}."""
    reader, figures = reference.reader(), {}
    for name, x in found.items():
        train = reference.sets["train"][name]
        value, deviation = kid.kid(x, train)
        right = float(np.mean(reader(x) == name))
        real = float(np.mean(reader(reference.sets["again"][name]) == name))
        row = {"pictures": len(x), "kid": 100 * value, "kid_deviation": 100 * deviation, "right": right,
               "right_real": real, "share": right / real if real else 0.0, "frechet": kid.frechet(x, train)}
        if copies:
            row["copy"], row["copy_median"] = float(np.max(copies[name])), float(np.median(copies[name]))
        passes = {"kid": row["kid"] <= GATE_KID, "names": row["share"] >= GATE_NAMES,
                  "copy": row.get("copy", 0) <= GATE_COPY}
        row["fails"] = [word for word, well in passes.items() if not well]
        figures[name] = row
    return figures


def summary(figures, copies=None):
    """One row over all classes."""
    mean = {key: float(np.mean([row[key] for row in figures.values()]))
            for key in ("kid", "frechet", "right", "right_real")}
    worst = max(figures, key=lambda name: figures[name]["kid"])
    row = {**mean, "worst": worst, "worst_kid": figures[worst]["kid"]}
    if copies:
        every = np.concatenate(list(copies.values()))
        row.update(copy_median=float(np.median(every)), copy_95=float(np.percentile(every, 95)),
                   copy=float(every.max()))
    return row


def print_classes(figures, total):
    searched = "copy" in total
    print(f"{'class':16}{'n':>5}{'KID x 100':>11}{'+-':>6}{'right':>7}{'real':>6}{'ratio':>7}{'Frechet':>9}"
          + ("   copy median" if searched else "") + "  gate")
    for name, row in sorted(figures.items()):
        print(f"{name:16}{row['pictures']:5}{row['kid']:11.1f}{row['kid_deviation']:6.1f}{row['right']:7.2f}"
              f"{row['right_real']:6.2f}{row['share']:7.2f}{row['frechet']:9.1f}"
              + (f"{row['copy']:7.2f}{row['copy_median']:7.2f}" if searched else "")
              + ("  passes" if not row["fails"] else "  fails: " + ", ".join(row["fails"])))
    print(f"{'mean':21}{total['kid']:11.1f}{'':6}{total['right']:7.2f}{total['right_real']:6.2f}{'':7}"
          f"{total['frechet']:9.1f}" + (f"{total['copy']:7.2f}{total['copy_median']:7.2f}" if searched else ""))
    passed = sum(not row["fails"] for row in figures.values())
    print(f"worst class: {total['worst']} {total['worst_kid']:.1f}; the gate (KID x 100 <= {GATE_KID}, right >= "
          f"{GATE_NAMES} of real training crops, no copy above {GATE_COPY}) passes {passed} of {len(figures)} classes"
          + ("" if searched else "; copies were not searched"))


def print_sets(rows):
    """rows: {name of the set: summary()}, as Markdown."""
    print("| set | KID x 100, mean | worst class | Frechet | class accuracy | max correlation, median / 95 % |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        copy = f"{row['copy_median']:.2f} / {row['copy_95']:.2f}" if "copy" in row else ""
        print(f"| {name} | {row['kid']:.1f} | {row['worst_kid']:.1f} {row['worst']} | {row['frechet']:.1f} | "
              f"{row['right']:.2f} | {copy} |")
