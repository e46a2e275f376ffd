#!/usr/bin/env python3
"""The life of findings: fixed, back again, ignored; and which build is after which."""

import contextlib
import json
import os
import sqlite3

import service
from service import Service, build, check, database, equal, event, record, state, take


def news(s, id=1):
    """What was told of the finding, oldest first, but for decisions."""
    acts = s.ask("show", str(id))["activity"]
    return [(a["kind"], a["environment"]) for a in reversed(acts) if a["kind"] in ("new", "reopened")]


def a_fix_is_undone_only_by_a_build_that_has_it():
    with Service(start=False) as s:
        take(s, event("a", "1", ago=5000, build=build("a")), event("x", "2", ago=3000, build=build("c")))
        s.command("fix", "1", "--in", "bbbbbbb")
        equal(state(s), "fixed")
        take(s, event("a", "3", build=build("a")), event("a", "4", build=build("c")))
        equal(state(s), "fixed", "nobody knows where b stands: no false regression")
        take(s, event("y", "5", ago=4000, build=build("b")))
        take(s, event("a", "6", build=build("a")))
        equal(state(s), "fixed", "an old build only counts")
        take(s, event("a", "7", build=build("c")))
        equal(state(s), "reopened", "c is after b")
        equal(s.ask("show", "1")["count"], 5)
        equal([row["id"] for row in s.findings("--state", "reopened")], [1])


def ci_may_tell_of_a_build_before_anything_was_found():
    with Service(start=False) as s:
        folder = os.path.join(s.directory, "new", "folder")
        s.command("builds", "--add", "a" * 40, "--version", "1.0", "--time", "2026-01-02T00:00:00Z", "--dir", folder)
        equal(os.stat(folder).st_mode & 0o777, 0o700)
        equal(os.stat(os.path.join(folder, "ringfence.db")).st_mode & 0o777, 0o600)
        s.command("builds", "--add", "b" * 40, "--time", "2026-01-03T00:00:00Z", "--dir", folder)
        text = s.command("builds", "--json", "--dir", folder)
        equal([(b["version"], b["order_guessed"]) for b in json.loads(text)["builds"]], [("", False), ("1.0", False)])
        os.chmod(folder, 0o777)
        os.unlink(os.path.join(folder, "ringfence.db"))
        check("open to others" in s.command("builds", "--add", "c" * 40, "--dir", folder, status=1))
        check("no findings in" in s.command("builds", "--dir", os.path.join(s.directory, "none"), status=1))


def the_order_of_builds_is_what_ci_says():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("x", "2", build=build("b")))
        s.command("builds", "--add", "b" * 40, "--version", "2.0", "--time", "2026-01-02T00:00:00Z")
        s.command("builds", "--add", "a" * 40, "--version", "1.0", "--time", "2026-01-03T00:00:00Z")
        equal([(b["version"], b["order_guessed"]) for b in s.ask("builds")["builds"]], [("1.0", False), ("2.0", False)])
        s.command("fix", "1", "--in", "1.0")
        take(s, event("a", "3", build=build("b")))
        equal(state(s), "fixed")
        take(s, event("a", "4", build=build("a")))
        equal(state(s), "reopened")


def a_fix_without_a_commit_is_in_the_next_build():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")))
        s.command("fix", "1")
        take(s, event("a", "2", build=build("a")))
        equal(state(s), "fixed")
        take(s, event("a", "3", build=build("b")))
        equal(state(s), "reopened")
        s.command("reopen", "1")
        equal(state(s), "open")


def the_next_build_is_the_next_one_whatever_the_clock_of_its_host_says():
    """The order in which builds are heard of counts, not their events' times: hosts' clocks may be behind."""
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")))
        s.command("fix", "1")
        take(s, event("a", "2", build=build("a"), ago=-1))
        take(s, event("a", "3", build=build("9"), ago=30 * 3600))
        equal(state(s), "fixed", "what ran a day before the fix, and comes in late, is no later build")
        take(s, record("summary", "s-1-1-1", build=build("b"), ago=7200, seconds=3600.0), event(
            "a", "4", build=build("b"), ago=7200))
        equal(state(s), "reopened")
        since = s.ask("show", "1")["since_fix"]
        equal((since["hours_after"], since["events_after"]), (1.0, 1))
        take(s, event("b", "5", build=build("c"), ago=7200))
        s.command("fix", "1")
        take(s, event("b", "6", build=build("d"), ago=7200))
        s.command("merge", "1", "2")
        equal(state(s), "reopened", "a part was seen in it")


def fixed_has_a_number():
    with Service(start=False) as s:
        take(s, *[event("a", f"e{i}", ago=9000, build=build("a")) for i in range(4)],
             *[record("summary", f"s{i}", ago=9000, build=build("a"), seconds=36000.0) for i in range(2)])
        s.command("fix", "1", "--in", "b" * 40)
        take(s, *[record("summary", f"t{i}", build=build("b"), seconds=180000.0) for i in range(2)],
             record("summary", "other", program="/srv/other", build=build("b"), seconds=1e6))
        equal(s.ask("show", "1")["since_fix"], {"hours_before": 20.0, "events_before": 4, "hours_after": 100.0,
                                                "events_after": 0, "expected": 20.0})


def ignored_needs_a_reason_and_stays_ignored():
    with Service(start=False) as s:
        take(s, event("a", "1"))
        check("give a reason" in s.command("ignore", "1", status=2))
        check("the text is too long" in s.command("ignore", "1", "--because", "x" * 501, status=None))
        s.command("ignore", "1", "--because", "x" * 500)
        equal(s.ask("show", "1")["because"], "x" * 500)
        s.command("ignore", "1", "--because", "a test plants it")
        take(s, event("a", "2", build=build("z")))
        shown = s.ask("show", "1")
        equal((shown["state"], shown["because"], shown["count"]), ("ignored", "a test plants it", 2))
        s.command("gate")


def what_became_of_a_finding_is_listed():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")))
        s.command("fix", "1")
        take(s, event("a", "2", build=build("b")))
        s.command("ignore", "1", "--because", "a test plants it")
        take(s, event("a", "3", environment="ci"))
        acts = s.ask("show", "1")["activity"]
        equal([(a["kind"], a["environment"]) for a in acts],
              [("ignored", ""), ("reopened", "development"), ("fixed", ""), ("new", "development")])
        equal([a["text"] for a in acts[:3]], ["a test plants it", "", "in the next build"])
        check("1 byte written" in acts[3]["text"], acts[3])
        times = [a["time"] for a in acts]
        equal(times, sorted(times, reverse=True))


def a_finding_is_new_and_back_once_in_each_environment():
    with Service(start=False) as s:
        number = iter(range(1000))

        def seen(environment, commit, place="a"):
            take(s, event(place, f"{next(number)}", environment=environment, build=build(commit)))

        for environment in ("ci", "ci", "live", "ci"):
            seen(environment, "a")
        told = [("new", "ci"), ("new", "live")]
        equal(news(s), told)
        for fix in ("b", "c"):
            s.command("fix", "1")
            seen("qa", "a")
            equal(news(s), told, "an old build tells nothing, nor of another environment")
            for environment in ("ci", "ci", "live", "live", "ci"):
                seen(environment, fix)
            told += [("reopened", "ci"), ("reopened", "live")]
            equal(news(s), told, fix)
        s.command("ignore", "1", "--because", "a test plants it")
        seen("moon", "d")
        equal(news(s), told, "nobody wants to know")
        equal(state(s), "ignored")


def news_of_a_part_is_told_of_the_whole():
    with Service(start=False) as s:
        take(s, event("a", "1", environment="ci"), event("b", "2", environment="qa"))
        s.command("merge", "1", "2")
        take(s, event("b", "3", environment="qa"), event("b", "4", environment="ci"))
        equal((news(s), news(s, 2)), ([("new", "ci")], [("new", "qa")]), "each is known there")
        equal(s.findings()[0]["last_seen"], s.ask("show", "2")["last_seen"])
        take(s, event("b", "5", environment="live"), event("b", "6", environment="live"))
        equal((news(s), news(s, 2)), ([("new", "ci"), ("new", "live")], [("new", "qa")]))
        s.command("fix", "1")
        take(s, event("b", "7", environment="live", build=build("z")))
        equal((news(s)[2:], news(s, 2)[1:], state(s)), ([("reopened", "live")], [], "reopened"))
        equal(s.ask("show", "2")["state"], "reopened", "that of the whole")
        s.command("reopen", "1")
        s.command("ignore", "1", "--because", "known")
        take(s, event("b", "8", environment="moon"))
        equal(news(s)[3:], [])


def a_fix_is_known_by_each_name_of_its_build():
    """That has not been seen yet; by seven characters of its commit at least."""
    later = {"version": "2.0", "commit": "c0ffee1" + "0" * 33, "build_id": "beef01f0"}
    for name, known in (("2.0", True), ("beef01f0", True), ("c0ffee1" + "0" * 33, True), ("c0ffee1", True),
                        ("c0ffee", False), ("2", False), ("0ffee10", False)):
        with Service(start=False) as s:
            take(s, event("a", "1", build=build("a")))
            check("has not been seen yet" in s.command("fix", "1", "--in", name))
            equal(s.ask("show", "1")["fixed_in"], name)
            take(s, event("a", "2", build=later))
            equal(state(s), "reopened" if known else "fixed", name)
            take(s, event("b", "3", build=later))
            equal([row["id"] for row in s.findings("--new-in", "beef01f")], [2, 1] if known else [2], "by its build-id")
            if len(name) != 1 and name != "0ffee10" and known:
                equal([row["id"] for row in s.findings("--new-in", name)], [2, 1], "as one asks for it")


def a_finding_comes_back_in_builds_that_have_the_fix_alone():
    """One before the fix that had it too fails no gate of its own once a later one has brought it back."""
    for words in (("--in", "c" * 40), ("--in", "3.0"), ()):
        with Service(start=False) as s:
            take(s, event("a", "1", build=build("a")), event("a", "2", build=build("b")))
            s.command("fix", "1", *words)
            take(s, event("a", "3", build=build("c", "3.0")), event("a", "4", build=build("d")))
            equal(state(s), "reopened", words)
            equal([[row["id"] for row in s.findings("--new-in", name * 40)] for name in "abcd"], [[1], [], [1], [1]],
                  words)
            s.command("gate", "--new-in", "b" * 40)
            s.command("gate", "--new-in", "c" * 40, status=99)


def a_build_that_was_told_of_is_as_new_as_that():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a", "1.0")), event("z", "2", build=build("z", "9.0")))
        s.command("builds", "--add", "a" * 40, "--time", "2026-01-05T00:00:00Z")
        rows = s.ask("builds")["builds"]
        equal([(b["version"], b["order_guessed"]) for b in rows], [("9.0", True), ("1.0", False)], "its version stays")
        check(rows[0]["ordered_at"] > service.timestamp(60), rows)
        equal(rows[1]["ordered_at"][:10], "2026-01-05")
        s.command("fix", "1")
        s.command("builds", "--add", "b" * 40, "--time", "2026-01-01T00:00:00Z", "--version", "1.0")
        take(s, event("a", "3", build=build("b", "1.0")))
        equal(state(s), "reopened", "nobody had heard of it before the fix")
        take(s, event("c", "4", build=build("b", "1.0")),
             event("d", "9", build={"version": "", "commit": "a" * 39 + "f"}))
        equal([row["id"] for row in s.findings("--build", "1.0")], [1], "the newer of two of one version")
        check("several builds begin with" in s.command("findings", "--new-in", "a" * 7, status=2))
        s.command("fix", "2", "--in", "1.0")
        take(s, event("z", "5", build=build("b", "1.0")))
        equal(state(s, 2), "fixed", "b is before a")


def decisions_undo_one_another_whole():
    def decided(s):
        shown = s.ask("show", "1")
        return tuple(shown.get(name) for name in ("state", "fixed_in", "because", "fixed_at")) + (
            "since_fix" in shown,)

    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("b", "2"))
        s.command("merge", "1", "2")
        for action, wanted in ((("ignore", "2", "--because", "x"), ("ignored", None, "x", None, False)),
                               (("reopen", "2"), ("open", None, None, None, False)),
                               (("ignore", "1", "--because", "y"), ("ignored", None, "y", None, False)),
                               (("fix", "2", "--in", "a" * 40), ("fixed", "a" * 40, None, "time", True)),
                               (("ignore", "1", "--because", "z"), ("ignored", None, "z", None, False)),
                               (("fix", "1"), ("fixed", None, None, "time", True)),
                               (("reopen", "2"), ("open", None, None, None, False))):
            said = s.command(*action)
            equal("not been seen yet" in said or "  " in said, False, said)
            got = decided(s)
            equal(got[:3] + ("time" if got[3] else None, got[4]), wanted, action)
        equal([a["kind"] for a in s.ask("show", "1")["activity"]][:3], ["opened", "fixed", "ignored"])
        equal(s.ask("show", "2")["state"], "open", "the part has none of its own")


def a_build_says_whether_its_order_is_guessed():
    with Service(start=False) as s:
        take(s, event("a", "1", build=build("a")), event("a", "2", build=build("b")))
        s.command("builds", "--add", "a" * 40)
        equal({b["name"][0]: b["order_guessed"] for b in s.ask("show", "1")["builds"]}, {"a": False, "b": True})


def a_fix_is_in_the_build_that_the_beginning_of_its_name_will_name():
    """As with git: seven characters or more of a commit or a build-id, in small or capital letters."""
    def built(version="", commit="", build_id=""):
        return {"version": version, "commit": commit, "build_id": build_id}

    old, new = built("1", build_id="11" * 20), built("2", "c0ffee" * 6 + "c0ff", "ab" * 20)
    for name, comes in (("abababa", True), ("ab" * 20, True), ("ABABABAB", True), ("c0ffeec", True),
                        ("C0FFEEC0FFEE", True), ("2", True), ("ababab", False), ("c0ffee", False), ("babababa", False),
                        ("abababac", False), ("%bababab", False)):
        with Service(start=False) as s:
            take(s, event("a", "1", ago=500, build=old))
            said = s.command("fix", "1", "--in", name)
            equal(said, f"finding 1 is fixed in {name}, a build that has not been seen yet\n")
            take(s, event("a", "2", build=old))
            equal(state(s), "fixed", "before it")
            take(s, event("a", "3", build=new))
            equal(state(s), "reopened" if comes else "fixed", name)
            if comes:
                equal(s.command("fix", "1", "--in", name), f"finding 1 is fixed in {name}\n", "it has been seen")
                equal([row["id"] for row in s.findings("--state", "all", "--build", name)], [1])


def a_fix_is_in_a_build_whose_name_other_records_told():
    """A commit has several programs, each with a build-id; a version may be told later than the commit."""
    commit = "c" * 40
    with Service(start=False) as s:
        take(s, event("a", "1", ago=500, build=build("a")), event("b", "2", ago=500, build=build("a")),
             event("c", "3", ago=500, build=build("a")))
        s.command("builds", "--add", commit)
        for id, name in (("1", "11111111"), ("2", "22222222"), ("3", "2.0-rc1")):
            check("has not been seen yet" in s.command("fix", id, "--in", name), name)
        take(s, event("x", "4", build={"version": "", "commit": commit, "build_id": "1" * 40}))
        take(s, event("x", "5", build={"version": "", "commit": commit, "build_id": "2" * 40}))
        s.command("builds", "--add", commit, "--version", "2.0-rc1")
        take(s, event("a", "6", build=build("c")), event("b", "7", build=build("c")), event("c", "8", build=build("c")))
        equal([state(s, id) for id in (1, 2, 3)], ["reopened"] * 3)


def of_two_builds_of_one_second_the_first_told_is_the_earlier():
    with Service(start=False) as s:
        for letter in "abc":
            s.command("builds", "--add", letter * 40, "--time", "2026-01-05T00:00:00Z")
        take(s, event("a", "1", build=build("a")), record("summary", "s1", build=build("a"), seconds=36000.0))
        s.command("fix", "1", "--in", "b" * 40)
        take(s, event("a", "2", build=build("a")))
        equal(state(s), "fixed")
        equal([s.ask("show", "1")["since_fix"][name] for name in ("hours_before", "events_before", "events_after")],
              [10.0, 2, 0])
        take(s, event("a", "3", build=build("c")))
        equal(state(s), "reopened")


def a_shortened_commit_is_the_build_that_alone_begins_so():
    """In records as on the command line, whichever came first."""
    def short(id, commit, place="a"):
        return event(place, id, build={"version": "", "commit": commit, "build_id": ""})

    full, other = "89abcdef" * 5, "89abcde0" * 5
    for first, second in ((full, "89ABCDE"), ("89abcde", full)):
        with Service(start=False) as s:
            take(s, event("a", "1", ago=500, build=build("1")))
            s.command("fix", "1", "--in", full)
            take(s, short("2", first))
            equal(state(s), "reopened", first)
            s.command("fix", "1", "--in", full)
            take(s, short("3", second))
            equal(state(s), "reopened", second)
            equal([b["name"] for b in s.ask("builds")["builds"] if b["name"] != "1" * 40], [full])
            s.command("builds", "--add", full[:9], "--version", "2.0", "--time", "2026-01-01T00:00:00Z")
            equal(len(s.ask("builds")["builds"]), 2)
            s.command("builds", "--add", other)
            for words in (("fix", "1", "--in", "89abcde"), ("findings", "--build", "89abcde"),
                          ("gate", "--new-in", "89abcde"), ("builds", "--add", "89abcde")):
                check("several builds begin" in s.command(*words, status=None), words)
            equal((state(s), len(s.ask("builds")["builds"])), ("reopened", 3))
            take(s, short("4", "89abcde", "b"), short("5", other[:8], "b"))
            equal(sorted(b["name"] for b in s.ask("builds")["builds"])[1:], ["89abcde", other, full], "none is guessed")
            s.command("fix", "1", "--in", other[:8])
            take(s, short("6", other[:9]))
            equal(state(s), "reopened")


def a_part_of_the_millisecond_of_the_fix_brings_it_back():
    for earlier, wanted in ((0, "reopened"), (1, "fixed")):
        with Service(start=False) as s:
            take(s, event("a", "1", ago=500, build=build("a")), event("x", "2", ago=400, build=build("b")),
                 event("p", "3", ago=300, build=build("c")))
            s.command("fix", "1", "--in", "b" * 40)
            with contextlib.closing(database(s)) as d:
                d.execute("UPDATE finding SET fixed_at = ? + (SELECT last_seen FROM finding WHERE id = 3) WHERE id = 1",
                          (earlier,))
            s.command("merge", "1", "3")
            equal(state(s), wanted, earlier)


def states_that_contradict_are_refused():
    with Service(start=False) as s:
        take(s, event("a", "1"), event("b", "2", ago=30 * 86400))
        for words in (("--new", "--open"), ("--open", "--new"), ("--state", "new", "--new")):
            equal([row["id"] for row in s.findings(*words)], [1], words)
        for words in (("--new", "--state", "fixed"), ("--state", "all", "--open")):
            check("contradict" in s.command("findings", *words, status=2), words)


def a_record_that_comes_late_does_not_end_a_crash_loop():
    """Nine seconds late. The next process ends nine seconds after the last that ended before, 18 after the late one."""
    with Service(start=False) as s:
        take(s, *[event("a", f"{i}", pid=i + 1, program="/srv/one", ago=ago)
                  for i, ago in enumerate([*range(100, 81, -1), 91, 73])])
        equal([loop["processes"] for loop in s.ask("show", "1")["crash_loops"]], [21])


def a_part_that_is_taken_out_is_as_old_as_its_own_oldest_part():
    """Also where events of it came meanwhile, when its parts were the whole's."""
    with Service(start=False) as s:
        take(s, event("a", "1", ago=5000), event("b", "2", ago=9000), event("c", "3", ago=100))
        first = {row["id"]: row["first_seen"] for row in s.findings()}
        s.command("merge", "1", "2")
        s.command("merge", "3", "1")
        take(s, event("a", "4", ago=4000))
        s.command("split", "1")
        equal(sorted((row["id"], row["first_seen"]) for row in s.findings()), [(1, first[2]), (3, first[3])])


def a_database_above_its_limit_forgets_no_more_than_that():
    """500 events go at a time, 10 MB here, 2 MB of which leave the file at once: the rest is no reason to go on. The
    oldest go first; modules, whose age alone counts, stay."""
    with Service(start=False) as s:
        module = {"path": "/srv/app", "build_id": "ab", "sites": 1, "unwatched": [16]}
        take(s, event("a", "first"), event("a", "last"), record("summary", "s-1-1-1", seconds=60, sites=[module]))
        db = sqlite3.connect(s.directory + "/ringfence.db")
        columns = "finding, build, program, host, environment, mode, pid, count"
        for i in range(100, 1300):  # the newest first
            db.execute(f"INSERT INTO event(id, time, {columns}, middle, record) SELECT ?1, time - ?1, {columns}, 1,"
                       " 'middle-' || ?1 FROM event WHERE id = 1", (i,))
            db.execute("INSERT INTO body(event, text) VALUES(?, ?)", (i, "x" * 20000))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = os.path.getsize(s.directory + "/ringfence.db")

        def left():
            return db.execute("SELECT count(*) FROM event").fetchone()[0]

        equal(left(), 1202)
        s.options += ["--max-size", "16"]
        s.start()
        s.wait(lambda: left() < 1202)
        equal(s.http("GET", "/style.css").status, 200, "between two looks at the size")
        equal(left(), 702)
        equal(db.execute("SELECT max(id) FROM event").fetchone(), (799,))
        equal(db.execute("SELECT count(*), count(e.id) FROM body b LEFT JOIN event e ON e.id = b.event").fetchone(),
              (702, 702))
        equal(len(s.ask("coverage")["modules"]), 1)
        s.stop()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        check((16 << 20) < os.path.getsize(s.directory + "/ringfence.db") < size - (1 << 20), "it has become smaller")
        os.makedirs(s.directory + "/symbols", exist_ok=True)
        leftover = s.directory + "/symbols/new-1-1-1"
        with open(leftover, "w", encoding="ascii"):
            os.utime(leftover, (1, 1))
        s.start()
        s.wait(lambda: not os.path.exists(leftover))  # behind the next look at the size
        equal(left(), 702)
        db.close()


service.main([
    # The longest come first.
    a_fix_is_in_the_build_that_the_beginning_of_its_name_will_name, a_fix_is_in_a_build_whose_name_other_records_told,
    a_finding_is_new_and_back_once_in_each_environment, news_of_a_part_is_told_of_the_whole,
    a_fix_is_known_by_each_name_of_its_build, a_build_that_was_told_of_is_as_new_as_that,
    a_finding_comes_back_in_builds_that_have_the_fix_alone,
    decisions_undo_one_another_whole, a_fix_is_undone_only_by_a_build_that_has_it, the_order_of_builds_is_what_ci_says,
    ci_may_tell_of_a_build_before_anything_was_found,
    a_fix_without_a_commit_is_in_the_next_build, the_next_build_is_the_next_one_whatever_the_clock_of_its_host_says,
    fixed_has_a_number, ignored_needs_a_reason_and_stays_ignored,
    a_shortened_commit_is_the_build_that_alone_begins_so, of_two_builds_of_one_second_the_first_told_is_the_earlier,
    what_became_of_a_finding_is_listed, a_build_says_whether_its_order_is_guessed, states_that_contradict_are_refused,
    a_record_that_comes_late_does_not_end_a_crash_loop, a_part_that_is_taken_out_is_as_old_as_its_own_oldest_part,
    a_part_of_the_millisecond_of_the_fix_brings_it_back, a_database_above_its_limit_forgets_no_more_than_that])
