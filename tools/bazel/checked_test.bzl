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
load(":attributes.bzl", "chosen_attributes", "exec_properties_for")
load(":same_program.bzl", "same_program")

# As a string from here: Bazel 4 looks for a bare label in the workspace of the build.
_MODE = str(Label("//checkers:mode"))

# By a name that no deps have: a label twice in one list stops Bazel, and what a select() holds cannot be asked.
_ADDED = str(Label("//tools/bazel:checkers_of_tests"))
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

def _expanded(ctx, text):
    """As cc_test has it in its env: paths as the test sees them, then Make variables."""
    for word in ["location", "locations"]:
        text = text.replace("$(%s " % word, "$(%s " % word.replace("location", "rootpath"))
    return ctx.expand_make_variables("env", ctx.expand_location(text, ctx.attr.data), {})

def _rf_in_mode_test_impl(ctx):
    env = {name: _expanded(ctx, text) for name, text in ctx.attr.env.items()}

    # Bazel 4 takes one argument.
    inherited = [ctx.attr.env_inherit] if ctx.attr.env_inherit else []
    return [same_program(ctx), testing.TestEnvironment(env, *inherited)]

_rf_in_mode_test = rule(
    implementation = _rf_in_mode_test_impl,
    attrs = {
        "data": attr.label_list(
            allow_files = True,
            cfg = _mode_transition,
            doc = "what args and env may name; the program brings it",
        ),
        "env": attr.string_dict(),
        "env_inherit": attr.string_list(),
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

# Attributes of cc_test that are the tests', not the program's.
_OF_TESTS = [
    "args",
    "env",
    "env_inherit",
    "flaky",
    "local",
    "shard_count",
    "size",
    "timeout",
]

# The tests and the program have these, and the suite has those of _OF_ALL; exec_properties are shared out by key.
_OF_BOTH = [
    "data",
    "exec_compatible_with",
    "target_compatible_with",
    "toolchains",
]
_OF_ALL = [
    "compatible_with",
    "restricted_to",
    "testonly",
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
    of_suite = chosen_attributes(kwargs, _OF_ALL, ["deprecation"])
    of_tests = chosen_attributes(kwargs, _OF_TESTS, _OF_BOTH)
    of_tests.update(of_suite)
    of_tests.update(exec_properties_for(kwargs, is_test = True))
    not_of_program = _OF_TESTS + ["deprecation", "exec_properties"]
    of_program = {word: value for word, value in kwargs.items() if word not in not_of_program}
    of_program.update(exec_properties_for(kwargs, is_test = False))
    of_program.setdefault("stamp", 0)  # as cc_test has it
    of_program.setdefault("testonly", True)
    cc_binary(
        name = program,
        tags = ["manual"],
        visibility = ["//visibility:private"],
        deps = (deps or []) + [_ADDED],
        **of_program
    )
    for mode in modes:
        _rf_in_mode_test(
            name = "%s_%s" % (name, mode),
            mode = mode,
            program = ":" + program,
            tags = (tags or []) + ["ringfence_" + mode],  # for --test_tag_filters
            visibility = visibility,
            **of_tests
        )
    native.test_suite(
        name = name,
        tags = tags,
        tests = ["%s_%s" % (name, mode) for mode in modes],
        visibility = visibility,
        **of_suite
    )
