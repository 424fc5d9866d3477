#!/bin/sh
# What is installed goes away whole: installs into an empty folder, uninstalls, and looks for what is left.
# SPDX-License-Identifier: LGPL-3.0-or-later
# usage: install.sh BUILD SOURCE PREFIX [FILE that is installed, below the prefix]...
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
meson install -C "$1" --no-rebuild --quiet --destdir "$root"
source=$2 prefix=$3
shift 3
for file in bin/dim share/gimp-dim/models/textures/model.json share/doc/gimp-dim/README.md share/doc/gimp-dim/slurm-array.sh "$@"; do
  [ -s "$root$prefix/$file" ] || { echo "$file was not installed"; exit 1; }
done
DESTDIR=$root PREFIX=$prefix HOME=$root/home "$source/install/uninstall"
left=$(find "$root" ! -type d)
[ -z "$left" ] || { echo "left behind:"; echo "$left"; exit 1; }
