"""Rules with the project's compiler flags: C for libraries and programs, C++17 for tests."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load(":copts.bzl", "RF_COPTS", "RF_CXXOPTS", "RF_FEATURES")
load(":precompiled.bzl", "precompiled")

# The folders of public headers, included as <ringfence/name.h>. Other headers are included by their path.
_PUBLIC = [
    "/lib/include",
    "/checkers/include",
]

def rf_cc_library(name, hdrs = [], copts = [], features = [], **kwargs):
    """A C library; its hdrs from //lib/include and //checkers/include are included as <ringfence/...>."""
    if "includes" not in kwargs and "include_prefix" not in kwargs:
        for root in _PUBLIC:
            if hdrs and hdrs[0].startswith("/" + root + "/ringfence"):
                kwargs["strip_include_prefix"] = root
    cc_library(
        name = name,
        hdrs = hdrs,
        copts = RF_COPTS + copts,
        features = RF_FEATURES + features,
        **kwargs
    )

def rf_cc_binary(name, copts = [], features = [], **kwargs):
    """A C program or, with linkshared, a C shared library."""
    cc_binary(
        name = name,
        copts = RF_COPTS + copts,
        features = RF_FEATURES + features,
        **kwargs
    )

def rf_cc_test(name, srcs = [], deps = [], copts = [], size = "small", **kwargs):
    """A GoogleTest in C++17; brings gtest_main."""
    header_copts, header_deps = precompiled(srcs, copts)
    cc_test(
        name = name,
        size = size,
        srcs = srcs,
        copts = RF_CXXOPTS + copts + header_copts,
        deps = deps + header_deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )

def rf_cc_test_library(name, copts = [], features = [], **kwargs):
    """C++ that several tests share: fixtures, suites, fakes."""
    cc_library(
        name = name,
        testonly = True,
        copts = RF_CXXOPTS + copts,
        features = RF_FEATURES + features,
        deps = kwargs.pop("deps", []) + ["@com_google_googletest//:gtest"],
        **kwargs
    )
