#!/usr/bin/env bash
# VERSION, MODULE.bazel and the command name the same version.
#
#   version_test.sh VERSION MODULE.bazel RINGFENCE
set -euo pipefail

version=$(<"$1")
module=$(sed -n '/^module(/,/^)/s/^ *version = "\(.*\)",$/\1/p' "$2")
command=$("$3" version)
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "VERSION: '$version' is no version" >&2; exit 1; }
[[ $module == "$version" ]] || { echo "MODULE.bazel has $module, VERSION $version" >&2; exit 1; }
[[ $command == "ringfence $version" ]] || { echo "the command says '$command', VERSION $version" >&2; exit 1; }
