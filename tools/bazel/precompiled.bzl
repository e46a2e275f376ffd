"""The precompiled header of the tests: tests/precompiled."""

_HEADER = str(Label("//tests/precompiled:tests"))
_INCLUDE = ["-include", "$(BINDIR)/tests/precompiled/include/tests.h"]

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
        str(Label("//tests/precompiled:clang")): _INCLUDE + ["-Xclang", "-isysroot", "-Xclang", "."],
        str(Label("//tests/precompiled:gcc")): _INCLUDE,
        "//conditions:default": [],
    })
    return flags, [_HEADER]
