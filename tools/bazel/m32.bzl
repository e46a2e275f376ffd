"""A program or library for 32-bit x86 in a 64-bit build, as --config=m32 builds it; beside the others, in i386/."""

_COPT = "//command_line_option:copt"
_LINKOPT = "//command_line_option:linkopt"

def _m32_transition_impl(settings, _attr):
    return {
        _COPT: settings[_COPT] + ["-m32"],
        _LINKOPT: settings[_LINKOPT] + ["-m32"],
    }

_m32_transition = transition(
    implementation = _m32_transition_impl,
    inputs = [
        _COPT,
        _LINKOPT,
    ],
    outputs = [
        _COPT,
        _LINKOPT,
    ],
)

def _rf_m32_impl(ctx):
    built = ctx.files.target[0]
    out = ctx.actions.declare_file("i386/" + built.basename)
    ctx.actions.symlink(output = out, target_file = built)
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

rf_m32 = rule(
    implementation = _rf_m32_impl,
    attrs = {
        "target": attr.label(
            cfg = _m32_transition,
            doc = "what makes one file",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
