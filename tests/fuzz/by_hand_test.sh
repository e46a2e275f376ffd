#!/usr/bin/env bash
# The commands that docs/fuzzing.md has for those without Bazel make a fuzzer, which replays a seed file: headers are
# found, and no source is missing.
#
#   by_hand_test.sh FUZZING.md SEEDS
set -euo pipefail

root=$PWD
page=$root/$1
seeds=$root/$2
cd -- "$(mktemp -d "$TEST_TMPDIR/by_hand.XXXXXX")"

# As my_heap: the heap `simple`, whose private header is found by path.
printf '#include "lib/heaps/simple/%s"\n' simple_block.c simple_view.c simple.c >my_heap.c
cat >my_heap_fuzz.c <<'END'
#include <ringfence/fuzz/target.h>
#include <ringfence/simple.h>

static rf_simple heap;

static rf_allocator *make(void *context, void *arena, size_t size) {
  (void)context;
  return rf_simple_init(&heap, arena, size) == RF_OK ? &heap.base : NULL;
}

static rf_fuzz_target target(void) {
  rf_fuzz_target t = rf_fuzz_target_default("simple", make);
  t.min_arena = 64;
  return t;
}

RF_FUZZ_TARGET(target())
END
mkdir corpus
cp -- "$seeds" corpus/my_heap.seeds

commands=$(sed -n '/^Without Bazel/,/^## /p' "$page" | sed -n '/^```sh$/,/^```$/{/^```/d; p}')
[[ $commands == *my_heap_fuzz* ]] || { echo "$page has no commands for those without Bazel" >&2 && exit 1; }
RINGFENCE=$root bash -euxc "$commands" 2>&1 | tee log
grep -qE '^fuzz: [1-9][0-9]* inputs, no finding$' log
