"""The precompiled header of the tests: tests/precompiled."""

_HEADER = str(Label("//tests/precompiled:tests"))
_INCLUDE = ["-include", "$(BINDIR)/tests/precompiled/include/tests.h"]

def precompiled(copts):
    """Flags and dependencies by which a test takes the precompiled header.

    Args:
      copts: the test's own flags; with any, the header was not compiled by the same ones and is left out.

    Returns:
      A list of flags and one of dependencies, to add to those of the test.
    """
    if copts:
        return [], []
    flags = select({
        str(Label("//tests/precompiled:clang")): _INCLUDE + ["-Xclang", "-isysroot", "-Xclang", "."],
        str(Label("//tests/precompiled:gcc")): _INCLUDE,
        "//conditions:default": [],
    })
    return flags, [_HEADER]
