#!/usr/bin/env bash
# Runs clang-tidy by .clang-tidy over lib, checkers and tools, or over the files named.
#
#   ./bazelw run //tools:tidy [-- FILE...]
set -euo pipefail

cd -- "${BUILD_WORKSPACE_DIRECTORY:-$(dirname -- "${BASH_SOURCE[0]}")/..}"

command -v clang-tidy >/dev/null || {
  echo "tidy: needs clang-tidy (apt-get install clang-tidy)" >&2
  exit 127
}

tools/compile_commands.py >&2

if (($#)); then
  files=("$@")
else
  # Only what the build compiles for this machine: the database has no flags for the rest.
  mapfile -t files < <(
    python3 -c 'import json; print(*(e["file"] for e in json.load(open("compile_commands.json"))), sep="\n")' |
      grep -E '^(lib|checkers|tools)/.*\.c$'
  )
fi

# A file at a time per core; xargs fails if any did. The counts of clang-tidy on stderr are no findings.
printf '%s\0' "${files[@]}" | xargs -0 -r -n 1 -P "$(nproc)" clang-tidy --quiet 2> >(grep -v 'warnings generated' >&2)
