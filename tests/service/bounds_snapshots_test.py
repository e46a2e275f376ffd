#!/usr/bin/env python3
"""Values at the edge of what they may be in snapshots and in lists of call sites."""

import service
from service import Service, append, check, database, equal, record

FRAMES_MOST = 32


def snapshot(sites, **more):
    outer = {name: more.pop(name) for name in ("id", "seconds", "ago") if name in more}
    return record("snapshot", **dict({"seconds": 1}, **outer), snapshot=dict(
        {"name": "s", "allocator": "malloc", "blocks": 1, "bytes": sum(site[0] for site in sites), "sites": sites},
        **more))


def frame(function, line=1):
    return [{"path": "/srv/app", "build_id": "ab"}, hex(0x1000 + line), function, "src/app.c", line]


def stacks_and_lines_of_snapshots_are_bounded():
    with Service(start=False) as s:
        stack = [frame(f"f{i}", i + 1) for i in range(80)]
        append(s.directory, snapshot([[10, 1, stack], [5, 1, [frame("odd", 2**32 + 1)]]], id="b-7-9-1"))
        s.once()
        shown = s.ask("processes", "1")["snapshot"]
        deep, odd = shown["sites"]
        equal(len(deep["stack"]), FRAMES_MOST)
        equal(shown["calls"][odd["stack"][0]].get("line", 0), 0)


def a_site_is_known_by_the_innermost_function_with_a_line_or_else_of_all():
    def bare(function):
        return frame(function)[:3]

    with Service(start=False) as s:
        append(s.directory, snapshot([[30, 1, [bare("a"), bare("b"), bare("c")]],
                                      [20, 1, [bare("d"), frame("e"), frame("f")]], [10, 1, [bare("main")]]],
                                     id="b-7-9-1"))
        s.once()
        shown = s.ask("processes", "1")["snapshot"]
        equal([shown["calls"][site["stack"][site["top"]]]["function"] for site in shown["sites"]], ["a", "e", "main"])


def empty_parts_of_a_map_count_as_well():
    with Service(start=False) as s:
        parts = [["0x1000", []]] * 4096 + [["0x2000", [7]]]
        append(s.directory, snapshot([[10, 1, [frame("f")]]], id="b-7-9-1", map={"cell": 64, "parts": parts}),
               snapshot([[10, 1, [frame("f")]]], id="b-8-9-1", map={"cell": 64, "parts": parts[-4096:]}))
        s.once()
        equal(s.ask("processes", "1")["snapshot"]["map"]["parts"], [])
        equal(s.ask("processes", "2")["snapshot"]["map"]["parts"], [{"address": "0x2000", "live": [7]}])


def the_oldest_snapshots_go_first_where_the_database_is_too_large():
    """Fifty at a time; their figures stay."""
    with Service("--max-size", "1", start=False) as s:
        append(s.directory, *(dict(snapshot([[10, 1, [frame("f")]]], id=f"b-{i}-9-1", ago=i), pad="x" * 30000)
                              for i in range(60)))
        s.once()
        s.start()

        def whole():
            return [row[0] for row in database(s).execute("SELECT p.name FROM snapshot s JOIN process p ON p.id ="
                                                          " s.process WHERE s.whole = 1 ORDER BY p.id")]

        s.wait(lambda: len(whole()) < 60)
        equal(whole(), [f"b-{i}-9" for i in range(10)])
        equal(database(s).execute("SELECT count(*) FROM snapshot_body").fetchone(), (10,))
        equal(s.ask("processes")["total"], 60)


def a_snapshot_belongs_to_its_process():
    with Service(start=False) as s:
        append(s.directory, snapshot([[10, 1, [frame("f")]]], id="b-7-9-1"),
               snapshot([[20, 1, [frame("g")]]], id="b-8-9-1"))
        s.once()
        equal(s.ask("processes", "2", "--snapshot", "2")["snapshot"]["bytes"], 20)
        s.command("processes", "1", "--snapshot", "2", status=1)
        s.command("processes", "1", "--snapshot", "3", status=1)


def the_flame_graph_has_what_grew_and_no_box_beyond_its_last():
    with Service() as s:
        stack = [frame("leaf", 1), frame("main", 2)]
        append(s.directory, snapshot([[100, 2, stack]], id="b-7-9-1"), snapshot([[60, 1, stack]], id="b-7-9-2"))
        s.wait(lambda: len(s.http("GET", "/api/v1/processes/1").json().get("snapshots", [])) == 2)
        page = lambda query: s.http("GET", "/process/1?snapshot=1" + query).text
        equal(["class=\"reset\"" in page(f"&zoom={zoom}") for zoom in range(5)], [False, True, True, False, False])
        check("Nothing has grown" in s.http("GET", "/process/1?snapshot=2&against=1").text)
        check("Nothing has grown" not in s.http("GET", "/process/1?snapshot=1&against=2").text)


def durations_have_the_unit_that_suits_them():
    with Service() as s:
        lengths = {9.96: "10.0 s", 60: "60 s", 119: "119 s", 600: "10 min", 7140: "119 min", 7200: "2.0 h",
                   90000: "25.0 h"}
        for number, seconds in enumerate(lengths):
            append(s.directory, snapshot([[10, 1, [frame("f")]]], id=f"b-{number}-9-1", seconds=seconds))
        s.wait(lambda: s.http("GET", "/api/v1/processes").json()["total"] == len(lengths))
        for number, text in enumerate(lengths.values()):
            check(f"<b>{text}</b>" in s.http("GET", f"/process/{number + 1}").text, text)


def a_process_has_the_figures_of_its_newest_snapshot():
    with Service(start=False) as s:
        for number, (ago, blocks) in enumerate(((100, 3), (10, 5), (50, 9))):
            append(s.directory, snapshot([[blocks * 10, blocks, [frame("f")]]], id=f"b-7-9-{number}", ago=ago,
                                         blocks=blocks, resident=blocks * 4096))
        s.once()
        row = s.ask("processes")["processes"][0]
        equal((row["bytes"], row["blocks"], row["resident"]), (50, 5, 20480))


def what_has_more_blocks_of_no_more_bytes_has_grown():
    with Service(start=False) as s:
        same, split = [frame("same", 1)], [frame("split", 2)]
        append(s.directory, snapshot([[9000, 2, split], [50, 1, same]], id="b-7-9-1", ago=10),
               snapshot([[9000, 1716, split], [50, 1, same]], id="b-7-9-2", ago=5))
        s.once()
        sites = s.ask("processes", "1", "--snapshot", "2", "--against", "1")["snapshot"]["sites"]
        equal([(x["more_bytes"], x["more_blocks"]) for x in sites], [(0, 1714)])
        s.start()
        page = s.http("GET", "/process/1?snapshot=2&against=1").text
        equal((">+1,714<" in page, "+0" in page), (True, False), "nothing has no sign")


def call_sites_are_counted_and_listed_by_whether_they_were_watched():
    with Service(start=False) as s:
        module = {"path": "/srv/app", "build_id": "ab", "sites": 5, "watched": [[16, 3]], "unwatched": [32, 48, 64]}
        append(s.directory, record("summary", "b-1-1-1", exit="0", seconds=3600, findings=0, sites=[module]))
        s.once()
        check(" 25 %  /srv/app" in s.command("coverage"), s.command("coverage"))
        for watched, offsets in (("yes", ["0x10"]), ("no", ["0x20", "0x30", "0x40"]),
                                 ("all", ["0x20", "0x30", "0x40", "0x10"])):
            equal([x["offset"] for x in s.ask("coverage", "1", "--watched", watched)["list"]], offsets, watched)
        equal([x["count"] for x in s.ask("status")["losses"]], [1], "a site that was not listed")


service.main([
    a_site_is_known_by_the_innermost_function_with_a_line_or_else_of_all,
    stacks_and_lines_of_snapshots_are_bounded, empty_parts_of_a_map_count_as_well,
    the_oldest_snapshots_go_first_where_the_database_is_too_large,
    a_snapshot_belongs_to_its_process, a_process_has_the_figures_of_its_newest_snapshot,
    what_has_more_blocks_of_no_more_bytes_has_grown, the_flame_graph_has_what_grew_and_no_box_beyond_its_last,
    durations_have_the_unit_that_suits_them, call_sites_are_counted_and_listed_by_whether_they_were_watched,
])
