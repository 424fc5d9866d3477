#!/bin/sh
# What is installed goes away whole: installs into an empty folder, uninstalls, and looks for what is left.
# SPDX-License-Identifier: LGPL-3.0-or-later
# usage: install.sh BUILD SOURCE PREFIX
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
meson install -C "$1" --no-rebuild --quiet --destdir "$root"
for file in bin/dim bin/gimp-dim-batch share/gimp-dim/models/textures/model.json share/doc/gimp-dim/README.md; do
  [ -s "$root$3/$file" ] || { echo "$file was not installed"; exit 1; }
done
DESTDIR=$root PREFIX=$3 HOME=$root/home "$2/install/uninstall"
left=$(find "$root" ! -type d)
[ -z "$left" ] || { echo "left behind:"; echo "$left"; exit 1; }
