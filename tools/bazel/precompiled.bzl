"""The precompiled header of the tests: tests/precompiled."""

_HEADER = str(Label("//tests/precompiled:tests"))
_INCLUDE = ["-include", "$(BINDIR)/tests/precompiled/include/tests.h"]

# Without -fpch-deps gcc's list of dependencies lacks all that the header was made of: Bazel would not compile a test
# again where that has changed. //tests/precompiled:dependencies_gcc_test sees.
PRECOMPILED_FLAGS = {
    "clang": ["-Xclang", "-isysroot", "-Xclang", "."],
    "gcc": ["-fpch-deps"],
}

def precompiled(srcs, copts):
    """Flags and dependencies by which a test takes the precompiled header.

    Args:
      srcs: the test's sources; a C source among them cannot read the header.
      copts: the test's own flags; with any, the header was not compiled by the same ones.

    Returns:
      A list of flags and one of dependencies, to add to those of the test; empty where the header is no use.
    """
    if copts or [source for source in srcs if source.endswith(".c")]:
        return [], []
    flags = select({
        str(Label("//tests/precompiled:clang")): _INCLUDE + PRECOMPILED_FLAGS["clang"],
        str(Label("//tests/precompiled:gcc")): _INCLUDE + PRECOMPILED_FLAGS["gcc"],
        "//conditions:default": [],
    })
    return flags, [_HEADER]
