"""A program or library for another kind of program than the build's; beside the others, in a folder of its name."""

_COPT = "//command_line_option:copt"
_LINKOPT = "//command_line_option:linkopt"
_LIBC_IS_MUSL = "//tools/bazel:libc_is_musl"

# As musl-gcc calls gcc, which then leaves out the index of the unwind tables. musl has no headers of the kernel, which
# come last, so that nothing of glibc's comes first.
_MUSL = ["-specs=/usr/lib/x86_64-linux-musl/musl-gcc.specs"]
_KERNEL = [
    "-idirafter",
    "/usr/include",
    "-idirafter",
    "/usr/include/x86_64-linux-gnu",
]

# Each variant's additions to copts and to linkopts.
_VARIANTS = {
    "i386": (["-m32"], ["-m32"]),
    "musl": (_MUSL + _KERNEL, _MUSL + ["-Wl,--eh-frame-hdr"]),
}

def _variant_transition_impl(settings, attr):
    copts, linkopts = _VARIANTS[attr.variant]
    return {
        _COPT: settings[_COPT] + copts,
        _LINKOPT: settings[_LINKOPT] + linkopts,
        _LIBC_IS_MUSL: attr.variant == "musl",
    }

_variant_transition = transition(
    implementation = _variant_transition_impl,
    inputs = [
        _COPT,
        _LINKOPT,
    ],
    outputs = [
        _COPT,
        _LINKOPT,
        _LIBC_IS_MUSL,
    ],
)

def _rf_variant_impl(ctx):
    built = ctx.files.target[0]
    out = ctx.actions.declare_file(ctx.attr.variant + "/" + built.basename)
    ctx.actions.symlink(output = out, target_file = built)
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

rf_variant = rule(
    implementation = _rf_variant_impl,
    attrs = {
        "target": attr.label(
            cfg = _variant_transition,
            doc = "what makes one file",
            mandatory = True,
        ),
        "variant": attr.string(
            doc = "which kind of program it is for",
            mandatory = True,
            values = _VARIANTS.keys(),
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

def _rf_no_cxx_library_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        arguments = [folder.path],
        command = "printf '!<arch>\\n' >\"$1/libstdc++.a\"",
        outputs = [folder],
    )
    return [DefaultInfo(files = depset([folder]))]

# A folder with a C++ library that has nothing: Bazel links with one always, and musl has none.
rf_no_cxx_library = rule(implementation = _rf_no_cxx_library_impl)
