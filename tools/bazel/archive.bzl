"""rf_archive_members: what an installed static library is made of. //tools/install archives it."""

load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

# As a string from here: Bazel 4 looks for a bare label in the workspace of the build.
_MODE = str(Label("//checkers:mode"))

# An installed library has no flag that users could set, so it checks unless told otherwise at run time.
def _checked_transition_impl(settings, _attr):
    mode = settings[_MODE]
    return {_MODE: "guard" if mode == "off" else mode}

_checked_transition = transition(
    implementation = _checked_transition_impl,
    inputs = [_MODE],
    outputs = [_MODE],
)

# The one folder whose objects the mode changes: everything else is that of the build, and not compiled again.
_OF_MODE = "checkers/checked/"

def _objects_of(dep, under, apart_from):
    chosen = []
    for linked in dep[CcInfo].linking_context.linker_inputs.to_list():
        for library in linked.libraries:
            for object in library.pic_objects or library.objects or []:
                folder = object.owner.package + "/"
                if folder.startswith(under) and not (apart_from and folder.startswith(apart_from)):
                    chosen.append(object)
    return chosen

def _of_mode(object, in_mode):
    return in_mode if (object.owner.package + "/").startswith(_OF_MODE) else object

def _flags_of(dep):
    """The defines and linker flags of its users."""
    flags = ["-D" + define for define in dep[CcInfo].compilation_context.defines.to_list()]
    for linked in dep[CcInfo].linking_context.linker_inputs.to_list():
        flags += linked.user_link_flags
    return flags

def _rf_archive_members_impl(ctx):
    objects = []
    headers = []
    flags = {}
    for dep, in_mode in zip(ctx.attr.deps, ctx.attr.deps_in_mode):
        of_build, of_mode = [_objects_of(each, ctx.attr.under, ctx.attr.apart_from) for each in [dep, in_mode]]
        objects += [_of_mode(*both) for both in zip(of_build, of_mode)]
        context = dep[CcInfo].compilation_context
        headers += [file for file in context.headers.to_list() if file.dirname.endswith("/ringfence")]
        for flag in _flags_of(in_mode):
            flags[flag] = True
    lines = ["flag " + flag for flag in flags]
    lines += ["object " + file.short_path for file in objects]
    lines += ["header " + file.short_path for file in headers]
    ctx.actions.write(ctx.outputs.list, "".join([line + "\n" for line in lines]))
    files = depset(objects + headers + [ctx.outputs.list])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

_rf_archive_members = rule(
    implementation = _rf_archive_members_impl,
    attrs = {
        "apart_from": attr.string(doc = "a folder whose objects are left out"),
        "deps": attr.label_list(
            mandatory = True,
            providers = [CcInfo],
        ),
        "deps_in_mode": attr.label_list(
            cfg = _checked_transition,
            mandatory = True,
            providers = [CcInfo],
        ),
        "under": attr.string(
            doc = "the folder whose objects are taken, with a slash at its end",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    outputs = {"list": "%{name}.members"},
)

def rf_archive_members(name, deps, **kwargs):
    """Objects of libraries and of what they need, public headers, and NAME.members, which lists these and the flags.

    Args:
      name: of the target.
      deps: the libraries.
      **kwargs: `under` and `apart_from`, of the rule.
    """
    _rf_archive_members(name = name, deps = deps, deps_in_mode = deps, **kwargs)
