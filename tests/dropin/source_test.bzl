"""Tests of one or two sources of the drop-in, which call functions of the test in place of their own."""

load("//tools/bazel:defs.bzl", "rf_cc_test")

# A sanitizer's own malloc leaves no place for another one, and its runtime cannot go into other programs.
DROPIN_TAGS = [
    "no-asan",
    "no-tsan",
    "no-ubsan",
]

def rf_source_test(name, srcs, wrap = [], library = False, tags = [], deps = []):
    """The test in NAME.cc.

    Args:
      name: of the test
      srcs: the sources under test, and headers that no library of `deps` has
      wrap: functions of libraries that the test has its own of, as __wrap_NAME
      library: the sources are built as for libringfence.so
      tags: beside those of all tests of the drop-in
      deps: beside the checkers and the drop-in's runtime
    """
    wraps = ["-Wl," + ",".join(["--wrap=" + each for each in wrap])] if wrap else []
    rf_cc_test(
        name = name,
        size = "small",
        srcs = [name + ".cc"] + srcs,
        copts = ["-DRF_DROPIN_LIBRARY=1"] if library else [],
        linkopts = wraps + (["-ldl"] if "dlsym" in wrap else []),
        tags = DROPIN_TAGS + tags,
        deps = deps + [
            "//checkers",
            "//checkers/dropin/runtime",
        ],
    )
