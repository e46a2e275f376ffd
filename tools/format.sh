#!/usr/bin/env bash
# Formats every C and C++ file of the repository by .clang-format, and names lines of any source above 120 columns.
#
#   ./bazelw run //tools:format              rewrites files
#   ./bazelw run //tools:format -- --check   changes nothing, fails if a file would change or a line is too long
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

# The files of these names that git has or would take: those that it ignores are not ours.
files() {
  git ls-files -z --cached --others --exclude-standard -- "$@" |
    while IFS= read -r -d '' file; do
      [[ ! -f $file ]] || printf '%s\0' "$file"
    done
}

status=0
files '*.c' '*.h' '*.cc' | xargs -0 -r clang-format "${mode[@]}" || status=1

# clang-format leaves comments that it cannot break, and knows neither Bazel nor the shell.
too_long=$(files '*.c' '*.h' '*.inc' '*.cc' '*.bzl' '*BUILD*' '*.sh' '*.py' bazelw .ci/run |
  LC_ALL=C.UTF-8 xargs -0 -r grep -nHE '^.{121}') || true
if [[ -n $too_long ]]; then
  printf 'longer than 120 columns: %s\n' "${too_long//$'\n'/$'\n'longer than 120 columns: }" >&2
  status=1
fi
exit "$status"
