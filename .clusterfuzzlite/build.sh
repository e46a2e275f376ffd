#!/usr/bin/env bash
# Builds every fuzzer into $OUT, each with its stored corpus, as OSS-Fuzz's and ClusterFuzzLite's builders ask for it:
# $CC, $CXX, $CFLAGS, $CXXFLAGS and $LIB_FUZZING_ENGINE say how, $SANITIZER which sanitizer the flags hold, and the
# sources are in $SRC/ringfence. tools/try_fuzz_engines.sh runs this here, and what it leaves in $OUT.
set -euo pipefail

cd -- "$SRC/ringfence"

flags=(
  --define=rf_fuzz_engine=external
  --repo_env=CC="$CC" --action_env=CC="$CC"
  # A warning that another compiler invents is no reason not to fuzz.
  '--per_file_copt=^(lib|checkers|fuzz|tools)/@-Wno-error'
)
for flag in ${CFLAGS-}; do
  flags+=(--conlyopt="$flag")
done
for flag in ${CXXFLAGS-}; do
  flags+=(--cxxopt="$flag" --linkopt="$flag")
done
for flag in $LIB_FUZZING_ENGINE; do
  flags+=(--linkopt="$flag")
done
# The fuzzers run on machines that have no C++ library. clang would add a shared one for libFuzzer's sake.
flags+=(--linkopt=-nostdlib++)
if [[ " ${CXXFLAGS-} " == *' -stdlib=libc++ '* ]]; then
  flags+=(--repo_env=BAZEL_CXXOPTS=-stdlib=libc++ --repo_env=BAZEL_LINKLIBS=-l%:libc++.a:-l%:libc++abi.a:-lm)
else
  flags+=(--repo_env=BAZEL_LINKLIBS=-l%:libstdc++.a:-lm:-lgcc_s)
fi

# build TARGETS... [-- FLAGS...]: NAME_bin becomes $OUT/NAME.
build() {
  local -a targets=()
  while (($# > 0)) && [[ $1 != -- ]]; do
    targets+=("$1")
    shift
  done
  ./bazelw build "${flags[@]}" "${@:2}" "${targets[@]}" "${targets[@]/%_bin/_seed_corpus.zip}"
  local target name
  for target in "${targets[@]}"; do
    name=${target##*:}
    name=${name%_bin}
    install -m 755 "bazel-bin/fuzz/${name}_bin" "$OUT/$name"
    install -m 644 "bazel-bin/fuzz/${name}_seed_corpus.zip" "$OUT/"
  done
}

mapfile -t all < <(./bazelw query 'filter("_fuzz_bin$", kind(cc_binary, //fuzz:all))')
plain=()
tracked=() # checks what AddressSanitizer is told of each block
for target in "${all[@]}"; do
  if [[ $target == *:asan_fuzz_bin ]]; then
    tracked+=("$target")
  else
    plain+=("$target")
  fi
done
((${#plain[@]} > 0)) || exit 1
build "${plain[@]}"
if [[ ${SANITIZER-} == address ]]; then
  build "${tracked[@]}" -- --//lib/core:track=asan
fi
