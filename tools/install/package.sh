#!/usr/bin/env bash
# Makes packages of what install.sh installs, or of the service: a tar that runs from any folder, and one for Debian and
# its kin. The words up to the last "--" are those of BUILD.bazel.
set -euo pipefail

usage() {
  cat <<'END'
Usage: ./bazelw run //tools:package -- [--tar] [--deb] [DIR]
       ./bazelw run //tools/install:package_service -- [--tar] [--deb] [DIR]

Writes ringfence-VERSION-linux-MACHINE.tar.gz and ringfence_VERSION_ARCHITECTURE.deb to DIR (default: the current
folder), and the checksum of each to a file beside it with .sha256 at its end. Without --tar and --deb: both, the second
where dpkg-deb is installed. The second command does so for the collecting service, ringfence-serve.
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

# The service's words are all NAME=FILE; those of install.sh begin with it.
declare -A from
if [[ ${install[0]} == serve=* ]]; then
  for word in "${install[@]}"; do
    from[${word%%=*}]=${word#*=}
  done
fi

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
  rm -- "$work/root$1/share/ringfence/installed"
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

# The libraries that the program is linked to, but for the C library.
libraries_of() { ldd "$1" | sed -nE 's/^\s*(\S+) => (\/\S+) .*/\1 \2/p' | grep -vE '^lib(c|m|dl|rt|pthread)\.so'; }

# file: Debian's package that it is of. By its name alone: /lib may be a link to /usr/lib.
package_of() {
  { dpkg-query -S "*/$(basename -- "$(readlink -f -- "$1")")" 2>/dev/null || true; } | head -n 1 | cut -d: -f1
}

# Debian's copyright file of the package that a library is of: their licenses ask for it.
stage_license() {
  local package
  package=$(package_of "$1")
  [[ -n $package && -r /usr/share/doc/$package/copyright ]] || return 0
  install -D -m 644 -- "/usr/share/doc/$package/copyright" "$2/$package"
}

# The program, with the libraries that it is linked to beside it, as they are: anybody may replace one.
make_service_tar() {
  local version machine _ name root library file
  version=$(<"${from[version]}")
  read -r machine _ < <(name_machine "${from[portable]}")
  name=ringfence-serve-$version-linux-$machine
  rm -rf -- "$work/root"
  root=$work/root/ringfence-serve-$version
  mkdir -p "$root"/{bin,lib/ringfence-serve,share/doc/ringfence-serve/licenses,share/systemd/user}
  install -m 755 -- "${from[portable]}" "$root/bin/ringfence-serve"
  strip --strip-unneeded --remove-section=.comment "$root/bin/ringfence-serve"
  while read -r library file; do
    install -m 644 -- "$file" "$root/lib/ringfence-serve/$library"
    stage_license "$file" "$root/share/doc/ringfence-serve/licenses"
  done < <(libraries_of "${from[portable]}")
  install -m 644 -- "${from[license]}" "$root/share/doc/ringfence-serve/LICENSE"
  install -m 644 -- "${from[unit]}" "$root/share/systemd/user/ringfence.service"
  python3 "${from[manual]}" --service "${from[serve]}" "$version" "$root/share"
  tar -C "$work/root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - \
    "ringfence-serve-$version" | gzip -9n >"$folder/$name.tar.gz"
  finish "$name.tar.gz"
}

# The packages of the libraries that the program itself names, each at least as new as here.
service_depends() {
  local library file package
  while read -r library; do
    file=$(ldd "$1" | sed -nE "s/^\s*${library//./\\.} => (\/\S+) .*/\1/p")
    [[ -n $file && $library != libc.so* && $library != libm.so* ]] || continue
    package=$(package_of "$file")
    [[ -n $package ]] || die "no package has $file"
    printf ', %s (>= %s)' "$package" "$(dpkg-query -W -f '${source:Upstream-Version}' "$package")"
  done < <(readelf -d "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
}

service_control() {
  cat <<END
Package: ringfence-serve
Version: $1
Architecture: $2
Maintainer: $maintainer
Section: devel
Priority: optional
Installed-Size: $(du -k -s --apparent-size "$3" | cut -f1)
Depends: libc6 (>= $(libc_needed "$3/usr/bin/ringfence-serve"))$(service_depends "$3/usr/bin/ringfence-serve")
Recommends: ringfence, curl, binutils | elfutils | llvm
Description: collects the findings of checked processes in one place
 Memory bugs that Ringfence finds in programs, wherever they run, come
 together in one database: each bug once, with its counts, builds and hosts,
 on a page, at the command line and as a gate for CI.
END
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
  cat <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: $1

Files: *
Copyright: 2026 The Ringfence authors
License: Apache-2.0
 On Debian systems, the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
END
}

changelog() {
  cat <<END
$2 ($1) unstable; urgency=medium

  * Release $1. See CHANGELOG.md of the sources.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
}

# Exceptions from lintian's rules, with their reasons.
overrides() {
  if [[ -e $1/usr/lib/ringfence/i386 ]]; then
    cat <<'END'
# For programs of 32 bits that checked ones start: the loader is theirs, and needs nothing of another package.
ringfence: binary-from-other-architecture usr/lib/ringfence/i386/*
END
  fi
  if [[ -e $1/usr/lib/ringfence/musl ]]; then
    cat <<'END'
# For programs of musl that checked ones start: the C library that it needs is musl's, libc.so.
ringfence: library-not-linked-against-libc *usr/lib/ringfence/musl/*
END
  fi
  cat <<'END'
# LD_PRELOAD lines and the command name the library; no program links to it.
ringfence: package-name-doesnt-match-sonames libringfence0
ringfence: link-to-shared-library-in-wrong-package *
END
}

# package, version
stage_papers() {
  copyright "$1" >"$work/root/usr/share/doc/$1/copyright"
  changelog "$2" "$1" | gzip -9n >"$work/root/usr/share/doc/$1/changelog.gz"
}

# file: of what is in $work/root, with $work/control
build_deb() {
  local root=$work/root
  (cd -- "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  mv -- "$work/control" "$root/DEBIAN/control"
  find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group --build "$root" "$folder/$1" >/dev/null
  finish "$1"
}

make_deb() {
  command -v dpkg-deb >/dev/null || die "--deb needs dpkg-deb, of the package dpkg"
  stage /usr
  local root=$work/root version architecture _
  version=$(version_of "$root/usr/bin/ringfence")
  read -r _ architecture < <(name_machine "$root/usr/bin/ringfence")
  mv -- "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
  mv -- "$root/usr/lib/pkgconfig" "$root/usr/share/pkgconfig" # where cross compilers look as well
  rm -- "$root/usr/share/doc/ringfence/LICENSE"
  # gdb looks here for the script that belongs to a library of a process.
  mkdir -p "$root/usr/share/gdb/auto-load/usr/lib"
  ln -s ../../../../ringfence/gdb.py "$root/usr/share/gdb/auto-load/usr/lib/libringfence.so.0-gdb.py"
  mkdir -p "$root/DEBIAN" "$root/usr/share/lintian/overrides"
  stage_papers ringfence "$version"
  overrides "$root" >"$root/usr/share/lintian/overrides/ringfence"
  gzip -9n "$root"/usr/share/man/man1/*.1
  echo 'activate-noawait ldconfig' >"$root/DEBIAN/triggers"
  echo "libringfence 0 ringfence (>= $version)" >"$root/DEBIAN/shlibs"
  control "$version" "$architecture" "$root" >"$work/control"
  build_deb "ringfence_${version}_$architecture.deb"
}

make_service_deb() {
  command -v dpkg-deb >/dev/null || die "--deb needs dpkg-deb, of the package dpkg"
  local root=$work/root version architecture _
  version=$(<"${from[version]}")
  read -r _ architecture < <(name_machine "${from[serve]}")
  rm -rf -- "$root"
  mkdir -p "$root/DEBIAN"
  install -D -m 755 -- "${from[serve]}" "$root/usr/bin/ringfence-serve"
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/ringfence-serve"
  install -D -m 644 -- "${from[unit]}" "$root/usr/lib/systemd/user/ringfence.service"
  mkdir -p "$root/usr/share/doc/ringfence-serve"
  python3 "${from[manual]}" --service "${from[serve]}" "$version" "$root/usr/share"
  mv -- "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
  gzip -9n "$root"/usr/share/man/man1/*.1
  stage_papers ringfence-serve "$version"
  service_control "$version" "$architecture" "$root" >"$work/control"
  build_deb "ringfence-serve_${version}_$architecture.deb"
}

for kind in "${kinds[@]}"; do
  "make_${from[serve]+service_}$kind"
done
