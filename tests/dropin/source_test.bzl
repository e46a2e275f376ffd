"""Tests of parts of the drop-in, most of one or two sources, which call functions of the test in place of others."""

load("//tools/bazel:defs.bzl", "rf_cc_test")

# A sanitizer's own malloc leaves no place for another one, and its runtime cannot go into other programs.
DROPIN_TAGS = [
    "no-asan",
    "no-tsan",
    "no-ubsan",
]

def rf_source_test(name, srcs, copts = [], library = False, runtime = True, tags = [], wrap = [], deps = []):
    """The test in NAME.cc.

    Args:
      name: of the test
      srcs: the sources under test, if any, and headers that no library of `deps` has
      copts: for all of them
      library: the sources are built as for libringfence.so
      runtime: the drop-in's runtime is linked in
      tags: beside those of all tests of the drop-in
      wrap: functions of libraries that the test has its own of, as __wrap_NAME
      deps: beside the checkers and the runtime
    """
    wraps = ["-Wl," + ",".join(["--wrap=" + each for each in wrap])] if wrap else []
    rf_cc_test(
        name = name,
        size = "small",
        srcs = [name + ".cc"] + srcs,
        copts = (["-DRF_DROPIN_LIBRARY=1"] if library else []) + copts,
        linkopts = wraps + (["-ldl"] if "dlsym" in wrap or "dladdr" in wrap else []),
        tags = DROPIN_TAGS + tags,
        deps = deps + ["//checkers"] + (["//checkers/dropin/runtime"] if runtime else []),
    )
