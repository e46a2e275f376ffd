#!/usr/bin/env bash
# Installs Ringfence, or takes an installation away. BUILD.bazel gives the words up to the first "--".
set -euo pipefail

usage() {
  cat <<'END'
Usage: ./bazelw run //tools:install -- [--prefix DIR] [--destdir DIR] [--uninstall]

  --prefix DIR    where the installation is to lie (default /usr/local)
  --destdir DIR   put before the prefix, for packages
  --uninstall     remove the files that an installation with this prefix made

The installation may be moved as a whole: nothing in it names the prefix.
END
}

die() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}

# ---- The files that were built ----

declare -A from
while [[ $1 != -- ]]; do
  from[${1%%=*}]=${1#*=}
  shift
done
shift

prefix=/usr/local
destdir=
action=install
while (($#)); do
  case $1 in
    --prefix=* | --destdir=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
    --prefix | --destdir)
      (($# >= 2)) || die "$1 needs a folder"
      [[ $1 == --prefix ]] && prefix=$2 || destdir=$2
      shift
      ;;
    --uninstall) action=uninstall ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown word $1; see --help" ;;
  esac
  shift
done
[[ $prefix == /* ]] || die "--prefix $prefix: name the folder from the root, with a slash at its start"
# `bazel run` starts the script in a folder of its own.
[[ -z $destdir || $destdir == /* ]] || destdir=${BUILD_WORKING_DIRECTORY:-$PWD}/$destdir

# No umask of the caller's and no order of files must be seen in what is installed.
umask 022
export LC_ALL=C
target=$destdir${prefix%/}
readonly target=${target:-/}
readonly manifest=share/ringfence/installed
version=$(<"${from[version]}")
readonly version

# ---- The tree, in a folder of its own ----

# library, what: those of its members, each on a line
members_of() { sed -n "s/^$2 //p" "${from[$1]}"; }

# library: the objects of one archive, of which several may share a name (hence q), and the headers that go with it
stage_library() {
  local objects headers
  mapfile -t objects < <(members_of "$1" object | sort)
  mapfile -t headers < <(members_of "$1" header)
  ((${#objects[@]} != 0)) || die "no objects for libringfence-$1.a"
  ar qcSD "$stage/lib/libringfence-$1.a" "${objects[@]}"
  strip --strip-debug --enable-deterministic-archives "$stage/lib/libringfence-$1.a"
  ranlib -D "$stage/lib/libringfence-$1.a"
  local header
  for header in "${headers[@]}"; do
    install -m 644 -- "$header" "$stage/include/ringfence/"
  done
}

# library, pattern: its flags that match, on one line
flags_of() { members_of "$1" flag | { grep -- "$2" || true; } | paste -sd' '; }

# For CMake: defines without -D, and a list with semicolons.
cmake_list() { sed 's/-D//g; s/ /;/g'; }

# name, description, other packages, flags to compile, flags to link
stage_pkgconfig() {
  local text
  text=$(<"${from[pkgconfig]}")
  text=${text//@NAME@/$1}
  text=${text//@DESCRIPTION@/$2}
  text=${text//@VERSION@/$version}
  text=${text//@REQUIRES@/$3}
  text=${text//@CFLAGS@/$4}
  printf '%s\n' "${text//@LIBS@/$5}" >"$stage/lib/pkgconfig/$1.pc"
}

# ELF's class: 1 for 32 bits, 2 for 64.
pointer_bytes() { echo $(($(od -An -tu1 -j4 -N1 -- "${from[library]}") * 4)); }

stage_descriptions() {
  local core checkers wraps
  core=$(flags_of core '^-D')
  checkers=$(flags_of checkers '^-D')
  wraps=$(flags_of malloc '^-Wl,')
  # shellcheck disable=SC2016 # for pkg-config to expand
  {
    stage_pkgconfig ringfence-core 'Memory allocators in C' '' "$core" '-L${libdir} -lringfence-core -pthread'
    stage_pkgconfig ringfence 'Memory allocators in C, checked' 'ringfence-core' "$checkers" \
      '-L${libdir} -Wl,-u,rf_checked_pools_init -lringfence-checkers -ldl'
    stage_pkgconfig ringfence-malloc "Checked malloc and operator new for a program" 'ringfence' '' \
      "-L\${libdir} -Wl,--whole-archive,-lringfence-malloc,--no-whole-archive $wraps"
  }
  sed -e "s/@CORE_DEFINES@/$(cmake_list <<<"$core")/" -e "s/@CHECKERS_DEFINES@/$(cmake_list <<<"$checkers")/" \
    -e "s/@MALLOC_LINK_OPTIONS@/$(cmake_list <<<"$wraps")/" "${from[cmake]}" \
    >"$stage/lib/cmake/Ringfence/RingfenceConfig.cmake"
  install -m 644 -- "${from[cmake_add_test]}" "$stage/lib/cmake/Ringfence/"
  sed -e "s/@VERSION@/$version/" -e "s/@POINTER_BYTES@/$(pointer_bytes)/" "${from[cmake_version]}" \
    >"$stage/lib/cmake/Ringfence/RingfenceConfigVersion.cmake"
}

make_stage() {
  mkdir -p "$stage"/{bin,include/ringfence,lib/{pkgconfig,cmake/Ringfence},share/{doc/ringfence,ringfence}}
  install -m 755 -- "${from[command]}" "$stage/bin/ringfence"
  install -m 644 -- "${from[library]}" "$stage/lib/libringfence.so.0"
  strip --strip-unneeded --remove-section=.comment "$stage/bin/ringfence" "$stage/lib/libringfence.so.0"
  if [[ -n ${from[serve]-} ]]; then
    install -m 755 -- "${from[serve]}" "$stage/bin/ringfence-serve"
    strip --strip-unneeded --remove-section=.comment "$stage/bin/ringfence-serve"
  fi
  ln -s libringfence.so.0 "$stage/lib/libringfence.so"
  local variant
  for variant in i386 musl; do
    if [[ -n ${from[$variant]-} ]]; then
      mkdir -p "$stage/lib/ringfence/$variant"
      install -m 644 -- "${from[$variant]}" "$stage/lib/ringfence/$variant/libringfence.so.0"
      strip --strip-unneeded --remove-section=.comment "$stage/lib/ringfence/$variant/libringfence.so.0"
    fi
  done
  install -m 644 -- "${from[license]}" "$stage/share/doc/ringfence/LICENSE"
  install -m 644 -- "${from[gdb]}" "$stage/share/ringfence/gdb.py"
  local library
  for library in core checkers malloc; do
    stage_library "$library"
  done
  stage_descriptions
  python3 "${from[manual]}" "$stage/bin/ringfence" "$stage/share"
  [[ -z ${from[serve]-} ]] ||
    python3 "${from[manual]}" --service "$stage/bin/ringfence-serve" "$version" "$stage/share"
  (cd -- "$stage" && find . ! -type d -printf '%P\n' | sort) >"$scratch/list"
  install -m 644 -- "$scratch/list" "$stage/$manifest"
  echo "$manifest" >>"$stage/$manifest"
}

# ---- Installing and removing ----

# Removes the files named on stdin, and the folders that this leaves empty and that are Ringfence's own.
remove_listed() {
  local file
  while IFS= read -r file; do
    rm -f -- "$target/$file"
  done
  rmdir --ignore-fail-on-non-empty -- \
    "$target"/{include/ringfence,lib/{cmake/Ringfence,ringfence/{i386,musl,}},share/{doc/,}ringfence} \
    2>/dev/null || true
}

# Each file takes the place of an older one at once: processes that have the old library mapped keep it.
install_stage() {
  local file
  mkdir -p -- "$target" || die "cannot make $target"
  [[ -w $target ]] || die "cannot write to $target: give another --prefix, or run this as root"
  while IFS= read -r file; do
    mkdir -p -- "$target/${file%/*}"
    cp -P --preserve=mode -- "$stage/$file" "$target/$file.new"
    mv -T -- "$target/$file.new" "$target/$file"
  done <"$stage/$manifest"
}

if [[ $action == uninstall ]]; then
  [[ -r $target/$manifest ]] || die "nothing is installed in $target: there is no $target/$manifest"
  list=$(<"$target/$manifest")
  remove_listed <<<"$list"
  echo "removed Ringfence from $target"
  exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
stage=$scratch/stage
make_stage
if [[ -r $target/$manifest ]]; then
  # Files of an older version that this one lacks.
  comm -23 <(sort "$target/$manifest") <(sort "$stage/$manifest") | remove_listed
fi
install_stage
echo "installed Ringfence $version in $target"
