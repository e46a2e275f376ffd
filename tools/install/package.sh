#!/usr/bin/env bash
# Makes packages of what install.sh installs: a tar that runs from any folder, and one for Debian and its kin.
# The words up to the second "--" are those of BUILD.bazel.
set -euo pipefail

usage() {
  cat <<'END'
Usage: ./bazelw run //tools:package -- [--tar] [--deb] [DIR]

Writes ringfence-VERSION-linux-MACHINE.tar.gz and ringfence_VERSION_ARCHITECTURE.deb to DIR (default: the current
folder), and the checksum of each to a file beside it with .sha256 at its end. Without --tar and --deb: both, the second
where dpkg-deb is installed.
END
}

die() {
  printf 'package: %s\n' "$*" >&2
  exit 1
}

install=()
while [[ $1 != -- ]]; do
  install+=("$1")
  shift
done
shift

kinds=()
folder=.
for word in "$@"; do
  case $word in
    --tar | --deb) kinds+=("${word#--}") ;;
    -h | --help) usage && exit 0 ;;
    -*) die "unknown option $word; see --help" ;;
    *) folder=$word ;;
  esac
done
if ((${#kinds[@]} == 0)); then
  kinds=(tar)
  command -v dpkg-deb >/dev/null && kinds+=(deb)
fi
[[ $folder == /* ]] || folder=${BUILD_WORKING_DIRECTORY:-$PWD}/$folder
mkdir -p -- "$folder"
folder=$(cd -- "$folder" && pwd)

# The same files in, the same package out, byte for byte: all dates are the last commit's.
date_of_sources() {
  git -C "${BUILD_WORKSPACE_DIRECTORY:-.}" log -1 --format=%ct 2>/dev/null || date -d 2026-01-01 +%s
}

umask 022
export LC_ALL=C TZ=UTC
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date_of_sources)}
readonly maintainer="${DEBFULLNAME:-The Ringfence authors} <${DEBEMAIL:-ringfence@example.org}>"
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
work=$scratch

finish() {
  (cd -- "$folder" && sha256sum -- "$1" >"$1.sha256")
  echo "$folder/$1"
}

# prefix: an installation in $work/root, without the list for --uninstall
stage() {
  rm -rf -- "$work/root"
  "${install[@]}" -- --prefix "$1" --destdir "$work/root" >/dev/null
  rm -r -- "$work/root$1/share/ringfence"
}

machine_of() { readelf -h "$1" | sed -n 's/^ *Machine: *//p'; }

# program: how tar files and Debian call what it runs on
name_machine() {
  case $(machine_of "$1") in
    *X86-64*) echo x86_64 amd64 ;;
    *80386*) echo i686 i386 ;;
    *AArch64*) echo aarch64 arm64 ;;
    *) die "no name for the machine of $1" ;;
  esac
}

version_of() { "$1" version | cut -d' ' -f2; }

make_tar() {
  stage /ringfence
  local version machine _ name
  version=$(version_of "$work/root/ringfence/bin/ringfence")
  read -r machine _ < <(name_machine "$work/root/ringfence/bin/ringfence")
  name=ringfence-$version-linux-$machine
  mv -- "$work/root/ringfence" "$work/root/ringfence-$version"
  tar -C "$work/root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - \
    "ringfence-$version" | gzip -9n >"$folder/$name.tar.gz"
  finish "$name.tar.gz"
}

# The newest glibc that a symbol of the files is from.
libc_needed() {
  readelf --dyn-syms -W "$@" | grep -oE '@GLIBC_[0-9.]+' | sed 's/.*_//' | sort -Vu | tail -n 1
}

control() {
  local version=$1 architecture=$2 root=$3
  cat <<END
Package: ringfence
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Section: devel
Priority: optional
Installed-Size: $(du -k -s --apparent-size "$root" | cut -f1)
Depends: libc6 (>= $(libc_needed "$root/usr/bin/ringfence" "$root/usr/lib/libringfence.so.0"))
Recommends: binutils | elfutils | llvm
Suggests: libc6-dev
Description: finds memory bugs in programs as they are
 Runs a program, and all programs that it starts, with a checked malloc, and
 names the lines of what it finds: writes outside of heap blocks, writes after
 free, double and bad frees, and leaks. The program need not be rebuilt.
 .
 With it come the allocators and checkers as static libraries for C and C++,
 also for arenas of a program's own, with pkg-config and CMake files.
END
}

copyright() {
  cat <<'END'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ringfence

Files: *
Copyright: 2026 The Ringfence authors
License: Apache-2.0
 On Debian systems, the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
END
}

changelog() {
  cat <<END
ringfence ($1) unstable; urgency=medium

  * Release $1. See CHANGELOG.md of the sources.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
}

# Exceptions from lintian's rules, with their reasons.
overrides() {
  cat <<'END'
# LD_PRELOAD lines and the command name the library; no program links to it.
ringfence: package-name-doesnt-match-sonames libringfence0
ringfence: link-to-shared-library-in-wrong-package *
END
}

make_deb() {
  command -v dpkg-deb >/dev/null || die "--deb needs dpkg-deb, of the package dpkg"
  stage /usr
  local root=$work/root version architecture _ file
  version=$(version_of "$root/usr/bin/ringfence")
  read -r _ architecture < <(name_machine "$root/usr/bin/ringfence")
  mv -- "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
  mv -- "$root/usr/lib/pkgconfig" "$root/usr/share/pkgconfig" # where cross compilers look as well
  rm -- "$root/usr/share/doc/ringfence/LICENSE"
  mkdir -p "$root/DEBIAN" "$root/usr/share/lintian/overrides"
  copyright >"$root/usr/share/doc/ringfence/copyright"
  changelog "$version" | gzip -9n >"$root/usr/share/doc/ringfence/changelog.gz"
  overrides >"$root/usr/share/lintian/overrides/ringfence"
  gzip -9n "$root"/usr/share/man/man1/*.1
  echo 'activate-noawait ldconfig' >"$root/DEBIAN/triggers"
  echo "libringfence 0 ringfence (>= $version)" >"$root/DEBIAN/shlibs"
  (cd -- "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  control "$version" "$architecture" "$root" >"$work/control"
  mv -- "$work/control" "$root/DEBIAN/control"
  file=ringfence_${version}_$architecture.deb
  find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group --build "$root" "$folder/$file" >/dev/null
  finish "$file"
}

for kind in "${kinds[@]}"; do
  "make_$kind"
done
