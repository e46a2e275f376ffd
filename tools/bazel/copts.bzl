"""Warnings for our own code.

-Werror and the optimisation level are not here but in .bazelrc: a project that depends on Ringfence
chooses its own, and a warning that its newer compiler invents must not break its build.
"""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
]

# C only: Bazel 4.2.3 passes one list of copts to C and C++ alike, so no target mixes the two.
RF_COPTS = _WARNINGS + [
    "-std=c11",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wvla",
    "-ffunction-sections",  # so that what nobody calls is left out of libringfence.so
    "-fdata-sections",
]

# For the sources of allocators, which alone may touch memory that they have poisoned (lib/include/ringfence/track.h).
# They are instrumented where tracking is off, so that --config=fuzz finds their own bugs.
RF_TRACK_COPTS = select({
    str(Label("//lib/core:track_asan")): ["-fno-sanitize=address"],
    "//conditions:default": [],
})

# C++ only; the standard is C++17, set for GoogleTest as well in .bazelrc.
# clang counts signedness as a conversion in C++ where gcc does not: follow gcc, else every
# EXPECT_EQ(vector.size(), 3) is an error on one of them.
RF_CXXOPTS = _WARNINGS + ["-Wno-sign-conversion"]

# For what other workspaces build of ours in C++, whose defaults may be older: Bazel 7 has C++14, Bazel 4 to 6 C++11.
RF_CXX17 = ["-std=c++17"]

# Headers of ours are told apart by visibility and //tests/house. Clang's check that whatever is included comes from a
# direct dependency is a workspace's own, which may have it for all that it builds; it would end the build here.
RF_FEATURES = ["-layering_check"]
