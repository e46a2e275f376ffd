#!/usr/bin/env bash
# The table of docs/checkers/mte.md, which an emulator alone makes (tools/try_aarch64.sh), has a row for each bug of the
# programs that it is made by, in their order.
#
#   mte_rows_test.sh PAGE
set -euo pipefail

cases() {
  sed -nE 's/^    CASE\(([a-z_]+)\),$/\1/p' tests/dropin/programs/{tags,bugs}.c | grep -vxE 'right|leak' | tr _ ' '
}
rows() { sed -nE '/^<!-- table -->$/,/^<!-- end -->$/s/^\| ([^|]+) \|.*/\1/p' "$1" | grep -vx bug; }

(($(cases | wc -l) >= 50)) || { echo "only $(cases | wc -l) bugs in the programs" >&2; exit 1; }
diff -u <(rows "$1") <(cases) || {
  echo "the page has other rows (-) than there are bugs: tools/try_aarch64.sh --write" >&2
  exit 1
}
