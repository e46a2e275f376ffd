"""A floor of the drop-in: the sources of one folder."""

load("//tools/bazel:defs.bzl", "rf_cc_library")

# -fno-builtin: the functions that these files define must not be assumed to behave as the C library's.
_COPTS = [
    "-fno-builtin",
    "-fno-omit-frame-pointer",
    "-fvisibility=hidden",
]

def rf_dropin_floor(name, copts = [], exclude = [], visibility = None, **kwargs):
    """A library of all sources of the package, which includes only what `deps` export.

    Those that end in _glibc.c or _musl.c are for that C library alone.

    Everything is hidden, so a shared library of its own would export nothing: it is linked statically.
    """
    rf_cc_library(
        name = name,
        srcs = native.glob(["*.c"], exclude = exclude + ["*_glibc.c", "*_musl.c"]) + select({
            "//tools/bazel:musl_libc": native.glob(["*_musl.c"], exclude = exclude, allow_empty = True),
            "//conditions:default": native.glob(["*_glibc.c"], exclude = exclude, allow_empty = True),
        }),
        hdrs = native.glob(["*.h"]),
        copts = _COPTS + copts,
        includes = [],
        linkstatic = True,
        visibility = visibility or ["//checkers/dropin:__subpackages__"],
        **kwargs
    )

def rf_dropin_sources():
    """For tests that read the sources themselves."""
    native.filegroup(
        name = "sources",
        srcs = native.glob(["*.c", "*.h"]),
        visibility = [
            "//checkers/dropin:__pkg__",
            "//checkers/dropin/heap/testing:__pkg__",
        ],
    )
