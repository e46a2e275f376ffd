"""The files of a package, for targets that read or compile them themselves."""

def rf_sources(bare = None, visibility = None):
    """The filegroup `sources`: the package's *.c, *.h and BUILD.bazel, which tests read, compile, or plant bugs in.

    Args:
      bare: those that a build for a board compiles, for a second filegroup, `bare_sources`
      visibility: of both filegroups; the package's default unless given
    """
    native.filegroup(
        name = "sources",
        srcs = native.glob(
            [
                "*.c",
                "*.h",
                "BUILD.bazel",
            ],
            allow_empty = True,
        ),
        visibility = visibility,
    )
    if bare != None:
        native.filegroup(
            name = "bare_sources",
            srcs = bare,
            visibility = visibility,
        )
