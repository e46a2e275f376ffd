#!/usr/bin/env bash
# Builds and runs the fuzzers as ClusterFuzzLite and OSS-Fuzz do: calls .clusterfuzzlite/build.sh with the variables of
# their builder, and runs all that it leaves.
#
#   tools/try_fuzz_engines.sh DIR [address|undefined|none]...    address unless told otherwise; DIR is made anew
#
# Tries what is committed. Each fuzzer replays its stored corpus, then runs 2,000 executions from it; libraries but
# those of the C library are an error. Fails if anything fails.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'try_fuzz_engines: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 2
}

(($# >= 1)) || die "usage: $0 DIR [address|undefined|none]..."
mkdir -p -- "$1"
dir=$(cd -- "$1" && pwd)
shift
(($# > 0)) || set -- address

"$here/../bazelw" info --config=fuzz release >/dev/null 2>&1 || die "bazelw cannot install what fuzzing needs"

common='-O1 -fno-omit-frame-pointer -gline-tables-only -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION'

flags_of() { # SANITIZER
  case $1 in
    address) echo '-fsanitize=address -fsanitize-address-use-after-scope -fsanitize=fuzzer-no-link' ;;
    undefined)
      echo '-fsanitize=undefined -fno-sanitize=vptr,function -fno-sanitize-recover=all -fsanitize=fuzzer-no-link'
      ;;
    none) echo '-fsanitize=fuzzer-no-link' ;;
    *) die "no sanitizer is called '$1': address, undefined, none" ;;
  esac
}

# Names of shared libraries that a bare system does not have.
foreign_libraries() {
  ldd "$1" | awk '$1 !~ /^(linux-vdso|libc|libm|libdl|librt|libpthread|libresolv|libgcc_s)\.so|ld-linux/ { print $1 }'
}

# run_one FUZZER ZIP: the stored corpus, then some more.
run_one() {
  local corpus
  corpus=$(mktemp -d -p "$dir")
  python3 -m zipfile -e "$2" "$corpus" || return 1
  "$1" -runs=2000 -max_total_time=60 -seed=1 -artifact_prefix="$corpus-" -print_final_stats=1 "$corpus" \
    >"$corpus.log" 2>&1 || {
    tail -n 30 "$corpus.log" >&2
    return 1
  }
  rm -rf -- "$corpus" "$corpus.log"
}

failed=0
for sanitizer in "$@"; do
  rm -rf -- "$dir/src" "$dir/out"
  mkdir -p "$dir/src" "$dir/out" "$dir/work"
  git clone -q "$here/.." "$dir/src/ringfence"
  flags="$common $(flags_of "$sanitizer")"
  say "building with $sanitizer"
  CC=clang CXX=clang++ CFLAGS=$flags CXXFLAGS=$flags LIB_FUZZING_ENGINE=-fsanitize=fuzzer SANITIZER=$sanitizer \
    FUZZING_ENGINE=libfuzzer ARCHITECTURE=x86_64 SRC=$dir/src OUT=$dir/out WORK=$dir/work \
    "$dir/src/ringfence/.clusterfuzzlite/build.sh" || die "build.sh failed with $sanitizer"
  count=0
  for fuzzer in "$dir"/out/*_fuzz; do
    [[ -x $fuzzer ]] || die "build.sh left no fuzzer in \$OUT"
    foreign=$(foreign_libraries "$fuzzer")
    if [[ -n $foreign ]]; then
      say "${fuzzer##*/} needs ${foreign//$'\n'/ }"
      failed=1
    fi
    run_one "$fuzzer" "${fuzzer}_seed_corpus.zip" || {
      say "${fuzzer##*/} failed with $sanitizer"
      failed=1
    }
    ((++count))
  done
  say "$count fuzzers ran with $sanitizer"
  # Its Bazel server would stay behind.
  (cd -- "$dir/src/ringfence" && ./bazelw shutdown) >/dev/null 2>&1 || true
done
exit "$failed"
