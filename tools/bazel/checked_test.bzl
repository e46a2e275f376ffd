"""rf_checked_test: a C or C++ test in each checked mode, by one line, whatever the mode of the build.

    load("@ringfence//tools/bazel:checked_test.bzl", "rf_checked_test")

    rf_checked_test(
        name = "queue_test",
        srcs = ["queue_test.c"],
        deps = [":queue"],
    )

    bazel test :queue_test            all of them
    bazel test :queue_test_page       one
    bazel test --test_tag_filters=-ringfence_asan //...    all but those of one mode
"""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load(":same_program.bzl", "same_program")

# As a string from here: Bazel 4 looks for a bare label in the workspace of the build.
_MODE = str(Label("//checkers:mode"))
_MODES = ["off", "sample", "guard", "page", "asan", "mte"]
_ASAN = "-fsanitize=address"
_COPT = "//command_line_option:copt"
_LINKOPT = "//command_line_option:linkopt"
_STRIP = "//command_line_option:strip"

def _with(options, option):
    return options if option in options else options + [option]

def _mode_transition_impl(settings, attr):
    copt = _with(settings[_COPT], "-g")  # findings name lines
    linkopt = settings[_LINKOPT]
    if attr.mode == "asan":
        copt = _with(copt, _ASAN)
        linkopt = _with(linkopt, _ASAN)
    return {
        _MODE: attr.mode,
        _COPT: copt,
        _LINKOPT: linkopt,
        _STRIP: "never",
    }

_mode_transition = transition(
    implementation = _mode_transition_impl,
    inputs = [
        _COPT,
        _LINKOPT,
    ],
    outputs = [
        _COPT,
        _LINKOPT,
        _MODE,
        _STRIP,
    ],
)

def _rf_in_mode_test_impl(ctx):
    return [same_program(ctx), testing.TestEnvironment(ctx.attr.env)]

_rf_in_mode_test = rule(
    implementation = _rf_in_mode_test_impl,
    attrs = {
        "env": attr.string_dict(),
        "mode": attr.string(
            mandatory = True,
            values = _MODES,
        ),
        "program": attr.label(
            cfg = _mode_transition,
            executable = True,
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    test = True,
)

# Attributes of the tests; all others are the program's.
_OF_TESTS = [
    "args",
    "env",
    "exec_compatible_with",
    "flaky",
    "local",
    "shard_count",
    "size",
    "timeout",
]

def rf_checked_test(name, modes = ["guard", "page", "asan"], deps = [], tags = [], visibility = None, **kwargs):
    """A test NAME_MODE for each mode, and the suite NAME of all of them.

    A test fails where Ringfence finds something (status 99), as it does where the program fails. Mode asan compiles
    with AddressSanitizer; leave it out for a compiler without that.

    Args:
      name: of the suite.
      modes: of guard, page, asan, mte, sample and off.
      deps: of the program; @ringfence//checkers is added.
      tags: of the tests and of the suite.
      visibility: of both.
      **kwargs: of cc_test.
    """
    program = name + "_program"
    of_tests = {word: kwargs.pop(word) for word in _OF_TESTS if word in kwargs}
    checkers = str(Label("//checkers"))
    cc_binary(
        name = program,
        testonly = True,
        tags = ["manual"],
        visibility = ["//visibility:private"],
        deps = deps + ([] if checkers in deps or "@ringfence//checkers" in deps else [checkers]),
        **kwargs
    )
    for mode in modes:
        _rf_in_mode_test(
            name = "%s_%s" % (name, mode),
            mode = mode,
            program = ":" + program,
            tags = tags + ["ringfence_" + mode],  # for --test_tag_filters
            visibility = visibility,
            **of_tests
        )
    native.test_suite(
        name = name,
        tags = tags,
        tests = ["%s_%s" % (name, mode) for mode in modes],
        visibility = visibility,
    )
