#!/usr/bin/env python3
"""Figures of findings and runs: counts, times, crash loops, and which events are kept."""

import contextlib
import os
import time

import service
from service import Service, append, check, database, equal, event, losses, record


def clocks_that_step_put_nothing_into_the_future():
    with Service(start=False) as s:
        append(s.directory, event("a", "1", ago=-864000), event("b", "2", time="yesterday"),
               event("c", "3", ago=864000))
        s.once()
        now = service.timestamp()
        check(all(row["last_seen"] <= now for row in s.findings()))
        equal(sum(s.ask("findings")["trend"]), 3)
        equal(s.findings()[-1]["place"], "open_c src/app.c:10")


def times_are_utc_wherever_the_collector_is():
    os.environ["TZ"] = "XXX-9"
    with Service(start=False) as s:
        seen = event("a", "1", ago=5000)
        append(s.directory, seen)
        s.once()
        equal(s.findings()[0]["last_seen"], seen["time"][:23] + "Z")
        s.command("builds", "--add", "c" * 40, "--time", "2026-01-02T23:00:00Z")
        equal([b["ordered_at"] for b in s.ask("builds")["builds"] if b["commit"][0] == "c"],
              ["2026-01-02T23:00:00.000Z"])


def a_clock_that_was_never_set_is_none():
    """A device without one is not older than all others: its build has the fix, its finding is new."""
    with Service(start=False) as s:
        unset = [f"{day}T00:00:{i:02}Z" for i, day in enumerate(("1970-01-01", "1980-01-01", "2000-01-01"))]
        append(s.directory, *[event("a", f"{i}", time=time) for i, time in enumerate(unset)])
        s.once()
        finding = s.ask("show", "1")
        check(finding["first_seen"] > service.timestamp(3600) and finding["new"], finding["first_seen"])
        equal(sum(finding["trend"]), 3)
        s.command("fix", "1")
        append(s.directory, event("a", "later", time=unset[0], build={"version": "1.1"}))
        s.once()
        equal(s.ask("show", "1")["state"], "reopened")
        append(s.directory, event("old", "log", time="2001-01-01T00:00:00Z"))
        s.once()
        equal(s.ask("show", "2")["first_seen"][:10], "2001-01-01", "as an old log has it")


def a_crash_loop_is_named_and_a_busy_test_is_not():
    with Service(start=False) as s:
        append(s.directory, *[event("loop", f"l-{i}", pid=i) for i in range(40)],
               *[event("spread", f"s-{i}", pid=i, ago=i * 60) for i in range(40)],
               *[event("same", f"m-{i}", pid=3) for i in range(40)],
               *[event("slow", f"w-{i}", pid=i, ago=900 - i * 10.5) for i in range(40)],
               *[event("quick", f"q-{i}", pid=i, ago=900 - i * 9.5) for i in range(40)])
        s.once()
        by_place = {row["place"].split()[0]: s.ask("show", str(row["id"]))["crash_loops"] for row in s.findings()}
        equal([loop["processes"] for loop in by_place["open_loop"] + by_place["open_quick"]], [40, 40])
        equal(by_place["open_spread"] + by_place["open_same"] + by_place["open_slow"], [])


def frames_of_the_c_library_make_no_event_rich():
    """Not even twenty of them with names."""
    with Service(start=False) as s:
        rich, poor = event("a", "rich"), event("a", "poor")
        rich["finding"]["found"]["frames"].insert(1, service.frame("compare", 70))
        poor["finding"]["found"]["frames"][1:1] = [
            {"pc": hex(0x7F0000 + i), "module": "/usr/lib/x86_64-linux-gnu/libc.so.6", "build_id": "11",
             "offset": hex(i), "function": f"__libc_{i}"} for i in range(20)]
        append(s.directory, rich, poor)
        s.once()
        row = next(e for e in s.ask("show", "1")["events"] if e["richest"])
        frames = s.ask("show", "1", "--event", str(row["id"]))["record"]["finding"]["found"]["frames"]
        equal(frames[1]["function"], "compare", [f["function"] for f in frames])


def first_last_and_richest_stay_while_the_middle_is_thinned():
    with Service(start=False) as s:
        for i in range(60):
            more = {"f_released": {"thread": 1, "frames": [service.frame("free_it", 5)] * 9}} if i == 31 else {}
            append(s.directory, event("a", f"id-{i}", ago=6000 - i, **more))
            s.once()
        shown = s.ask("show", "1")
        equal(shown["count"], 60)
        check(len(shown["events"]) < 20, len(shown["events"]))
        roles = {role: [e for e in shown["events"] if e[role]] for role in ("first", "last", "richest")}
        equal({role: len(found) for role, found in roles.items()}, {"first": 1, "last": 1, "richest": 1})
        ids = dict(database(s).execute("SELECT id, record FROM event"))
        equal(ids[roles["first"][0]["id"]], "id-0")
        equal(ids[roles["last"][0]["id"]], "id-59")
        equal(ids[roles["richest"][0]["id"]], "id-31")
        equal(database(s).execute("SELECT count(*) FROM body").fetchone()[0], len(ids))


def trends_begin_with_their_first_day():
    with Service(start=False) as s:
        append(s.directory, event("a", "now"))
        s.once()
        days = len(s.findings()[0]["trend"]), len(s.ask("show", "1")["trend"])
        today = time.time() // 86400
        append(s.directory, *(event("a", f"{n}", ago=(n - 1) * 86400) for n in days),
               *(event("a", f"{n}-before", ago=n * 86400) for n in days))
        s.once()
        trends = s.findings()[0]["trend"], s.ask("show", "1")["trend"]
        if time.time() // 86400 == today:
            equal([(trend[0], trend[-1]) for trend in trends], [(1, 1), (1, 1)])


def limits_of_age_and_size_drop_only_the_middle():
    for option, value, pad in (("--keep-days", "1", 0), ("--max-size", "1", 150000)):
        with Service(start=False) as s:
            rich = {"f_released": {"thread": 1, "frames": [service.frame("free_it", 5)] * 9}}
            for i in range(30):
                append(s.directory, event("a", f"id-{i}", ago=864000 + 600 - i, pid=i, f_pad=pad,
                                          **(rich if i == 5 else {})))
                s.once()
            before = len(s.ask("show", "1")["events"])
            s.options += [option, value]
            s.start()
            s.wait(lambda: len(s.ask("show", "1")["events"]) < before)
            shown = s.ask("show", "1")
            equal(shown["count"], 30)
            equal([[e["pid"] for e in shown["events"] if e[role]] for role in ("first", "last", "richest")],
                  [[0], [29], [5]])
            equal(shown["record"]["pid"], 5)


def runs_of_bazel_have_one_program_and_their_labels():
    sandbox = "/home/u/.cache/bazel/sandbox/linux-sandbox/%d/execroot/w/bazel-out/k8-fastbuild/bin/a/b_test"
    with Service(start=False) as s:
        for i, tail in enumerate(("", ".runfiles/w/a/b_test", "")):
            append(s.directory, event("a", f"{i}", program=sandbox % i + tail,
                                      labels={"bazel_target": "//a:b_test", "attempt": str(i % 2 + 1)}))
        s.once()
        shown = s.ask("show", "1")
        equal([(p["name"], p["count"]) for p in shown["programs"]], [("a/b_test", 3)])
        equal({label["name"]: label["count"] for label in shown["labels"]},
              {"bazel_target=//a:b_test": 3, "attempt=1": 2, "attempt=2": 1})


def summaries_are_process_hours_and_drops_are_shown():
    with Service(start=False) as s:
        append(s.directory, *[record("summary", f"s-{i}", seconds=1800.0, allocations=10, dropped=i, exit=exit)
                              for i, exit in enumerate(("status 0", "signal 11", "unknown"))])
        s.once()
        status = s.ask("status")
        equal((status["processes"], status["hours"]), (3, 1.5))
        equal(losses(s), {"findings that processes dropped": 3})


def what_a_process_dropped_is_counted_by_the_record_that_tells_of_it():
    """Each tells of those that none before it has told of."""
    with Service(start=False) as s:
        append(s.directory, event("a", "b-1-1-1", dropped=2), event("a", "b-1-1-2"), event("b", "b-1-1-3", dropped=40),
               record("summary", "b-1-1-4", dropped=500, exit="status 0"), event("b", "b-1-1-3", dropped=40))
        s.once()
        equal(losses(s), {"findings that processes dropped": 542})


def a_record_of_many_events_counts_them_everywhere():
    with Service(start=False) as s:
        for i, (host, mode, environment, program, count, days) in enumerate((
                ("host-1", "guard", "ci", "/srv/app", 5, 3), ("host-2", "page", "live", "/srv/tool", 2, 0))):
            append(s.directory, event("a", f"{i}", f_value=0xFC, count=count, ago=86400 * days, host=host, mode=mode,
                                      environment=environment, program=program,
                                      labels={"team": host, "other": {"no": "text"}, "number": 3},
                                      build={"version": "", "commit": "ab"[i] * 40, "build_id": ""}))
            s.once()
        shown = s.ask("show", "1")
        counts = {"hosts": {"host-1": 5, "host-2": 2}, "one_bit_hosts": {"host-1": 5, "host-2": 2},
                  "modes": {"guard": 5, "page": 2}, "environments": {"ci": 5, "live": 2},
                  "programs": {"/srv/app": 5, "/srv/tool": 2}, "builds": {"b" * 40: 2, "a" * 40: 5},
                  "labels": {"team=host-1": 5, "team=host-2": 2, "number=3": 7}}
        for names, wanted in counts.items():
            equal({x["name"]: x["count"] for x in shown[names]}, wanted, names)
            if names != "builds":
                equal([x["count"] for x in shown[names]], sorted(wanted.values(), reverse=True), names)
        equal([x["name"][0] for x in shown["builds"]], ["b", "a"], "the newest first")
        equal(shown["written"], [{"offset": 0, "expected": 0xFD, "value": 0xFC, "count": 7}])
        equal((shown["count"], shown["damaged"], shown["one_bit"]), (7, 7, 7))
        trend = s.ask("findings")["trend"]
        equal([shown["trend"][-4:], trend[-4:], s.findings()[0]["trend"][-4:]], [[5, 0, 0, 2]] * 3)
        equal((s.ask("status")["events"], s.ask("status")["events_kept"]), (7, 2))
        equal({b["name"][0]: b["events"] for b in s.ask("builds")["builds"]}, {"a": 5, "b": 2})
        kinds = database(s).execute("SELECT DISTINCT kind FROM counter WHERE finding = 0 ORDER BY kind").fetchall()
        equal([kind for kind, in kinds], [1, 2], "no other sum over all findings is read")
        names = ("count", "host", "environment", "mode", "program", "pid")
        equal([[e[name] for name in names] for e in shown["events"]],
              [[2, "host-2", "live", "page", "/srv/tool", 7], [5, "host-1", "ci", "guard", "/srv/app", 7]])
        s.start()
        equal(s.http("POST", "/api/v1/records", body=service.line_of(event("a", "3", count=40))).json()["taken"], 1,
              "of records")


def events_that_come_together_are_thinned_by_their_count():
    with Service(start=False) as s:
        poor = {"f_found": {"thread": 1, "frames": []}, "f_allocated": {"thread": 1, "frames": []}, "f_window": None}
        for group in (range(9), range(9, 10), range(10, 12)):
            append(s.directory, *(event("a", f"{i}", ago=100 - i, pid=i, **poor) for i in group))
            s.once()
        equal([(e["pid"], e["richest"]) for e in s.ask("show", "1")["events"]], [(11, False), (8, False), (0, True)])


def a_finding_begins_with_its_oldest_event_and_ends_with_its_newest():
    def build(name):
        return {"version": name, "commit": "", "build_id": ""}

    with Service(start=False) as s:
        now = service.timestamp(5)
        for at, name in ((service.timestamp(900), "one"), (service.timestamp(2000), "two"), (now, "three"),
                         (now, "four"), (service.timestamp(1000), "five")):
            append(s.directory, event("a", name, time=at, build=build(name)))
        s.once()
        row = s.findings()[0]
        equal((row["first_build"], row["last_build"], row["last_seen"]), ("two", "four", now[:23] + "Z"))
        check(row["first_seen"] < service.timestamp(1900), row["first_seen"])
        shown = s.ask("show", "1")
        equal({shown[name][0]["first_seen"] for name in ("programs", "hosts", "environments", "modes")},
              {row["first_seen"]})
        append(s.directory, event("a", "later", ago=3000, build=build("five")))
        s.once()
        row = s.findings()[0]
        equal((row["last_build"], row["last_seen"]), ("four", now[:23] + "Z"))
        check(row["first_seen"] < service.timestamp(2900), row["first_seen"])
        shown = s.ask("show", "1")
        equal([e["build"] for e in shown["events"] if e["last"]], ["four"])
        equal({b["name"]: (b["count"], b["first_seen"] < b["last_seen"]) for b in shown["builds"]}["five"], (2, True))
        append(s.directory, event("a", "last", build=build("six")), record("repeat", "r", of="last", count=2, ago=2500,
                                                                           build=build("six")))
        s.once()
        shown = s.ask("show", "1")
        equal((shown["modes"][0]["first_seen"], shown["modes"][0]["last_seen"], shown["modes"][0]["count"]),
              (row["first_seen"], shown["last_seen"], 9))
        check(shown["last_seen"] > now and shown["first_seen"] == row["first_seen"], shown)


def a_crash_loop_is_of_one_program_and_is_told_once():
    with Service(start=False) as s:
        append(s.directory, *[event("a", f"{i}", pid=i, program=f"/srv/{'one' if i % 3 else 'two'}", ago=60 - i)
                              for i in range(45)])
        s.once()
        shown = s.ask("show", "1")
        equal([(loop["program"], loop["processes"]) for loop in shown["crash_loops"]], [("/srv/one", 30)])
        check(shown["crash_loops"][0]["began"] < shown["crash_loops"][0]["last"], shown["crash_loops"])
        equal([(a["kind"], a["text"]) for a in shown["activity"] if a["kind"] != "new"], [("crash loop", "/srv/one")])
        append(s.directory, *[event("a", f"n{i}", pid=100 + i, program="/srv/one") for i in range(19)])
        s.once()
        equal(len(s.ask("show", "1")["crash_loops"]), 1, "nineteen are none")
        append(s.directory, event("a", "late", pid=200, program="/srv/one", ago=-3600))
        s.once()
        equal(s.ask("status")["crash_loops"], 1, "of another collector's start")


def a_crash_loop_has_pauses_of_ten_seconds_and_none_that_are_longer():
    for pause, loops in ((10.0, [20]), (10.001, [])):
        with Service(start=False) as s:
            begin = float(int(time.time()) - 1000)
            append(s.directory, *[event("a", f"{i}", pid=i, time=service.timestamp_at(begin + i * pause))
                                  for i in range(20)])
            s.once()
            equal([loop["processes"] for loop in s.ask("show", "1")["crash_loops"]], loops, pause)


def a_crash_loop_outlives_others_that_went_on_before_it():
    """There is room for 64: the one that was quiet for longest goes."""
    with Service(start=False) as s:
        append(s.directory, *[event(f"other{i}", f"o{i}", ago=50) for i in range(64)],
               *[event("a", f"{i}", pid=i, ago=30 - i) for i in range(10)],
               *[event(f"more{i}", f"m{i}", ago=40) for i in range(40)],
               *[event("a", f"{i}", pid=i, ago=30 - i) for i in range(10, 20)])
        s.once()
        equal([x["kind"] for x in s.ask("show", "65")["activity"]], ["crash loop", "new"])


def names_of_all_kinds_may_be_one():
    """A program may be called as its host is, and its environment, its mode and a label."""
    with Service(start=False) as s:
        texts = [f"n{i}" for i in range(700)]
        append(s.directory, *[event(f"p{text}", text, program=text, host=text, environment=text, mode=text)
                              for text in texts])
        s.once()
        with contextlib.closing(database(s)) as db:
            kinds = [db.execute("SELECT n.kind, count(*), sum(n.text = e.record) FROM event e JOIN name n ON n.id ="
                                f" e.{column} GROUP BY n.kind").fetchall()
                     for column in ("program", "host", "environment", "mode")]
        equal([(len(rows), *rows[0][1:]) for rows in kinds], [(1, 700, 700)] * 4)
        equal(len({rows[0][0] for rows in kinds}), 4)


def figures_of_runs_are_added_up_each_for_itself():
    with Service(start=False) as s:
        for i, end in enumerate(("status 0", "signal 9", "running")):
            append(s.directory, record("summary", f"b-{i}-1-1", ago=[86400 * 5, 0, 0][i], seconds=3600.0,
                                       allocations=10,
                                       findings=20, dropped=i, peak=5, exit=end, continued=i == 2, sites_dropped=i))
        s.once()
        row = s.ask("coverage")["coverage"][0]
        equal([row[name] for name in ("processes", "hours", "allocations", "findings", "dropped", "killed")],
              [2, 3.0, 30, 60, 3, 1])
        check(row["last_day"] > service.timestamp(2 * 86400), row["last_day"])
        equal([p["peak"] for p in s.ask("processes")["programs"]], [5])
        equal(losses(s), {"findings that processes dropped": 3, "call sites that were not listed": 3})


service.main([
    clocks_that_step_put_nothing_into_the_future, times_are_utc_wherever_the_collector_is,
    a_clock_that_was_never_set_is_none,
    a_crash_loop_is_named_and_a_busy_test_is_not, frames_of_the_c_library_make_no_event_rich,
    first_last_and_richest_stay_while_the_middle_is_thinned, limits_of_age_and_size_drop_only_the_middle,
    trends_begin_with_their_first_day,
    runs_of_bazel_have_one_program_and_their_labels, summaries_are_process_hours_and_drops_are_shown,
    what_a_process_dropped_is_counted_by_the_record_that_tells_of_it,
    events_that_come_together_are_thinned_by_their_count, a_record_of_many_events_counts_them_everywhere,
    a_finding_begins_with_its_oldest_event_and_ends_with_its_newest,
    a_crash_loop_is_of_one_program_and_is_told_once,
    a_crash_loop_has_pauses_of_ten_seconds_and_none_that_are_longer, names_of_all_kinds_may_be_one,
    a_crash_loop_outlives_others_that_went_on_before_it, figures_of_runs_are_added_up_each_for_itself,
])
