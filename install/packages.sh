# Debian packages of each purpose, and how they are installed. Sourced by try and test.
# SPDX-License-Identifier: LGPL-3.0-or-later

. /etc/os-release

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

case ${ID:-} in
  debian) ;;
  *) say "made for Debian 12 and 13; ${PRETTY_NAME:-this system} may name its packages otherwise" ;;
esac
# Debian 12 has GIMP 2.10, Debian 13 has GIMP 3.
if [ "${VERSION_ID:-13}" -le 12 ] 2>/dev/null; then gimp_dev=libgimp2.0-dev; else gimp_dev=libgimp-3.0-dev; fi

packages_build="gcc libc6-dev meson ninja-build pkgconf gettext
  libglib2.0-dev libdnnl-dev libjansson-dev libpng-dev zlib1g-dev libgdk-pixbuf-2.0-dev libgtk-3-dev gimp $gimp_dev"
packages_test="python3 python3-numpy python3-gi gir1.2-atspi-2.0 gir1.2-gtk-3.0
  xvfb xauth openbox xdotool imagemagick dbus dbus-bin dbus-daemon at-spi2-core procps
  fonts-dejavu-core adwaita-icon-theme librsvg2-common appstream desktop-file-utils g++ xz-utils util-linux
  libopenmpi-dev openmpi-bin"
packages_slurm="slurmctld slurmd slurm-client munge"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo > /dev/null; then sudo "$@"
  else die "installing packages needs root or sudo: $*"
  fi
}

# install_packages NAME...: does nothing where all are there already
install_packages() {
  missing=
  for p in "$@"; do
    dpkg-query -W -f='${Status}\n' "$p" 2> /dev/null | grep -q '^install ok installed' || missing="$missing $p"
  done
  [ -n "$missing" ] || return 0
  say "installing$missing"
  as_root apt-get update -qq || say "apt-get update failed; going on with the lists at hand"
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing > /dev/null ||
    die "could not install$missing"
}
