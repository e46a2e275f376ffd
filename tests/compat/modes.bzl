"""Tests of the compatibility headers, run in every mode of checking."""

load("//tools/bazel:defs.bzl", "rf_cc_test", "rf_cc_test_library")

_MODES = {
    "guard": "mode=guard:leaks=0",
    "page": "mode=page:leaks=0",
    "sample": "mode=sample:sample_rate=1:leaks=0",
}

def rf_compat_test(name, system, srcs, deps, skipped = []):
    """The test in mode off and, with a checker around each heap of `system`, in the other modes, as <name>_<mode>.

    Args:
      name: of the test in mode off
      system: awtk, goahead, rtthread, ucgui or zephyr
      srcs: sources
      deps: libraries
      skipped: GoogleTest patterns of tests that look at the layout or the faults of the bare heap
    """

    # Compiled once for all modes.
    cases = name + "_cases"
    rf_cc_test_library(name = cases, srcs = srcs, alwayslink = True, deps = deps)
    rf_cc_test(name = name, deps = [":" + cases])
    for mode, options in _MODES.items():
        rf_cc_test(
            name = name.replace("_test", "_%s_test" % mode),
            # The race detector takes half a minute to look at all pages after each request.
            size = "medium" if mode == "page" else "small",
            args = ["--gtest_filter=-" + ":".join(skipped)] if skipped else [],
            env = {"RINGFENCE_OPTIONS": options},
            # The sanitizers' builds run the same code in mode off.
            tags = ["no-asan"],
            deps = [
                ":" + cases,
                ":checked_" + system,
            ],
        )
