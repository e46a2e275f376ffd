#!/usr/bin/env bash
# The examples do what their pages say that they do.
set -euo pipefail

fail() {
  echo "examples_test: $*" >&2
  exit 1
}

# Their pages describe builds without AddressSanitizer, which would stop some of them at the access.
export ASAN_OPTIONS=allow_user_poisoning=0

# Their bugs are meant: no artifact of the run is to tell of them.
unset TEST_UNDECLARED_OUTPUTS_DIR

docs/examples/board 2>/dev/null || fail "board: its overflow was not counted once"

RINGFENCE_OPTIONS=mode=off docs/examples/demo || fail "demo: a bare build does not notice the overflow"

tried=0
for page in docs/{allocators,blocks,checkers,compat,decorators}/*.md; do
  program=docs/examples/$(basename "$page" .md)
  if [[ -x $program ]]; then
    "$program" 2>/dev/null || fail "$program: exit status $?"
    tried=$((tried + 1))
  fi
done
((tried > 10)) || fail "only $tried programs"

status=0
text=$(RINGFENCE_OPTIONS=mode=guard docs/examples/demo 2>&1) || status=$?
((status == 99)) || fail "demo: exit status $status, not 99"
[[ $text == *"heap-buffer-overflow"*"0 bytes after 13-byte region"* ]] || fail "demo: $text"

status=0
text=$(docs/examples/handle_guard 2>&1) || status=$?
((status == 99)) || fail "handle_guard: exit status $status, not 99"
[[ $text == *"use-after-move"*"8 bytes inside of 40-byte region"* ]] || fail "handle_guard: $text"
