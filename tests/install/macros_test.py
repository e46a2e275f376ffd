#!/usr/bin/env python3
"""The macros that other workspaces load: which targets they make, of which attributes, with which settings.

    macros_test.py FILE.bzl...        those of tools/bazel
"""

import os
import subprocess
import sys
import tempfile

from starlark import Loader, Struct

FOLDER = os.path.dirname(os.path.abspath(sys.argv[1]))
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
FEATURES = ["-layering_check"]
C_ONLY = ["-std=c11", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla", "-ffunction-sections", "-fdata-sections"]
EVERYWHERE = {"compatible_with": ["c"], "restricted_to": ["r"], "testonly": True, "deprecation": "old"}
PARTS = {"memory": "1", "test.memory": "2", "tests.memory": "3"}  # all, the group "test", another group

faults = []


def equal(got, expected, *what):
    if got != expected:
        faults.append("%s: got %r, not %r" % (" ".join(map(str, what)), got, expected))


def targets_of(file, macro, package="their/package", **words):
    loader = Loader(FOLDER, package)
    loader.load(file)[macro](**words)
    return loader.native.targets


# ---- Libraries, programs and tests ----


def plain_rules():
    for hdrs, prefix in ((["//lib/include/ringfence:a.h"], "/lib/include"),
                         (["//checkers/include/ringfence:a.h", "b.h"], "/checkers/include"),
                         (["b.h"], None), ([], None),
                         (["//lib/includes/ringfence:a.h"], None)):
        made = targets_of("defs.bzl", "rf_cc_library", name="x", hdrs=hdrs, copts=["-Da"], srcs=["s"])
        rule, it = made["x"]
        equal((rule, it["hdrs"], it["copts"], it["srcs"], it["features"]),
              ("cc_library", hdrs, WARNINGS + C_ONLY + ["-Da"], ["s"], FEATURES), hdrs)
        equal(it.get("strip_include_prefix"), prefix, hdrs)
    for word in ("includes", "include_prefix"):
        it = targets_of("defs.bzl", "rf_cc_library", name="x", hdrs=["//lib/include/ringfence:a.h"], **{word: ["."]})
        equal("strip_include_prefix" in it["x"][1], False, word)
    rule, it = targets_of("defs.bzl", "rf_cc_binary", name="x", copts=["-Da"], features=["f"], linkshared=True)["x"]
    equal((rule, it), ("cc_binary", {"copts": WARNINGS + C_ONLY + ["-Da"], "features": FEATURES + ["f"],
                                     "linkshared": True}))
    cxx = WARNINGS + ["-Wno-sign-conversion"]
    rule, it = targets_of("defs.bzl", "rf_cc_test", name="x", deps=["d"], copts=["-Da"], srcs=["s"])["x"]
    equal((rule, it), ("cc_test", {"size": "small", "copts": cxx + ["-Da"], "srcs": ["s"],
                                   "deps": ["d", "@com_google_googletest//:gtest_main"]}))
    it = targets_of("defs.bzl", "rf_cc_test", name="x", srcs=["a.cc", "a.c"], size="large")["x"][1]
    equal((it["size"], it["copts"], it["deps"]), ("large", cxx, ["@com_google_googletest//:gtest_main"]))
    it = targets_of("defs.bzl", "rf_cc_test", name="x", srcs=["a.cc", "b.h"])["x"][1]
    # Without flags of its own a test takes the header that was compiled by those of all, where the compiler can.
    header = ["-include", "$(BINDIR)/tests/precompiled/include/tests.h"]
    compiled = "@ringfence//tests/precompiled:"
    equal(it["deps"], [compiled + "tests", "@com_google_googletest//:gtest_main"])
    equal((it["copts"].chosen(compiled + "gcc"), it["copts"].chosen()), (cxx + header + ["-fpch-deps"], cxx))
    equal(it["copts"].chosen(compiled + "clang"), cxx + header + ["-Xclang", "-isysroot", "-Xclang", "."])
    rule, it = targets_of("defs.bzl", "rf_cc_test_library", name="x", deps=["d"], copts=["-Da"])["x"]
    equal((rule, it), ("cc_library", {"testonly": True, "copts": cxx + ["-Da"], "features": FEATURES,
                                      "deps": ["d", "@com_google_googletest//:gtest"]}))
    for bare in (None, [], ["a.c"]):
        made = targets_of("sources.bzl", "rf_sources", bare=bare, visibility=["v"])
        equal(made["sources"], ("filegroup", {"srcs": ["glob", "*.c", "*.h", "BUILD.bazel"], "visibility": ["v"]}))
        equal(made.get("bare_sources"), None if bare is None else ("filegroup", {"srcs": bare, "visibility": ["v"]}))
    track = Loader(FOLDER).load("copts.bzl")["RF_TRACK_COPTS"]
    equal((track.chosen("@ringfence//lib/core:track_asan"), track.chosen()), (["-fno-sanitize=address"], []))


def conformance():
    main = "@ringfence//tests/conformance:main"
    chosen = "@ringfence//tests/conformance:chosen_subject.c"
    rule, it = targets_of("conformance.bzl", "rf_conformance_test", name="x", subject="s", deps=["d"])["x"]
    equal((rule, it), ("cc_test", {"size": "small", "copts": WARNINGS + C_ONLY, "features": FEATURES, "srcs": [chosen],
                                   "deps": ["d", main], "local_defines": ["RF_CONFORMANCE_SUBJECT=s"]}))
    it = targets_of("conformance.bzl", "rf_conformance_test", name="x", subject="s", deps=["d"], size="large",
                    srcs=["a.c"], copts=["-Da"], local_defines=["B"], features=["f"], tags=["t"])["x"][1]
    equal(it, {"size": "large", "copts": WARNINGS + C_ONLY + ["-Da"], "features": FEATURES + ["f"],
               "srcs": [chosen, "a.c"], "deps": ["d", main],
               "local_defines": ["RF_CONFORMANCE_SUBJECT=s", "B"], "tags": ["t"]})
    it = targets_of("conformance.bzl", "rf_conformance_test", name="x", subject="s", deps=[], srcs=None, copts=None,
                    local_defines=None)["x"][1]
    equal(it["srcs"], [chosen])


# ---- rf_checked_test ----


def checked_targets():
    data = {"data": ["d"], "exec_compatible_with": ["e"], "target_compatible_with": ["t"], "toolchains": ["tc"]}
    tests = {"args": ["a"], "env": {"A": "b"}, "env_inherit": ["E"], "flaky": True, "local": True, "shard_count": 2,
             "size": "small", "timeout": "short"}
    program = {"srcs": ["s"], "copts": ["-Da"], "malloc": "m", "features": ["f"], "linkopts": ["l"], "defines": ["d"]}
    made = targets_of("checked_test.bzl", "rf_checked_test", name="x", deps=["dep"], tags=["tag"], visibility=["v"],
                      exec_properties=PARTS, **data, **tests, **program, **EVERYWHERE)
    equal(sorted(made), ["x", "x_asan", "x_guard", "x_page", "x_program"])
    rule, it = made["x_program"]
    every = {word: value for word, value in EVERYWHERE.items() if word != "deprecation"}
    equal((rule, it), ("cc_binary", dict(
        program, **data, **every, tags=["manual"], visibility=["//visibility:private"], stamp=0,
        deps=["dep", "@ringfence//tools/bazel:checkers_of_tests"],
        exec_properties={"memory": "1", "tests.memory": "3"})))
    for mode in ("guard", "page", "asan"):
        rule, it = made["x_" + mode]
        equal((rule.how.get("test"), it), (True, dict(
            data, **tests, **EVERYWHERE, mode=mode, program=":x_program", tags=["tag", "ringfence_" + mode],
            visibility=["v"], exec_properties={"memory": "1", "test.memory": "2"})), mode)
    equal(made["x"], ("test_suite", dict(EVERYWHERE, tags=["tag"], visibility=["v"],
                                         tests=["x_guard", "x_page", "x_asan"])))


def checked_defaults():
    made = targets_of("checked_test.bzl", "rf_checked_test", name="x", deps=None, tags=None,
                      modes=["off", "sample", "mte"])
    equal(sorted(made), ["x", "x_mte", "x_off", "x_program", "x_sample"])
    equal(made["x_program"][1], {"tags": ["manual"], "visibility": ["//visibility:private"], "stamp": 0,
                                 "testonly": True, "deps": ["@ringfence//tools/bazel:checkers_of_tests"]})
    equal(made["x_mte"][1], {"mode": "mte", "program": ":x_program", "tags": ["ringfence_mte"], "visibility": None})
    it = targets_of("checked_test.bzl", "rf_checked_test", name="x", stamp=1, testonly=False,
                    exec_properties="a select")
    equal((it["x_program"][1]["stamp"], it["x_program"][1]["testonly"], it["x_guard"][1]["testonly"]),
          (1, False, False))
    equal((it["x_program"][1]["exec_properties"], it["x_guard"][1]["exec_properties"]), ("a select", "a select"))
    it = targets_of("checked_test.bzl", "rf_checked_test", name="x", exec_properties={"test.a": "1"})
    equal(("exec_properties" in it["x_program"][1], it["x_guard"][1]["exec_properties"]), (False, {"test.a": "1"}))


def checked_settings():
    file = Loader(FOLDER).load("checked_test.bzl")
    how = file["_rf_in_mode_test"].how
    mode, copt, linkopt, strip = ("@ringfence//checkers:mode", *("//command_line_option:" + word
                                                                 for word in ("copt", "linkopt", "strip")))
    change = how["attrs"]["program"]["cfg"]
    equal((sorted(change.inputs), sorted(change.outputs)), ([copt, linkopt], sorted([mode, copt, linkopt, strip])))
    equal(how["attrs"]["data"]["cfg"], change, "data is named as the program has it")
    equal(how["attrs"]["mode"]["values"], ["off", "sample", "guard", "page", "asan", "mte"])
    asan = "-fsanitize=address"
    for chosen, before, after in (("guard", ([], []), (["-g"], [])), ("guard", (["-g"], ["l"]), (["-g"], ["l"])),
                                  ("asan", ([], []), (["-g", asan], [asan])),
                                  ("asan", (["-O1", asan], [asan]), (["-O1", asan, "-g"], [asan]))):
        got = change.implementation({copt: list(before[0]), linkopt: list(before[1])}, Struct(mode=chosen))
        equal(got, {mode: chosen, copt: after[0], linkopt: after[1], strip: "never"}, chosen, before)


def context(**attributes):
    """What a rule's implementation sees."""
    links = {}
    actions = Struct(declare_file=lambda name: name,
                     symlink=lambda output, target_file, is_executable=False: links.update(
                         {output: (target_file, is_executable)}))
    built = Struct(files_to_run=Struct(executable="built"), default_runfiles=["runfile"])
    return links, Struct(actions=actions, label=Struct(name="x_guard"), files=Struct(target=["first"]),
                         attr=Struct(program=[Keyed(built)], **attributes), runfiles=list,
                         expand_location=lambda text, data: "<%s|%s>" % (text, ",".join(data)),
                         expand_make_variables=lambda word, text, more: "{%s:%s}" % (word, text))


class Keyed:
    """A target: any provider of it is this one."""

    def __init__(self, provider):
        self.provider = provider

    def __getitem__(self, _):
        return self.provider


def checked_run():
    file = Loader(FOLDER).load("checked_test.bzl")
    run = file["_rf_in_mode_test"].how["implementation"]
    for inherited in ([], ["HOME"]):
        links, it = context(data=["d"], env_inherit=inherited,
                            env={"A": "$(location :a) $(locations :b)", "B": "$(rootpath :c)"})
        program, environment = run(it)
        equal(links, {"x_guard": ("built", True)})
        equal((program.executable, program.files, program.runfiles), ("x_guard", ["x_guard"], ["runfile"]))
        equal((environment.env, environment.inherited),
              ({"A": "{env:<$(rootpath :a) $(rootpaths :b)|d>}", "B": "{env:<$(rootpath :c)|d>}"}, inherited))


# ---- rf_fuzz_test ----


def fuzz_targets():
    test = {"env": {"A": "b"}, "env_inherit": ["E"], "flaky": True, "local": True, "shard_count": 2, "timeout": "short"}
    harness = {"defines": ["d"], "includes": ["i"], "local_defines": ["l"]}
    programs = {"additional_linker_inputs": ["a"], "linkstatic": True, "malloc": "m", "stamp": 1}
    compiled = {"exec_compatible_with": ["e"], "features": ["f"], "target_compatible_with": ["t"], "toolchains": ["tc"]}
    every = dict(EVERYWHERE, visibility=["v"])
    corpus = ["two.seeds", "kept/b.seeds", "loose/a", "loose/b", "loose/in_the_folder.seeds", "one", "//other:loose/c",
              ":label", "@far//x"]
    made = targets_of("fuzz.bzl", "rf_fuzz_test", name="x", srcs=["s"], corpus=corpus, deps=["dep"], dict="words",
                      copts=["-Da"], linkopts=["-lx"], data=["data"], size="medium", tags=["tag"], run_flags=["--flag"],
                      args=["arg"], exec_properties=PARTS, **test, **harness, **programs, **compiled, **every)
    inputs = ["their/package/loose", "$(rootpaths two.seeds)", "$(rootpaths kept/b.seeds)", "$(rootpaths one)",
              "$(rootpaths //other:loose/c)", "$(rootpaths :label)", "$(rootpaths @far//x)"]
    linked = {"memory": "1", "tests.memory": "3"}
    seeds = "@ringfence//fuzz:seeds.py"
    equal(sorted(made), ["x", "x_bin", "x_corpus", "x_harness", "x_run", "x_seed_corpus"])
    equal(made["x_corpus"], ("filegroup", dict(every, srcs=corpus)))
    equal(made["x_harness"], ("cc_library", dict(
        harness, **compiled, **every, srcs=["s"], copts=WARNINGS + ["-Wno-sign-conversion", "-Da"], data=["data"],
        deps=["dep", "@ringfence//fuzz:interpreter"], alwayslink=True, exec_properties=linked)))
    equal(made["x"], ("cc_test", dict(
        test, **programs, **compiled, **every, size="medium", args=inputs + ["arg"], data=corpus + ["data"],
        linkopts=["-lx"], tags=["tag", "fuzz-test"], deps=[":x_harness", "@ringfence//fuzz:driver"],
        exec_properties=PARTS)))
    rule, it = made["x_bin"]
    links, needs = it.pop("linkopts"), it.pop("deps")
    equal((rule, it), ("cc_binary", dict(programs, **compiled, **every, tags=["manual"], exec_properties=linked)))
    fuzz, outside = "@ringfence//tools/bazel:fuzz", "@ringfence//tools/bazel:fuzz_engine_external"
    for condition, options, driver in (((), [], ["@ringfence//fuzz:driver"]), ((fuzz,), ["-fsanitize=fuzzer"], []),
                                       ((outside,), [], [])):
        equal((links.chosen(*condition), needs.chosen(*condition)),
              (["-lx"] + options, [":x_harness"] + driver), condition)
    equal(made["x_run"], ("sh_binary", dict(
        every, srcs=["@ringfence//fuzz:run_fuzzer.sh"], tags=["manual"], data=corpus + [seeds, "words"],
        args=["//their/package:x", "$(rootpath words)", "$(rootpath %s)" % seeds, "--flag"] + inputs + ["--"])))
    equal(made["x_seed_corpus"], ("genrule", dict(
        every, srcs=[":x_corpus"], outs=["x_seed_corpus.zip"], tags=["manual"], tools=[seeds],
        cmd="python3 $(execpath %s) zip $@ $(SRCS)" % seeds)))


def fuzz_defaults():
    made = targets_of("fuzz.bzl", "rf_fuzz_test", package="", name="x", srcs=["s"], corpus=["loose/a", "/abs/b"],
                      deps=None, copts=None, data=None, tags=None)
    equal(made["x"][1]["args"], ["loose", "$(rootpaths /abs/b)"])
    equal((made["x"][1]["size"], made["x"][1]["data"], made["x"][1]["tags"]),
          ("small", ["loose/a", "/abs/b"], ["fuzz-test"]))
    equal({name: it["testonly"] for name, (_, it) in made.items()}, dict.fromkeys(made, True))
    equal(made["x_run"][1]["args"][:3], ["//:x", "''", "$(rootpath @ringfence//fuzz:seeds.py)"])
    made = targets_of("fuzz.bzl", "rf_fuzz_test", name="x", srcs=[], corpus=[], testonly=False)
    equal({it["testonly"] for _, it in made.values()}, {False})


# ---- Programs for others than the build's ----


def other_programs():
    track = Loader(FOLDER).load("track.bzl")["rf_with_track"].how
    copt = "//command_line_option:copt"
    for value, more in (("valgrind", ["-gdwarf-4"]), ("off", []), ("asan", [])):
        got = track["attrs"]["program"]["cfg"].implementation({copt: ["-O1"]}, Struct(track=value))
        equal(got, {"//lib/core:track": value, copt: ["-O1"] + more})
    variant = Loader(FOLDER).load("variant.bzl")["rf_variant"].how
    change = variant["attrs"]["target"]["cfg"].implementation
    linkopt, musl = "//command_line_option:linkopt", "//tools/bazel:libc_is_musl"
    got = change({copt: ["-O1"], linkopt: ["-l"]}, Struct(variant="i386"))
    equal(got, {copt: ["-O1", "-m32"], linkopt: ["-l", "-m32"], musl: False})
    specs = "-specs=/usr/lib/x86_64-linux-musl/musl-gcc.specs"
    got = change({copt: ["-O1"], linkopt: ["-l"]}, Struct(variant="musl"))
    equal(got, {copt: ["-O1", specs, "-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"],
                linkopt: ["-l", specs, "-Wl,--eh-frame-hdr"], musl: True})
    links, it = context(variant="musl")
    it.files.target[0] = Struct(basename="lib.so.0")
    made, = variant["implementation"](it)
    equal((links, made.files, made.runfiles),
          ({"musl/lib.so.0": (it.files.target[0], False)}, ["musl/lib.so.0"], ["musl/lib.so.0"]))
    no_library = Loader(FOLDER).load("variant.bzl")["rf_no_cxx_library"].how["implementation"]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as folder:
        def run_shell(command, arguments, outputs):
            equal(outputs, [made_folder])
            subprocess.run(["sh", "-c", command, "sh", *arguments], check=True)

        made_folder = Struct(path=folder)
        made, = no_library(Struct(label=Struct(name="x"), actions=Struct(
            declare_directory=lambda name: made_folder if name == "x" else None, run_shell=run_shell)))
        with open(os.path.join(folder, "libstdc++.a"), "rb") as file:
            equal((made.files, file.read()), ([made_folder], b"!<arch>\n"), "an archive without members")


# ---- Archives ----


def archives():
    file = Loader(FOLDER).load("archive.bzl")
    how = file["_rf_archive_members"].how
    mode = "@ringfence//checkers:mode"
    change = how["attrs"]["deps_in_mode"]["cfg"].implementation
    equal([change({mode: it}, None)[mode] for it in ("off", "page", "sample")], ["guard", "page", "sample"])

    def object_of(package, name):
        return Struct(owner=Struct(package=package), short_path="%s/%s.o" % (package, name))

    def listed(*items):
        return Struct(to_list=lambda: list(items))

    pic, plain = object_of("lib/core", "a.pic"), object_of("lib/core", "a")
    libraries = [Struct(pic_objects=[pic], objects=[plain]),
                 Struct(pic_objects=None, objects=[object_of("lib/x", "b")]),
                 Struct(pic_objects=None, objects=None),
                 Struct(pic_objects=[object_of("library", "c"), object_of("lib", "d"), object_of("lib/drop", "e"),
                                     object_of("lib/dropper", "f")], objects=[])]
    headers = [Struct(dirname="lib/include/ringfence", short_path="h"), Struct(dirname="lib/core", short_path="i")]
    dep = Keyed(Struct(
        linking_context=Struct(linker_inputs=listed(Struct(libraries=libraries, user_link_flags=["-pthread", "-ldl"]),
                                                    Struct(libraries=[], user_link_flags=["-pthread"]))),
        compilation_context=Struct(defines=listed("A=1"), headers=listed(*headers))))
    none = Keyed(Struct(linking_context=Struct(linker_inputs=listed()),
                        compilation_context=Struct(defines=listed(), headers=listed())))
    for apart, drop in (("lib/drop/", []), ("", ["object lib/drop/e.o"])):
        written = {}
        it = Struct(attr=Struct(deps=[dep, none], deps_in_mode=[dep, none], under="lib/", apart_from=apart),
                    outputs=Struct(list="x.members"),
                    actions=Struct(write=written.__setitem__), runfiles=lambda transitive_files: transitive_files)
        made, = how["implementation"](it)
        equal(written, {"x.members": "".join(line + "\n" for line in [
            "flag -DA=1", "flag -pthread", "flag -ldl", "object lib/core/a.pic.o", "object lib/x/b.o", "object lib/d.o",
            *drop, "object lib/dropper/f.o", "header h"])}, apart)
        equal((made.files[-1], len(made.files), made.runfiles), ("x.members", 6 + len(drop), made.files))

    # The objects that the mode changes, and no others, are those of the mode's configuration.
    def built(where, defines):
        objects = [object_of(package, where) for package in ("checkers/os", "checkers/checked", "checkers/checked/x")]
        library = Struct(pic_objects=objects, objects=[])
        return Keyed(Struct(
            linking_context=Struct(linker_inputs=listed(Struct(libraries=[library], user_link_flags=[]))),
            compilation_context=Struct(defines=listed(*defines), headers=listed())))

    written = {}
    it = Struct(attr=Struct(deps=[built("build", [])], deps_in_mode=[built("mode", ["SITES=1"])], under="checkers/",
                            apart_from=""),
                outputs=Struct(list="y.members"), actions=Struct(write=written.__setitem__),
                runfiles=lambda transitive_files: transitive_files)
    how["implementation"](it)
    equal(written, {"y.members": "flag -DSITES=1\nobject checkers/os/build.o\nobject checkers/checked/mode.o\n"
                                 "object checkers/checked/x/mode.o\n"})


def main():
    for test in (plain_rules, conformance, checked_targets, checked_defaults, checked_settings, checked_run,
                 fuzz_targets, fuzz_defaults, other_programs, archives):
        before = len(faults)
        try:
            test()
        except Exception as error:  # pylint: disable=broad-except
            faults.append(repr(error))
        for fault in faults[before:]:
            print("FAIL %s - %s" % (test.__name__, fault), file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
