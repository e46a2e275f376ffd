"""Every attribute of cc_test, for the tests of the macros, and selects where cc_test takes them."""

load("//tools/bazel:tags.bzl", "RF_ONCE")

NOTHING = select({
    "//tests/install:optimized": [],
    "//conditions:default": [],
})

_EVERY_ATTRIBUTE = dict(
    additional_linker_inputs = NOTHING,
    compatible_with = [],
    copts = ["-DBY_COPTS=1"] + NOTHING,
    defines = ["BY_DEFINES=1"] + NOTHING,
    exec_compatible_with = [],
    exec_properties = {"memory": "1"},
    features = ["-random_seed"],
    flaky = False,
    includes = ["."] + NOTHING,
    linkopts = ["-Wl,--defsym=by_linkopts=main"] + NOTHING,
    linkstatic = True,
    local = False,
    local_defines = ["BY_LOCAL_DEFINES=1"] + NOTHING,
    malloc = "//tests/install:by_malloc",
    restricted_to = None,
    shard_count = 1,
    stamp = 0,
    tags = RF_ONCE,
    target_compatible_with = [],
    testonly = True,
    timeout = "short",
    toolchains = ["@bazel_tools//tools/cpp:current_cc_toolchain"],
    visibility = ["//visibility:private"],
)

def with_every_attribute(macro, **own):
    """Calls a macro for tests with each attribute that means the same for all of them.

    Args:
      macro: takes the attributes of cc_test
      **own: the other attributes
    """
    macro(**dict(_EVERY_ATTRIBUTE, **own))
