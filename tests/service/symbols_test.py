#!/usr/bin/env python3
"""Symbols: a stripped program's findings get their lines when its file comes in."""

import contextlib
import os
import re
import time

import service
from programs import SOURCE, Program, nameless, run
from service import Service, append, check, equal, event, record, take


def merged_findings_lack_symbols_once():
    with Service(start=False) as s:
        take(s, nameless("0x1010", "1"), nameless("0x2020", "2"))
        equal([m["findings"] for m in s.ask("symbols", "missing")["missing"]], [2])
        s.command("merge", "1", "2")
        equal([m["findings"] for m in s.ask("symbols", "missing")["missing"]], [1])


def builds_of_most_findings_lack_symbols_first():
    def of(build_id, id, ago):
        found = {"pc": "0x1010", "module": "/srv/gone", "build_id": build_id, "offset": hex(0x1000 + int(id))}
        return event(id, id, ago=ago, f_found={"thread": 1, "frames": [found]})

    with Service(start=False) as s:
        take(s, of("aa01", "1", 50), of("aa02", "2", 400), of("aa02", "3", 300), of("aa03", "4", 10))
        equal([(m["build_id"], m["findings"]) for m in s.ask("symbols", "missing")["missing"]],
              [("aa02", 2), ("aa03", 1), ("aa01", 1)])


def frames_of_stripped_builds_are_known_by_their_builds():
    """Another function has the offset in another build: until its names are known they are two findings."""
    def of(build_id, id, function):
        found = {"pc": "0x1010", "module": "/srv/gone", "build_id": build_id, "offset": "0x1010", "function": function}
        return event("a", id, f_found={"thread": 1, "frames": [found]}, f_allocated={"thread": 1, "frames": [found]})

    with Service(start=False) as s:
        s.once()
        with contextlib.closing(service.database(s)) as db:
            db.executemany("INSERT INTO symbol_file(build_id, kind, name, bytes, time, looked)"
                           " VALUES(?, 'debuginfo', 'x', 1, 1, 1)", [("aa01",), ("aa02",)])
        s.start()
        service.post(s, of("aa01", "1", "first"), of("aa02", "2", "second"), of("aa01", "3", "first"))
        equal(sorted(f["count"] for f in s.http("GET", "/api/v1/findings").json()["findings"]), [1, 2])


def of_two_builds_the_one_without_symbols_keeps_the_names_of_its_functions():
    """Nothing more will be known of them, while those of the other wait for their lines."""
    def of(id, function):
        frames = [{"pc": pc, "module": "/srv/" + module, "build_id": build_id, "offset": "0x1010", "function": name}
                  for pc, module, build_id, name in (("0x1010", "with", "aa01", "inner"),
                                                     ("0x2010", "without", "bb01", function))]
        return event("a", id, f_found={"thread": 1, "frames": frames}, f_allocated={"thread": 1, "frames": frames})

    with Service(start=False) as s:
        s.once()
        with contextlib.closing(service.database(s)) as db:
            db.execute("INSERT INTO symbol_file(build_id, kind, name, bytes, time, looked)"
                       " VALUES('aa01', 'debuginfo', 'x', 1, 1, 1)")
        s.start()
        service.post(s, of("1", "first"), of("2", "second"), of("3", "first"))
        equal(sorted(f["count"] for f in s.http("GET", "/api/v1/findings").json()["findings"]), [1, 2])


def frames_between_named_ones_get_their_names():
    """Of each of several events that are looked up at once."""
    with Service(start=False) as s:
        one = Program(s.root)
        s.once()
        s.command("symbols", "upload", one.whole)
        bugs = ("heap-buffer-overflow", "double-free", "bad-free")
        lines = [one.event(bug, bug=bug) for bug in bugs]
        for line in lines:
            for stack in ("found", "allocated"):
                line["finding"][stack]["frames"].append(service.frame("start", 90))
        take(s, *lines)
        for id in range(1, 4):
            text = s.command("show", str(id))
            check(re.search(r"in make .*app\.c:4", text) and re.search(r"in main .*app\.c", text), id, text)


def names_stay_when_another_file_of_the_build_comes():
    """Symbols that come before the first event, in CI without a server; the same once more; the stripped program."""
    with Service(start=False) as s:
        one = Program(s.root)
        module = {"path": "/srv/app", "build_id": one.build_id, "sites": 1, "unwatched": [one.addresses["make"] + 5]}
        s.once()
        for again in range(2):
            for file in (one.whole, one.stripped):
                s.command("symbols", "upload", file)
                take(s, one.event(f"{again}"),
                     record("summary", f"b-{again}-1-1", seconds=60, exit="status 0", sites=[module]))
                text = s.command("show", "1")
                check(re.search(r"in main .*app\.c:\d.*in make .*app\.c:4", text, re.S), again, file, text)
                equal([x.get("function") for x in s.ask("coverage", "1")["list"]], ["make"], again, file)
        equal(s.ask("symbols", "missing")["missing"], [])


def call_sites_that_are_there_get_the_names_of_a_file_that_comes_later():
    with Service(start=False) as s:
        one = Program(s.root)
        offset = one.addresses["make"] + 9
        module = {"path": "/srv/app", "build_id": one.build_id, "sites": 1, "unwatched": [offset]}
        take(s, one.event("1"), record("summary", "b-1-1-1", seconds=60, exit="status 0", sites=[module]))
        equal([(x["offset"], x.get("function")) for x in s.ask("coverage", "1")["list"]], [(hex(offset), None)])
        s.command("symbols", "upload", one.whole)
        s.once()
        site = s.ask("coverage", "1")["list"][0]
        equal((site["function"], os.path.basename(site["file"])), ("make", "app.c"))


def call_sites_that_a_collector_left_without_names_get_them_from_the_next():
    with Service(start=False) as s:
        one = Program(s.root)
        asked = s.root + "/asked"
        os.mkdir(s.root + "/tools")
        for name in ("addr2line", "llvm-symbolizer", "eu-addr2line"):
            with open(f"{s.root}/tools/{name}", "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n: > {asked}\nexec sleep 600\n")
            os.chmod(file.name, 0o700)
        s.environment = {"PATH": s.root + "/tools:" + os.environ["PATH"]}
        s.start()
        module = {"path": one.whole, "build_id": one.build_id, "sites": 1, "unwatched": [one.addresses["make"] + 9]}
        append(s.directory, record("summary", "b-1-1-1", seconds=60, exit="status 0", sites=[module]))
        s.wait(lambda: os.path.exists(asked))
        s.stop()
        s.once()
        equal(s.ask("coverage", "1")["list"][0].get("function"), "make")


def names_that_an_earlier_version_lost_are_looked_up_once_more():
    """With a file of symbols that came in, it forgot the build's names: places were without lines after a rekey."""
    with Service(start=False) as s:
        one = Program(s.root)
        take(s, one.event("1"), one.event("2", "double-free"))
        s.command("symbols", "upload", one.whole)
        s.once()
        places = {f["id"]: f["place"] for f in s.findings()}
        check(all("app.c:" in place for place in places.values()), places)
        with contextlib.closing(service.database(s)) as db:
            db.execute("DELETE FROM symbol")
            db.execute("UPDATE finding SET algorithm = 2")
        s.once()
        equal({f["id"]: f["place"] for f in s.findings()}, places)
        with contextlib.closing(service.database(s)) as db:
            db.execute("DELETE FROM symbol")
        s.once()
        with contextlib.closing(service.database(s)) as db:
            equal(db.execute("SELECT count(*) FROM symbol").fetchone(), (0,), "looked up with each start")


def none_are_said_to_be_missing_where_frames_wait_to_be_looked_up():
    with Service(start=False) as s:
        take(s, nameless("0x1010", "1"), nameless("0x2020", "2"))
        equal(s.ask("symbols", "missing")["waiting"], 0)
        with contextlib.closing(service.database(s)) as db:
            db.execute("UPDATE meta SET value = value - 1 WHERE key = 'named'")
            db.execute("DELETE FROM nameless")
        equal(s.ask("symbols", "missing")["waiting"], 1)
        equal(s.command("symbols", "missing"), "the frames of 1 event are still to be looked up\n")


def a_stripped_build_gets_its_lines_later():
    with Service(start=False) as s:
        one, two = Program(s.root, "one"), Program(s.root, "two", "-DB")
        check(one.addresses["make"] != two.addresses["make"] and one.build_id != two.build_id)
        take(s, one.event("1"), two.event("2"), one.event("3", "double-free"))
        rows = s.findings()
        equal(sorted(row["count"] for row in rows), [1, 1, 1], "nobody knows that two of them are one")
        check(all("make" not in row["place"] for row in rows))
        equal(sorted(m["build_id"] for m in s.ask("symbols", "missing")["missing"]),
              sorted([one.build_id, two.build_id]))
        s.command("symbols", "upload", one.stripped)
        s.once()
        check(all("make" not in row["place"] for row in s.findings()), "a stripped file names nothing")
        equal(len(s.ask("symbols", "missing")["missing"]), 2, "and is no file of symbols")
        s.command("symbols", "upload", one.whole)
        s.once()
        check("make" in s.ask("show", "1")["place"], s.ask("show", "1")["place"])
        check(re.search(r"in make .*app\.c:4", s.command("show", "1")), s.command("show", "1"))
        s.command("symbols", "upload", two.whole)
        s.once()
        equal(sorted(row["count"] for row in s.findings()), [1, 2], "named, they are one")
        equal(s.ask("symbols", "missing")["missing"], [])
        root = [row["id"] for row in s.findings() if row["count"] == 2][0]
        for id in ("1", "2"):
            shown = s.ask("show", id)
            check(shown.get("merged_into", shown["id"]) == root, "the old number", id, "leads to", root)
        take(s, two.event("4"), one.event("5"))
        equal(sorted(row["count"] for row in s.findings()), [1, 4], "stripped events go to it, too")
        with Service(directory=s.directory) as serving:
            page = serving.http("GET", "/finding/2").text
            check("make" in page and "app.c" in page)


def pieces_of_a_finding_stay_apart_when_their_names_come():
    """And what comes with names goes where the same went without."""
    def named(program, function):
        frames = program.stack(function)["frames"]
        return {"thread": 1, "frames": [dict(f, function=name, file="app.c", line=3)
                                        for f, name in zip(frames, (function, "main"))]}

    for rule in ("mode", "access"):
        with Service(start=False) as s:
            one = Program(s.root)

            def of(id, which, stack, one=one, rule=rule):
                access = "main" if rule == "access" and which == 1 else "make"
                return event("x", id, f_allocated=stack("make"), f_found=stack(access),
                             mode="sample" if rule == "mode" and which == 1 else "guard")

            for number, which in enumerate((0, 1)):
                take(s, of(f"{number}", which, one.stack))
            s.command("split", "1", "--by", rule)
            equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 1), (2, 1)], rule)
            before = s.ask("show", "2")["key"]
            equal([(m["findings"], m["processes"]) for m in s.ask("symbols", "missing")["missing"]], [(2, 0)])
            s.command("symbols", "upload", one.whole)
            s.once()
            check(s.ask("show", "2")["key"] != before, "it has the key of its names")
            for number, which in enumerate((0, 1, 1)):
                take(s, of(f"n{number}", which, lambda function: named(one, function)))
            for number, which in enumerate((0, 1, 1)):
                take(s, of(f"o{number}", which, one.stack))
            equal(sorted((row["id"], row["count"]) for row in s.findings()), [(1, 3), (2, 5)], rule)
            equal(sorted(row["id"] for row in s.findings("--search", "make main")), [1, 2], rule)
            equal(s.ask("symbols", "missing")["missing"], [])
            for name in ("allocation_key", "access_key"):
                same = s.ask("show", "1")[name] == s.ask("show", "2")[name]
                equal(same, name != rule + "_key", name)


COMMITS = {"1.0": "a" * 40, "1.1": "b" * 40, "1.2": "c" * 40}


def of_build(event, version):
    event["build"] = {"version": version, "commit": COMMITS[version]}
    return event


def a_stripped_build_that_brings_a_fixed_bug_back_reopens_it():
    """Its event is a new finding until its symbols arrive; an event of before the fix brings nothing back."""
    for fixed_in, state in (("1.1", "reopened"), ("1.2", "fixed")):
        with Service(start=False) as s:
            one, two = Program(s.root, "one"), Program(s.root, "two", "-DB")
            take(s, of_build(one.event("1"), "1.0"))
            s.command("symbols", "upload", one.whole)
            s.once()
            for day, (version, commit) in enumerate(COMMITS.items()):
                s.command("builds", "--add", commit, "--version", version, "--time", f"2026-01-0{day + 1}T00:00:00Z")
            s.command("fix", "1", "--in", fixed_in)
            time.sleep(0.01)
            take(s, of_build(two.event("2"), "1.1"))
            equal([(row["id"], row["state"]) for row in s.findings()], [(2, "open")])
            s.command("symbols", "upload", two.whole)
            s.once()
            equal([(row["id"], row["state"], row["count"]) for row in s.findings("--state", "all")], [(1, state, 2)])
            s.command("gate", "--new-in", "1.1", status=99 if state == "reopened" else 0)


def a_merge_with_a_finding_of_the_fixed_build_reopens():
    with Service(start=False) as s:
        take(s, event("a", "1", build={"version": "1.0"}))
        s.command("fix", "1", "--in", "1.1")
        time.sleep(0.01)
        take(s, event("b", "2", build={"version": "1.1"}))
        s.command("merge", "1", "2")
        equal([(row["id"], row["state"]) for row in s.findings("--state", "all")], [(1, "reopened")])


def a_stripped_copy_gets_its_lines_from_the_file_that_has_them():
    def of(file, event):  # the program ran from `file`
        for stack in ("found", "allocated"):
            for frame in event["finding"][stack]["frames"]:
                frame["module"] = file
        return event

    for together in (False, True):
        with Service(start=False) as s:
            one = Program(s.root)
            lines = [of(one.stripped, one.event("1", "double-free")), of(one.stripped, one.event("2")),
                     of(one.whole, one.event("3"))]
            lines[2]["finding"]["found"]["frames"].pop()
            if together:
                take(s, *lines)
            else:
                take(s, lines[0], lines[1])
                check(all("make" not in row["place"] for row in s.findings()))
                equal([m["build_id"] for m in s.ask("symbols", "missing")["missing"]], [one.build_id])
                take(s, lines[2])
            rows = s.findings()
            equal(sorted(row["count"] for row in rows), [1, 2], together)
            check(all("app.c" in row["place"] for row in rows), rows)
            equal(s.ask("symbols", "missing")["missing"], [])
            os.unlink(one.whole)
            take(s, of(one.stripped, one.event("4")))
            equal(sorted(row["count"] for row in s.findings()), [1, 3], "what is known stays")


def a_program_without_a_build_id_that_was_built_anew_has_names_of_its_own():
    """It lies in the same place, and other code has the same offsets."""
    def built(s, make, use, lines):
        path, source = s.root + "/app", s.root + "/app.c"
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n" * lines + SOURCE.lstrip("\n").replace("make(", make + "(").replace("use(", use + "("))
        run("cc", "-g", "-O1", "-fno-pie", "-no-pie", "-Wl,--build-id=none", "-o", path, source)
        addresses = {name: int(at, 16) for at, name in re.findall(r"^([0-9a-f]+) T (\w+)$", run("nm", path), re.M)}

        def stack(*functions):
            return {"thread": 1, "frames": [
                {"pc": hex(addresses[name]), "module": path, "offset": hex(addresses[name] + 5), "function": name}
                for name in functions]}

        return lambda id: event("x", id, f_allocated=stack(make, "main"), f_found=stack(use, "main"))

    with Service(start=False) as s:
        old = built(s, "make", "use", 0)
        take(s, old("1"))
        new = built(s, "bake", "fry", 7)
        take(s, old("3"))
        take(s, new("2"))
        take(s, new("4"))
        equal(sorted((row["count"], row["place"].rpartition("/")[2]) for row in s.findings()),
              [(2, "app.c:10"), (2, "app.c:3")])
        shown = s.command("show", "2")
        check("in bake" in shown and "in fry" in shown and "app.c:10" in shown and "app.c:16" in shown, shown)
        check("app.c:3" not in shown and "app.c:9" not in shown and "in make" not in shown, shown)
        shown = s.command("show", "1")
        check("in make" in shown and "in use" in shown and "app.c:3" in shown, shown)
        check("bake" not in shown and "fry" not in shown, shown)


def a_program_without_a_build_id_whose_lines_have_moved_has_those_that_it_has():
    with Service(start=False) as s:
        for lines in (0, 7):
            path, source = s.root + "/app", s.root + "/app.c"
            with open(source, "w", encoding="utf-8") as file:
                file.write("\n" * lines + SOURCE.lstrip("\n"))
            run("cc", "-g", "-O1", "-fno-pie", "-no-pie", "-Wl,--build-id=none", "-o", path + ".new", source)
            with open(path + ".new", "rb") as new, open(path, "wb") as file:  # the same file, of the same size
                file.write(new.read().ljust(1 << 20, b"\0"))
            os.utime(path, ns=(10**18 + lines, 10**18 + lines))  # and of the same second
            at = int(re.search(r"^([0-9a-f]+) T make$", run("nm", path), re.M)[1], 16)
            frame = {"pc": hex(at), "module": path, "offset": hex(at + 5), "function": "make"}
            take(s, event("x", str(lines), f_allocated={"thread": 1, "frames": [frame]}))
            check(f"app.c:{lines + 3}" in s.command("show", "1"), s.command("show", "1"))
        equal([row["count"] for row in s.findings()], [2])


os.environ.pop("DEBUGINFOD_URLS", None)
service.main([
    a_program_without_a_build_id_that_was_built_anew_has_names_of_its_own,
    a_program_without_a_build_id_whose_lines_have_moved_has_those_that_it_has,
    pieces_of_a_finding_stay_apart_when_their_names_come, a_stripped_build_gets_its_lines_later,
    a_stripped_build_that_brings_a_fixed_bug_back_reopens_it, a_merge_with_a_finding_of_the_fixed_build_reopens,
    a_stripped_copy_gets_its_lines_from_the_file_that_has_them, merged_findings_lack_symbols_once,
    none_are_said_to_be_missing_where_frames_wait_to_be_looked_up, builds_of_most_findings_lack_symbols_first,
    call_sites_that_are_there_get_the_names_of_a_file_that_comes_later,
    call_sites_that_a_collector_left_without_names_get_them_from_the_next,
    frames_of_stripped_builds_are_known_by_their_builds,
    of_two_builds_the_one_without_symbols_keeps_the_names_of_its_functions,
    frames_between_named_ones_get_their_names,
    names_stay_when_another_file_of_the_build_comes,
    names_that_an_earlier_version_lost_are_looked_up_once_more,
])
