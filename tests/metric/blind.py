"""The blind test: drawn and held-out real crops in one shuffle, named alone, by the reader or by a person.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import csv

import numpy as np
from PIL import Image, ImageDraw

GATE = 0.9
COLUMNS, ROWS, GAP, HEAD = 8, 6, 8, 14


def shares(names, rows):
    """Share of right names of the real and of the drawn ones, by class, and the ratio of their means over classes.

    A reader that says one name too often is right more often there, for whatever is drawn; so the ratio is told
    again with no class counting more than its real crops do.
    rows: dictionaries with class and kind (real, drawn); names: one for each.
    """
    found = {}
    for name, row in zip(names, rows):
        found.setdefault(row["class"], {"real": [], "drawn": []})[row["kind"]].append(name == row["class"])
    by_class = {c: {kind: float(np.mean(right)) for kind, right in kinds.items()} for c, kinds in sorted(found.items())}
    mean = {kind: float(np.mean([row[kind] for row in by_class.values()])) for kind in ("real", "drawn")}
    capped = float(np.mean([min(row.values()) for row in by_class.values()]))
    over = mean["real"] or np.inf  # nobody who cannot name the real ones tells anything
    return by_class, mean, mean["drawn"] / over, capped / over


def print_shares(who, names, rows):
    by_class, mean, ratio, capped = shares(names, rows)
    print(f"named by {who:12} real  drawn")
    for name, row in by_class.items():
        print(f"{name:22}{row['real']:5.2f}{row['drawn']:7.2f}")
    print(f"{'mean':22}{mean['real']:5.2f}{mean['drawn']:7.2f}   ratio {ratio:.2f}, "
          f"{'passes' if ratio >= GATE else 'fails'} (at least {GATE}); "
          f"{capped:.2f} with no class above its real share")
    return {"by_class": by_class, "mean": mean, "ratio": ratio, "capped": capped}


def shuffled(real, drawn, each, rng):
    """each pictures of every class and kind, in one random order: rows with class, kind, picture, number."""
    rows = []
    for kind, tree in (("real", real), ("drawn", drawn)):
        for name, pictures in sorted(tree.items()):
            chosen = rng.permutation(len(pictures))[:each]
            rows += [{"class": name, "kind": kind, "picture": pictures[k]} for k in chosen]
    rows = [rows[k] for k in rng.permutation(len(rows))]
    return [{**row, "number": k + 1} for k, row in enumerate(rows)]


def write_sheets(rows, stem):
    """STEM-1.png, ... with numbered pictures, and STEM-key.csv, not to be looked at before all are named."""
    side, page = rows[0]["picture"].shape[0], COLUMNS * ROWS
    for start in range(0, len(rows), page):
        sheet = Image.new("RGB", (COLUMNS * (side + GAP) + GAP, ROWS * (side + GAP + HEAD) + GAP), "white")
        draw = ImageDraw.Draw(sheet)
        for k, row in enumerate(rows[start:start + page]):
            x, y = GAP + k % COLUMNS * (side + GAP), GAP + k // COLUMNS * (side + GAP + HEAD)
            draw.text((x, y), str(row["number"]), fill="black")
            sheet.paste(Image.fromarray(row["picture"]), (x, y + HEAD))
        sheet.save(f"{stem}-{start // page + 1}.png")
    with open(f"{stem}-key.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.writer(f)
        table.writerow(["number", "class", "kind"])
        table.writerows([row["number"], row["class"], row["kind"]] for row in rows)


def read_answers(stem, answers):
    """STEM-key.csv and a CSV number,class by whoever looked at the sheets: names and rows for shares()."""
    with open(f"{stem}-key.csv", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    with open(answers, encoding="utf-8") as f:
        given = {row["number"]: row["class"].strip().lower().replace(" ", "_") for row in csv.DictReader(f)}
    missing = [row["number"] for row in rows if row["number"] not in given]
    if missing:
        raise SystemExit(f"{answers}: no name for number {missing[0]} ({len(missing)} missing)")
    return [given[row["number"]] for row in rows], rows
