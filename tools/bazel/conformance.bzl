"""The conformance suite as a test of any rf_allocator, in this workspace or in yours."""

load("@rules_cc//cc:defs.bzl", "cc_test")
load(":copts.bzl", "RF_COPTS", "RF_FEATURES")

# Labels of this repository, also when the macro is called from another one.
_CHOSEN_SUBJECT = Label("//tests/conformance:chosen_subject.c")
_MAIN = Label("//tests/conformance:main")

def rf_conformance_test(
        name,
        subject,
        deps,
        size = "small",
        srcs = [],
        copts = [],
        local_defines = [],
        features = [],
        **kwargs):
    """Tests that an allocator keeps every promise of <ringfence/allocator.h>.

    Args:
      name: of the test.
      subject: a C function, `const rf_conformance_subject *subject(void)`, that says how the
        allocator is made: see <ringfence/conformance.h>.
      deps: the library that defines it; it depends on @ringfence//tests/conformance.
      size: of cc_test.
      srcs: C, beside the suite's own.
      copts: for these.
      local_defines: for these.
      features: for these.
      **kwargs: of cc_test.
    """
    cc_test(
        name = name,
        size = size,
        copts = RF_COPTS + (copts or []),
        features = RF_FEATURES + (features or []),
        srcs = [str(_CHOSEN_SUBJECT)] + (srcs or []),
        local_defines = ["RF_CONFORMANCE_SUBJECT=" + subject] + (local_defines or []),
        deps = deps + [str(_MAIN)],
        **kwargs
    )
