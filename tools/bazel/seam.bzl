"""A program built so that another watcher sees its memory than the rest of the build has: --//lib/core:seam for one target."""

def _seam_transition_impl(_settings, attr):
    return {"//lib/core:seam": attr.seam}

_seam_transition = transition(
    implementation = _seam_transition_impl,
    inputs = [],
    outputs = ["//lib/core:seam"],
)

def _rf_with_seam_impl(ctx):
    program = ctx.attr.program[0][DefaultInfo]
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = executable,
        target_file = program.files_to_run.executable,
        is_executable = True,
    )
    return [DefaultInfo(
        executable = executable,
        files = depset([executable]),
        runfiles = program.default_runfiles,
    )]

rf_with_seam = rule(
    implementation = _rf_with_seam_impl,
    executable = True,
    attrs = {
        "program": attr.label(
            cfg = _seam_transition,
            doc = "a cc_binary",
            executable = True,
            mandatory = True,
        ),
        "seam": attr.string(
            doc = "a value of //lib/core:seam",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
