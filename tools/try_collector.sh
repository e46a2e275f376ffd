#!/usr/bin/env bash
# Bazel's tests report to a collector, out of the sandbox that Bazel has by default: a bug in a plain test, one in three
# shards and one that is tried again is one finding, with its counts, targets and attempts; what comes out of Bazel's
# cache reports nothing.
#
#   tools/try_collector.sh SERVE [BAZEL [ARGUMENTS...]]     SERVE: the program ringfence-serve; default: bazel
#
# Works on a copy of docs/examples/outside. Prints "collector: passed", or what was not as it should be.
set -uo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
(($#)) || { echo "usage: $0 SERVE [BAZEL [ARGUMENTS...]]" >&2; exit 2; }
serve=$(realpath -- "$1")
bazel=${2:-bazel}
shift $(($# > 1 ? 2 : 1))
work=$(mktemp -d "${TMPDIR:-/tmp}/collector.XXXXXX") || exit 2
mark=/dev/shm/${work##*/}
collector=0
leave() {
  cd /
  ((collector == 0)) || kill "$collector"
  "$bazel" --output_base="$work/out" shutdown >/dev/null 2>&1
  chmod -R u+w "$work"
  rm -rf -- "$work" "$mark"
}
trap leave EXIT

cp -r -- "$root/docs/examples/outside" "$work/project"
mkdir "$work/project/collected"
cd -- "$work/project" || exit 2
sed -i "s|\"\.\./\.\./\.\./|\"$root/|; s|\"\.\./\.\./\.\.\"|\"$root\"|" WORKSPACE MODULE.bazel

# ---- Tests with one bug ----

cat >collected/bug.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *copy_for_the_collector(const char *text);

__attribute__((noinline)) char *copy_for_the_collector(const char *text) {
  volatile size_t const size = strlen(text); /* no room for the NUL */
  return strcpy(malloc(size), text);
}

int main(int argc, char **argv) {
  const char *const mark = getenv("RF_MARK");
  const char *const shard = getenv("TEST_SHARD_STATUS_FILE");
  FILE *file = shard == NULL ? NULL : fopen(shard, "w");
  free(copy_for_the_collector(argv[0]));
  if (file != NULL) {
    fclose(file);
  }
  if (argc == 1 || (file = fopen(mark, "r")) != NULL) {
    return 0;
  }
  file = fopen(mark, "w"); /* the first attempt fails */
  fclose(file);
  return 1;
}
END
cat >collected/BUILD.bazel <<'END'
load("@rules_cc//cc:defs.bzl", "cc_test")

cc_test(
    name = "plain_test",
    size = "small",
    srcs = ["bug.c"],
    malloc = "@ringfence//checkers/dropin:malloc",
)

cc_test(
    name = "sharded_test",
    size = "small",
    srcs = ["bug.c"],
    malloc = "@ringfence//checkers/dropin:malloc",
    shard_count = 3,
)

cc_test(
    name = "retried_test",
    size = "small",
    srcs = ["bug.c"],
    args = ["twice"],
    flaky = True,
    malloc = "@ringfence//checkers/dropin:malloc",
)
END

# ---- The collector, and Bazel ----

faults=0
complain() {
  echo "collector: $*" >&2
  faults=$((faults + 1))
}

mkdir -m 700 "$work/findings"
"$serve" serve --dir "$work/findings" --listen 127.0.0.1:0 2>serve.log &
collector=$!

# TARGET...
test_all() {
  "$bazel" --output_base="$work/out" test "${arguments[@]}" "$@" >test.log 2>&1 || complain "$*: $(tail -30 test.log)"
}

# As the list has it: the number of findings with the bug, and the events of all; NOTHING where there is none.
told() {
  "$serve" findings --dir "$work/findings" --search copy_for_the_collector --json |
    python3 -c 'import json, sys; l = json.load(sys.stdin)["findings"]; print(len(l), sum(f["count"] for f in l))'
}

# Waits a while for records: they come in by way of /dev/shm, which the collector looks at every second.
expect() {
  local i
  for ((i = 0; i < 100; i++)); do
    [[ $(told) == "$2" ]] && return
    sleep 0.1
  done
  complain "$1: $(told) findings and events, not $2"
}

arguments=("$@" --noshow_progress --color=no --test_output=errors
  --test_env=RINGFENCE_OPTIONS="collector=$work/findings:halt=0:exitcode=0" --test_env=RF_MARK="$mark")

test_all //collected:plain_test //collected:sharded_test //collected:retried_test
expect "a plain test, three shards and two attempts" "1 6"
[[ -e $mark ]] || complain "no test was tried again"
test_all //collected:plain_test //collected:sharded_test
[[ $(grep -c '(cached) PASSED' test.log) == 2 ]] || complain "these are not out of the cache: $(<test.log)"
sleep 2
expect "out of the cache" "1 6"
id=$("$serve" findings --dir "$work/findings" --search copy_for_the_collector --json |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["findings"][0]["id"])')
labels=$("$serve" show "$id" --dir "$work/findings" --json | python3 -c '
import json, sys
for label in sorted((l["name"].replace("=@@//", "=//").replace("=@//", "=//"), l["count"])
                    for l in json.load(sys.stdin)["labels"]):
    print(*label)')
[[ $labels == "attempt=1 5
attempt=2 1
bazel_target=//collected:plain_test 1
bazel_target=//collected:retried_test 2
bazel_target=//collected:sharded_test 3
shard=0 1
shard=1 1
shard=2 1
shards=3 3" ]] || complain "labels are
$labels"

((faults == 0)) || exit 1
echo "collector: passed"
