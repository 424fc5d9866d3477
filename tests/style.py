#!/usr/bin/env python3
"""The rules of CONTRIBUTING.md that a machine can check: who may include whom, long files, long functions.

usage: style.py ROOT        prints what breaks a rule; exit status 1 if anything does

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import re
import sys

MAY_INCLUDE = {  # folder -> own folders it may include from
    "plugin": {"plugin", "ui", "engine/dim.h"},
    "ui": {"ui", "engine/dim.h"},
    "engine/tool": {"engine/tool", "engine/dim.h", "engine/dim-train.h"},
    "engine/train": {"engine", "kernels/dk.h", "kernels/dk-train.h"},
    "engine": {"engine", "kernels/dk.h"},
    "kernels": {"kernels"},
}
FOREIGN = {  # folder -> headers of others that it must not see
    "kernels": r"(glib|gtk|gio|gegl|libgimp|jansson)\b",
    "engine": r"(gtk|gio|gegl|libgimp)\b",
    "ui": r"(libgimp|gegl)\b",
}
FILE_LINES, FUNCTION_LINES = 600, 60


def zone(path, table):
    return next((z for z in sorted(table, key=len, reverse=True) if path.startswith(z + "/")), None)


def check_includes(path, lines):
    where, foreign = zone(path, MAY_INCLUDE), zone(path, FOREIGN)
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        what = match.group(2)
        if match.group(1) == '"':
            if what.split("/")[0] not in ("plugin", "ui", "engine", "kernels", "tests"):
                what = os.path.normpath(os.path.join(os.path.dirname(path), what))
            allowed = MAY_INCLUDE.get(where)
            if allowed and not any(what == a or (what.startswith(a + "/") and not a.endswith(".h")) for a in allowed):
                yield f"{path}:{number}: includes {what}, which {where}/ may not see"
        elif foreign and re.match(FOREIGN[foreign], what):
            yield f"{path}:{number}: includes <{what}>, which {foreign}/ may not see"
        if re.match(r"(cuda|cublas|cufft)", what) and not path.startswith(("kernels/cuda/", "tests/")):
            yield f"{path}:{number}: includes {what} outside of kernels/cuda/"


def check_lengths(path, lines):
    if len(lines) > FILE_LINES:
        yield f"{path}: {len(lines)} lines, at most {FILE_LINES}"
    start = None
    for i, line in enumerate(lines):
        if start is None and line.startswith("{") and i and not re.match(r"[#}]|typedef|enum|struct", lines[i - 1]):
            start = i
        elif start is not None and line.startswith("}"):
            if i - start + 1 > FUNCTION_LINES:
                yield f"{path}:{start}: a function of {i - start + 1} lines, at most {FUNCTION_LINES}"
            start = None


def main():
    root, found, files = sys.argv[1], [], 0
    for top in ("plugin", "ui", "engine", "kernels", "tests"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".cu", ".cuh")):
                    full = os.path.join(folder, name)
                    path = os.path.relpath(full, root)
                    with open(full, encoding="utf-8") as f:
                        lines = f.read().split("\n")
                    found += [*check_includes(path, lines), *check_lengths(path, lines)]
                    files += 1
    print("\n".join(found) or f"{files} files keep the rules")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
