"""rf_fuzz_test: a fuzz harness as a test, as a program and as a fuzzer; names as in rules_fuzzing.

    load("@ringfence//tools/bazel:fuzz.bzl", "rf_fuzz_test")

    rf_fuzz_test(
        name = "my_heap_fuzz",
        srcs = ["my_heap_fuzz.c"],
        corpus = ["corpus/my_heap.seeds"],
        deps = [":my_heap"],
    )

    bazel test :my_heap_fuzz                        runs the harness on each input of the stored corpus
    bazel run :my_heap_fuzz_run [-- libFuzzer's]    fuzzes, with clang's libFuzzer and AddressSanitizer
    bazel build :my_heap_fuzz_bin                   the program of either, by configuration
    bazel build :my_heap_fuzz_seed_corpus.zip       the corpus, as OSS-Fuzz wants it

docs/fuzzing.md has the rest, and what a workspace that depends on this one puts in its .bazelrc.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("@rules_shell//shell:sh_binary.bzl", "sh_binary")
load(":attributes.bzl", "chosen_attributes", "exec_properties_for")
load(":copts.bzl", "RF_CXXOPTS")

# As strings, which select() takes in every Bazel; they name our targets from any workspace.
_DRIVER = str(Label("//fuzz:driver"))
_INTERPRETER = str(Label("//fuzz:interpreter"))
_IS_FUZZ_BUILD = str(Label("//tools/bazel:fuzz"))
_ENGINE_IS_EXTERNAL = str(Label("//tools/bazel:fuzz_engine_external"))
_RUN_FUZZER = str(Label("//fuzz:run_fuzzer.sh"))
_SEEDS_TOOL = str(Label("//fuzz:seeds.py"))

def _loose_folder(label):
    """The folder of a loose input that is a file of this package, or "": folders keep command lines short."""
    if label[0] in ":/@" or ":" in label or label.endswith(".seeds"):
        return ""
    return label.rpartition("/")[0]

def _input_arguments(corpus):
    """Arguments that name the corpus: seed files, folders of loose inputs, and labels, each input once."""
    package = native.package_name()
    folders = {_loose_folder(label): True for label in corpus if _loose_folder(label)}
    arguments = [package + "/" + folder if package else folder for folder in folders]
    return arguments + [
        "$(rootpaths %s)" % label
        for label in corpus
        if not _loose_folder(label) and label.rpartition("/")[0] not in folders
    ]

# Attributes of cc_test that are the test's alone. Of exec_properties, others have a part.
_OF_TEST = [
    "args",
    "env",
    "env_inherit",
    "exec_properties",
    "flaky",
    "local",
    "shard_count",
    "timeout",
]

# Those of the sources, of the two programs that are linked from them, of all three, and of each target.
_OF_HARNESS = [
    "defines",
    "includes",
    "local_defines",
]
_OF_PROGRAMS = [
    "additional_linker_inputs",
    "linkstatic",
    "malloc",
    "stamp",
]
_OF_COMPILED = [
    "exec_compatible_with",
    "features",
    "target_compatible_with",
    "toolchains",
]
_OF_ALL = [
    "compatible_with",
    "deprecation",
    "restricted_to",
    "testonly",
    "visibility",
]

def rf_fuzz_test(
        name,
        srcs,
        corpus,
        deps = [],
        dict = None,
        copts = [],
        linkopts = [],
        data = [],
        size = "small",
        tags = [],
        run_flags = [],
        **kwargs):
    """A fuzz harness.

    Args:
      name: of the test; NAME_bin and NAME_run are the program and the fuzzer, NAME_seed_corpus.zip is the corpus.
      srcs: C or C++, with LLVMFuzzerTestOneInput, which RF_FUZZ_TARGET of <ringfence/fuzz/target.h> defines.
      corpus: stored inputs: a seed file (NAME.seeds; fuzz/seeds.py describes the format), loose files, or both.
      deps: what the harness needs; the interpreter is added.
      dict: a dictionary for libFuzzer.
      copts: for srcs.
      linkopts: of the test and of the program.
      data: of the harness.
      size: of the test.
      tags: of the test.
      run_flags: for the build by NAME_run, beside --config=fuzz.
      **kwargs: of cc_test; args come behind the inputs.
    """
    harness = name + "_harness"
    inputs = name + "_corpus"
    kwargs.setdefault("testonly", True)
    of_all = chosen_attributes(kwargs, _OF_ALL)
    of_compiled = exec_properties_for(kwargs, is_test = False)
    of_compiled.update(chosen_attributes(kwargs, _OF_COMPILED, _OF_ALL))
    of_harness = chosen_attributes(kwargs, _OF_HARNESS)
    of_harness.update(of_compiled)
    of_bin = chosen_attributes(kwargs, _OF_PROGRAMS)
    of_bin.update(of_compiled)
    of_test = chosen_attributes(kwargs, _OF_TEST, _OF_PROGRAMS, _OF_COMPILED, _OF_ALL)
    native.filegroup(
        name = inputs,
        srcs = corpus,
        **of_all
    )
    cc_library(
        name = harness,
        srcs = srcs,
        copts = RF_CXXOPTS + (copts or []),
        data = data,
        deps = (deps or []) + [_INTERPRETER],
        alwayslink = True,  # nothing but main, in another library, refers to it
        **of_harness
    )
    cc_test(
        name = name,
        size = size,
        args = _input_arguments(corpus) + (of_test.pop("args", None) or []),
        data = corpus + (data or []),
        linkopts = linkopts,
        tags = (tags or []) + ["fuzz-test"],
        deps = [
            ":" + harness,
            _DRIVER,
        ],
        **of_test
    )
    cc_binary(
        name = name + "_bin",
        linkopts = (linkopts or []) + select({
            _IS_FUZZ_BUILD: ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = ["manual"],
        deps = [":" + harness] + select({
            _IS_FUZZ_BUILD: [],
            _ENGINE_IS_EXTERNAL: [],
            "//conditions:default": [_DRIVER],
        }),
        **of_bin
    )
    sh_binary(
        name = name + "_run",
        srcs = [_RUN_FUZZER],
        args = [
            "//%s:%s" % (native.package_name(), name),
            "$(rootpath %s)" % dict if dict else "''",
            "$(rootpath %s)" % _SEEDS_TOOL,
        ] + run_flags + _input_arguments(corpus) + ["--"],
        data = corpus + [_SEEDS_TOOL] + ([dict] if dict else []),
        tags = ["manual"],
        **of_all
    )
    native.genrule(
        name = name + "_seed_corpus",
        srcs = [":" + inputs],
        outs = [name + "_seed_corpus.zip"],
        cmd = "python3 $(execpath %s) zip $@ $(SRCS)" % _SEEDS_TOOL,
        tags = ["manual"],
        tools = [_SEEDS_TOOL],
        **of_all
    )
