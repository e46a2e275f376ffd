"""A program whose memory is tracked otherwise than the rest of the build's: --//lib/core:track for one target."""

load(":same_program.bzl", "same_program")

_COPT = "//command_line_option:copt"

# Valgrind 3.19 does not read DWARF 5 as clang writes it, and ends.
def _track_transition_impl(settings, attr):
    return {
        "//lib/core:track": attr.track,
        _COPT: settings[_COPT] + (["-gdwarf-4"] if attr.track == "valgrind" else []),
    }

_track_transition = transition(
    implementation = _track_transition_impl,
    inputs = [_COPT],
    outputs = [
        "//lib/core:track",
        _COPT,
    ],
)

def _rf_with_track_impl(ctx):
    return [same_program(ctx)]

rf_with_track = rule(
    implementation = _rf_with_track_impl,
    executable = True,
    attrs = {
        "program": attr.label(
            cfg = _track_transition,
            doc = "a cc_binary",
            executable = True,
            mandatory = True,
        ),
        "track": attr.string(
            doc = "a value of //lib/core:track",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
