#!/usr/bin/env bash
# Formats every C and C++ file of the repository by .clang-format.
#
#   ./bazelw run //tools:format              rewrites files
#   ./bazelw run //tools:format -- --check   changes nothing, fails if a file would change
set -euo pipefail

cd -- "${BUILD_WORKSPACE_DIRECTORY:-$(dirname -- "${BASH_SOURCE[0]}")/..}"

command -v clang-format >/dev/null || {
  echo "format: needs clang-format (apt-get install clang-format)" >&2
  exit 127
}

mode=(-i)
case ${1-} in
  '') ;;
  --check) mode=(--dry-run --Werror) ;;
  *)
    echo "usage: format [--check]" >&2
    exit 2
    ;;
esac

# Files that git ignores are not ours; new ones count before they are added.
git ls-files -z --cached --others --exclude-standard -- '*.c' '*.h' '*.cc' |
  while IFS= read -r -d '' file; do
    [[ ! -f $file ]] || printf '%s\0' "$file"
  done |
  xargs -0 -r clang-format "${mode[@]}"
