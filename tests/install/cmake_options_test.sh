#!/usr/bin/env bash
# CMakeLists.txt compiles the folders whose time counts with the options that Bazel compiles them with.
#
#   cmake_options_test.sh CMakeLists.txt FOLDER/BUILD.bazel...
set -euo pipefail

cmake=$1
shift

# The options -f... in the copts of a package, one on a line.
options_of() {
  sed -n '/copts = /,/[])],$/{s/#.*//; p}' "$1" | grep -o '"-f[^"]*"' | tr -d '"' | sort -u
}

for build; do
  folder=$(dirname -- "$build")
  expected=$(options_of "$build" | paste -sd ' ')
  [[ -n $expected ]] || { echo "$build: no options" >&2 && exit 1; }
  told=$(sed -nE "s|^ringfence_folder_options\($folder (.*)\)$|\1|p" "$cmake" | tr ' ' '\n' | sort -u | paste -sd ' ')
  [[ $told == "$expected" ]] || {
    echo "CMakeLists.txt has '$told' for $folder, where its BUILD.bazel has '$expected'" >&2
    exit 1
  }
done
(($(grep -c '^ringfence_folder_options(' "$cmake") == $#)) || {
  echo "CMakeLists.txt has options for a folder that is not compared" >&2
  exit 1
}
