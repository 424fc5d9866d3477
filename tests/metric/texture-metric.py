#!/usr/bin/env python3
"""How good a model of textures is, in figures: a developers' command, no part of the product and of its tests.

    python3 -m venv V && V/bin/pip install -r tests/metric/requirements.txt
    install/textures OUT
    M="V/bin/python tests/metric/texture-metric.py"
    $M reference OUT -o REF.npz                     real crops, once a data set
    $M held-out OUT REF.npz                         the figures of real crops, and of spoilt ones
    $M score REF.npz DRAWS                          of a model's draws, DRAWS/CLASS/NAME.png
    $M blind OUT DRAWS REF.npz --sheets STEM        the blind test: by machine, and sheets for people,
    $M blind OUT DRAWS REF.npz --sheets STEM --answers NAMES.csv        whose names (number,class) it counts

Draws for it, 50 or more a class (fewer make KID swing):

    dim sample --class all --count 50 --seed 1 --size 128x128 -o 'DRAWS/{class}/{item}.png'

Figures, for each class:
    KID x 100   unbiased cubic-kernel MMD^2 against training crops, on 64 principal components of texture statistics
                (features.py, kid.py); about 0 for training crops, +- is a jackknife deviation over the draws
    right       share that a linear-discriminant reader of all classes, taught by training crops, names right;
                real: the same of other training crops; ratio: right / real
    Frechet     on the first 16 components; biased by the number of pictures, so compare only equal numbers
    copy        largest correlation of a 64 px window with any training picture at any size and in any symmetry
                (copies.py), of all draws searched; median: the same for the middle one

A reference is made for pictures of one size (--size 128, 256 or 512): as `dim train` does it, crops of pictures at 1,
1.5 and 2 times that size, rolled, flipped, with jitter of colours, or with the options that a training had. With
--projection OTHER.npz its figures are on the scale of that reference's, so the gate means the same. A scored picture
that is larger is cut into whole windows of that size, never resized: grain has a size. Everything follows from
--seed.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import dataclasses
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import blind  # noqa: E402
import copies  # noqa: E402
import data  # noqa: E402
import judge  # noqa: E402
import kid  # noqa: E402

SEEDS = {"train": 1, "again": 2, "held-out": 3, "copies": 4, "blind": 5, "noise": 6}


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:40}\r", end="", file=sys.stderr, flush=True)


def describe(pictures, reference=None):
    """{class: pictures} to {class: features}, projected if there is a reference. Loads torch, hence here."""
    import features
    texture = features.model()
    found = {}
    for name, crops in pictures.items():
        progress(name)
        found[name] = features.features(crops, texture)
        if reference:
            found[name] = reference.projection(found[name])
    progress("")
    return found


def search(textures, pictures, options):
    """{class: the largest correlation of each picture}, over the class's training pictures or over all."""
    found = {}
    for name, crops in pictures.items():
        progress(f"copies of {name}")
        tiles = textures.training_tiles(textures.classes if options.search == "all" else [name])
        windows = [copies.windows_of(crop, options.windows) for crop in crops[:options.copy_draws]]
        best, _ = copies.largest(np.concatenate(windows), [copies.luminance(tile) for tile in tiles])
        found[name] = best.reshape(len(windows), -1).max(1)
    progress("")
    return found


def open_reference(options):
    reference = judge.Reference.load(options.reference)
    about = reference.about
    recipe = data.Recipe(**about.get("recipe", {}))
    textures = data.Textures(getattr(options, "data", None) or about["data"], about["size"], recipe)
    if textures.hash != reference.about["hash"]:
        raise SystemExit(f"{textures.folder}/textures.csv: not the list that {options.reference} was made from")
    return reference, textures


def read_draws(options, reference):
    pictures = data.read_tree(options.pictures, reference.about["size"])
    unknown = reference.unknown(pictures)
    if unknown:
        raise SystemExit(f"{options.pictures}: {options.reference} has no class '{unknown[0]}'")
    few = [name for name, crops in pictures.items() if len(crops) < 3]
    if few:
        raise SystemExit(f"{options.pictures}: {len(pictures[few[0]])} of '{few[0]}', expected 3 pictures at least")
    return pictures


def run_reference(options):
    recipe = data.Recipe(options.scales, options.flips, options.turns, options.recolour)
    textures = data.Textures(options.data, options.size, recipe)
    projection = judge.Reference.load(options.projection).projection if options.projection else None
    sets = {}
    for name in judge.Reference.SETS:
        split = "test" if name == "held-out" else "train"
        sets[name] = describe({c: textures.crops(c, split, options.count, [options.seed, SEEDS[name]], options.jitter)
                               for c in textures.classes})
    projection = projection or kid.Projection.fit(np.concatenate(list(sets["train"].values())))
    sets = {name: {c: projection(x) for c, x in found.items()} for name, found in sets.items()}
    about = {"size": options.size, "count": options.count, "seed": options.seed, "jitter": options.jitter,
             "recipe": dataclasses.asdict(recipe), "classes": textures.classes, "hash": textures.hash,
             "data": os.path.abspath(options.data)}
    judge.Reference(projection, sets, about).save(options.output)


def run_score(options):
    reference = judge.Reference.load(options.reference)
    pictures = read_draws(options, reference)
    found = None
    if options.search != "off":
        found = search(open_reference(options)[1], pictures, options)
    figures = judge.judge(reference, describe(pictures, reference), found)
    total = judge.summary(figures, found)
    judge.print_classes(figures, total)
    write_json(options, {"reference": reference.about, "classes": figures, "all": total})


def run_held_out(options):
    """Real crops as they are, and spoilt: the order of the rows shows that the figures separate."""
    reference, textures = open_reference(options)
    about, rng = reference.about, np.random.default_rng(SEEDS["noise"])
    real = {c: textures.crops(c, "test", about["count"], [about["seed"], SEEDS["held-out"]], about["jitter"])
            for c in textures.classes}
    names = list(real)
    found = {"real training crops, another draw": reference.sets["again"], "real held-out": reference.sets["held-out"]}
    correlations = {}
    if options.search != "off":
        crops = {c: textures.crops(c, "train", options.copy_draws, [about["seed"], SEEDS["copies"]], about["jitter"])
                 for c in textures.classes}
        correlations["real training crops, another draw"] = search(textures, crops, options)
        correlations["real held-out"] = search(textures, real, options)
    if options.codec:
        codec, row = data.LinearCodec(options.codec), "real training crops, through the codec"
        again = {c: textures.crops(c, "train", about["count"], [about["seed"], SEEDS["again"]], about["jitter"])
                 for c in textures.classes}
        again = {c: [codec(crop) for crop in crops] for c, crops in again.items()}
        found[row] = describe(again, reference)
        if options.search != "off":
            correlations[row] = search(textures, again, options)
    found["real held-out, blurred 5 x 5"] = describe({c: data.blurred(x) for c, x in real.items()}, reference)
    found["real held-out, noise 0.1"] = describe({c: data.noisy(x, rng) for c, x in real.items()}, reference)
    found["real held-out, labels moved by one class"] = {c: reference.sets["held-out"][names[k - 1]]
                                                         for k, c in enumerate(names)}
    rows, classes = {}, {}
    for row, sets in found.items():
        classes[row] = judge.judge(reference, sets, correlations.get(row))
        rows[row] = judge.summary(classes[row], correlations.get(row))
    judge.print_sets(rows)
    if options.verbose:
        for row in classes:
            print(f"\n{row}")
            judge.print_classes(classes[row], rows[row])
    write_json(options, {"reference": about, "sets": rows, "classes": classes})


def run_blind(options):
    reference, textures = open_reference(options)
    if options.answers:
        return write_json(options, blind.print_shares("people", *blind.read_answers(options.sheets, options.answers)))
    drawn = read_draws(options, reference)
    count = max(len(crops) for crops in drawn.values())
    seed = [reference.about["seed"], SEEDS["blind"]]
    real = {c: textures.crops(c, "test", count, seed, options.jitter) for c in drawn}
    reader = reference.reader(list(drawn))
    names, rows = [], []
    for kind, tree in (("real", real), ("drawn", drawn)):
        for name, x in describe(tree, reference).items():
            names += list(reader(x))
            rows += [{"class": name, "kind": kind}] * len(x)
    result = blind.print_shares("the reader", names, rows)
    if options.sheets:
        blind.write_sheets(blind.shuffled(real, drawn, options.each, np.random.default_rng(seed)), options.sheets)
    write_json(options, result)


def write_json(options, value):
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(value, f, indent=1)
            f.write("\n")


def numbers(least, most):
    """The type of an option of least to most numbers with commas between them."""
    def read(text):
        found = tuple(float(word) for word in text.split(","))
        if not least <= len(found) <= most:
            raise ValueError
        return found
    read.__name__ = f"list of {least} to {most} numbers" if least < most else f"list of {least} numbers"
    return read


def add_recipe(command):
    usual = data.Recipe()
    command.add_argument("--scales", type=numbers(1, 8), default=usual.scales, metavar="A,B,...", help="(1,1.5,2)")
    command.add_argument("--flips", type=numbers(2, 2), default=usual.flips, metavar="X,Y", help="(0.5,0.25)")
    command.add_argument("--turns", type=float, default=usual.turns, metavar="P", help="(0.25)")
    command.add_argument("--recolour", type=numbers(3, 3), default=usual.recolour, metavar="GAIN,SHIFT,TINT",
                         help="(0.12,0.06,0.04); these four as for dim train")


def add_search(command):
    command.add_argument("--search", choices=("class", "all", "off"), default="class",
                         help="training pictures searched for copies: the class's (default), all, none")
    command.add_argument("--copy-draws", type=int, default=12, metavar="N", help="pictures of a class searched (12)")
    command.add_argument("--windows", type=int, choices=(1, 4, 9), default=1,
                         help="windows of a picture searched: the middle (default), or a grid")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    reference = commands.add_parser("reference", help="real crops of a data set, for the others to compare with")
    reference.add_argument("data")
    reference.add_argument("-o", "--output", required=True, metavar="REF.npz")
    reference.add_argument("--size", type=int, choices=(128, 256, 512), default=128,
                           help="side of the pictures in pixels (128)")
    reference.add_argument("--count", type=int, default=100, help="crops of a class and set (100)")
    reference.add_argument("--seed", type=int, default=0)
    reference.add_argument("--no-jitter", dest="jitter", action="store_false", help="colours as they are")
    reference.add_argument("--projection", metavar="REF.npz", help="take the projection of this reference")
    add_recipe(reference)
    score = commands.add_parser("score", help="figures of draws")
    score.add_argument("reference")
    score.add_argument("pictures")
    score.add_argument("--data", help="the data set, if it is not where it was")
    held_out = commands.add_parser("held-out", help="figures of real crops, and of spoilt ones")
    held_out.add_argument("data")
    held_out.add_argument("reference")
    held_out.add_argument("--codec", metavar="FILE",
                          help="weights of a linear autoencoder: adds a row of training crops through it")
    held_out.add_argument("-v", "--verbose", action="store_true", help="every row class by class, too")
    test = commands.add_parser("blind", help="drawn and real crops in one shuffle, named alone")
    test.add_argument("data")
    test.add_argument("pictures")
    test.add_argument("reference")
    test.add_argument("--sheets", metavar="STEM", help="write STEM-1.png, ... to be named, and STEM-key.csv")
    test.add_argument("--each", type=int, default=3, help="of a class and kind on the sheets (3)")
    test.add_argument("--answers", metavar="CSV", help="columns number,class: what people saw on the sheets STEM")
    test.add_argument("--jitter", action="store_true", help="real crops with the jitter of colours of training")
    for command in (score, held_out):
        add_search(command)
    for command in (score, held_out, test):
        command.add_argument("--json", metavar="FILE", help="the figures for programs")
    options = parser.parse_args()
    if options.command == "blind" and options.answers and not options.sheets:
        parser.error("--answers needs --sheets STEM")
    run = {"reference": run_reference, "score": run_score, "held-out": run_held_out, "blind": run_blind}
    try:
        run[options.command](options)
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


if __name__ == "__main__":
    main()
