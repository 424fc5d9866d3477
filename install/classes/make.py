#!/usr/bin/python3
# Makes imagenet.txt and imagenet-synonyms.txt: names and further names of ImageNet's 1000 classes in label order.
#
# SPDX-License-Identifier: LGPL-3.0-or-later
#
#     apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
#     pip download timm==1.0.20 --no-deps && unzip timm-*.whl 'timm/data/_info/imagenet_synsets.txt'
#     make.py timm/data/_info/imagenet_synsets.txt wordnet/usr/share/wordnet/data.noun install/classes
#
# A class is a synset of WordNet 3.0, n and its offset in data.noun; the list of the 1000 is the one thing that timm is needed for. The
# name is the synset's first word, the synonyms are the others. Where two classes have the same first word, also in another
# case, each is told by what it is a kind of: "crane (wading bird)"; the bare word is then a synonym of both.
import collections
import pathlib
import sys


def words(fields):
    """The words of a line of data.noun, split at blanks: after offset, file and type their number, then word and sense."""
    count = int(fields[3], 16)
    return [fields[4 + 2 * i].replace("_", " ") for i in range(count)]


def parent(fields):
    """The offset of what it is a kind of: the first pointer @, each of four fields, behind the words."""
    first = 4 + 2 * int(fields[3], 16)
    for i in range(int(fields[first])):
        kind, offset = fields[first + 1 + 4 * i: first + 3 + 4 * i]
        if kind in ("@", "@i"):
            return offset
    sys.exit(f"{fields[0]}: is a kind of nothing")


def main():
    ids = pathlib.Path(sys.argv[1]).read_text().split()
    synsets = {}
    for line in pathlib.Path(sys.argv[2]).read_text().splitlines():
        if not line.startswith(" "):
            fields = line.split(" | ")[0].split(" ")
            synsets[fields[0]] = fields
    if len(ids) != 1000 or ids != sorted(set(ids)):
        sys.exit("expected 1000 ids in their order")

    classes = [synsets[i[1:]] for i in ids]
    firsts = collections.Counter(words(c)[0].casefold() for c in classes)
    names, synonyms = [], []
    for fields in classes:
        name, *more = words(fields)
        if firsts[name.casefold()] > 1:
            more.insert(0, name)
            name = f"{name} ({words(synsets[parent(fields)])[0]})"
        names.append(name)
        synonyms.append(", ".join(dict.fromkeys(more)))
    if len({n.casefold() for n in names}) != 1000 or any("," in n for n in names):
        sys.exit("names are not distinct")
    out = pathlib.Path(sys.argv[3])
    (out / "imagenet.txt").write_text("\n".join(names) + "\n")
    (out / "imagenet-synonyms.txt").write_text("\n".join(synonyms) + "\n")


main()
