"""A rule's program, built with other settings, under the rule's own name."""

def same_program(ctx):
    """Returns the DefaultInfo of a link to ctx.attr.program, which a transition has made a list of one."""
    program = ctx.attr.program[0][DefaultInfo]
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = executable,
        target_file = program.files_to_run.executable,
        is_executable = True,
    )
    return DefaultInfo(
        executable = executable,
        files = depset([executable]),
        runfiles = program.default_runfiles,
    )
