#!/usr/bin/env bash
# What Zephyr's macros define is there in a program that its linker optimises, although nothing names it.
# Arguments: the sources of lib/.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

. tests/compat/headers.sh
copy_headers "$work/include" "$@"

cat >"$work/defined.c" <<'CODE'
#include <ringfence/zephyr/init.h>
#include <ringfence/zephyr/kernel.h>
extern int started;
K_HEAP_DEFINE(one, 100);
K_HEAP_DEFINE(another, 200);
static int start(void) {
  return started++;
}
SYS_INIT(start, APPLICATION, 0);
CODE
cat >"$work/main.c" <<'CODE'
#include <ringfence/zephyr/kernel.h>
int started;
extern struct k_heap __start_rf_zephyr_heaps[];
extern struct k_heap __stop_rf_zephyr_heaps[];
int main(void) {
  return started == 1 && __stop_rf_zephyr_heaps - __start_rf_zephyr_heaps == 2 ? 0 : 1;
}
CODE

faults=0
tried=0
for compiler in gcc clang; do
  flags=(-std=c11 -O2 -flto -ffunction-sections -fdata-sections -Wl,--gc-sections "-I$work/include")
  echo 'int main(void) { return 0; }' >"$work/nothing.c"
  "$compiler" "${flags[@]}" "$work/nothing.c" -o "$work/program" 2>/dev/null || continue # none here, or no such linker
  tried=$((tried + 1))
  "$compiler" "${flags[@]}" "$work/main.c" "$work/defined.c" -o "$work/program"
  "$work/program" || {
    echo "$compiler: a definition is missing" >&2
    faults=1
  }
done
((tried > 0)) || echo "no compiler here, left out"
exit "$faults"
