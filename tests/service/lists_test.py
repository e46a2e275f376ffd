#!/usr/bin/env python3
"""Lists that are long: their parts, their totals, and what says that there is more."""

import os
import re

import service
from service import Service, build, check, equal, event, take

BUILDS, PROGRAMS = 230, 320


def ended(number, program):
    return service.record("summary", f"s-{number}-{number}-1", program=program, seconds=60, findings=0, dropped=0,
                          allocations=1, killed=False)


def part_of(s, offset, *words):
    return s.ask(*words, *(("--offset", str(offset)) if offset else ()))


def bulk(s, lines):
    os.makedirs(s.directory + "/spool", 0o700, exist_ok=True)
    with open(s.directory + "/spool/current", "wb") as file:
        file.write(b"".join(map(service.line_of, lines)))
    s.once()


def builds_are_listed_in_parts():
    with Service(start=False) as s:
        names = [f"{i:03}" + "0" * 37 for i in range(BUILDS)]
        bulk(s, (event("a", f"{i}", ago=9000.0 - i, build={"version": "", "commit": names[i], "build_id": ""})
                 for i in range(BUILDS)))
        all_rows = []
        for offset in (0, 100, 200):
            part = part_of(s, offset, "builds", "--limit", "100")
            equal((part["total"], part["limit"], part["offset"]), (BUILDS, 100, offset))
            all_rows += [b["name"] for b in part["builds"]]
        equal(all_rows, names[::-1])
        equal(len(s.ask("builds")["builds"]), 200)
        check(s.command("builds").endswith("200 of 230 builds; --limit and --offset show others\n"))
        check(" of 230" not in s.command("builds", "--limit", "1000"))
        check("belong" in s.command("builds", "--add", "x", "--limit", "3", status=2))
        s.start()
        equal(s.http("GET", "/api/v1/builds?limit=3&offset=229").json()["builds"][0]["name"], names[0])
        page = s.http("GET", "/builds").text
        check("200 builds of 230" in page, page[-900:])
        following = re.search(r'rel="next" href="([^"]*)"', page)[1].replace("&amp;", "&")
        page = s.http("GET", following).text
        check("30 builds of 230" in page and names[0] in page and names[30] not in page)
        check('rel="next"' not in page and 'rel="prev" href="/builds?limit=200"' in page, page[-900:])


def parts_of_the_page_of_findings_are_as_long_as_was_asked_for():
    with Service(start=False) as s:
        bulk(s, (event(f"p{i}", f"{i}") for i in range(7)))
        s.start()
        page, numbers = s.http("GET", "/?limit=3").text, []
        while page:
            numbers += re.findall(r'class="kind" href="/finding/(\d+)"', page)
            check(page.count('href="/?state=all&amp;limit=3"') == 1 and 'name="limit" value="3"' in page, page)
            following = re.search(r'rel="next" href="([^"]*)"', page)
            page = following and s.http("GET", following[1].replace("&amp;", "&")).text
            check(page is None or len(re.findall('class="kind"', page)) <= 3, page)
        equal(sorted(map(int, numbers)), list(range(1, 8)))


def a_part_behind_the_end_of_a_list_does_not_say_that_there_is_nothing():
    """As where all findings of the last page have been fixed."""
    with Service(start=False) as s:
        sites = [{"path": "/srv/app", "build_id": "ab", "sites": 3, "watched": [], "unwatched": [16, 32, 48]}]
        bulk(s, [event("a", "1"), {**ended(1, "/srv/app"), "sites": sites, "sites_dropped": 0}])
        s.start()
        for path, link in (("/?offset=100", "/?state=open"), ("/?state=all&search=a&offset=1", "/?state=all&search=a"),
                           ("/builds?offset=1", "/builds?limit=200"), ("/coverage?offset=1", "/coverage"),
                           ("/coverage/1?offset=3&limit=2", "?watched=no&limit=2")):
            page = s.http("GET", path).text
            found = re.search(r'The list ends before this part. <a href="([^"]*)">', page)
            equal(found and found[1].replace("&amp;", "&"), link, path)
            for word in ("Nothing is open", "No finding matches", "is known yet", "There are none", "a run yet"):
                check(word not in page, path, word)
            check('<a rel="' not in page, path)
        page = s.http("GET", "/coverage/1?offset=1&limit=1").text
        equal(re.findall(r'<a rel="\w+" href="([^"]*)"', page),
              ["?watched=no&amp;limit=1&amp;offset=0", "?watched=no&amp;limit=1&amp;offset=2"])
        check("known yet" not in s.command("builds", "--offset", "9"))
        check("yet" not in s.command("coverage", "--offset", "9"))


def programs_of_the_coverage_are_listed_in_parts():
    with Service(start=False) as s:
        bulk(s, (ended(i, f"/srv/p{i:03}") for i in range(PROGRAMS)))
        names = set()
        for offset in (0, 150, 300):
            part = part_of(s, offset, "coverage", "--limit", "150")
            equal((part["program_count"], part["module_count"], part["offset"]), (PROGRAMS, 0, offset))
            names |= {c["program"] for c in part["coverage"]}
        equal(len(names), PROGRAMS)
        check("200 of 320 rows of programs; --limit and --offset show others\n" in s.command("coverage"))
        check(" of 320" not in s.command("coverage", "--limit", "1000"))
        s.start()
        page = s.http("GET", "/coverage").text
        check("200 of 320 rows" in page and "missing here" not in page, page[-900:])
        following = re.search(r'rel="next" href="([^"]*)"', page)[1].replace("&amp;", "&")
        page = s.http("GET", following).text
        equal(len(set(re.findall(r"/srv/p\d+", page))), 120)
        check("missing here" not in page and 'rel="next"' not in page)
        page = s.http("GET", "/coverage?limit=1000").text
        check("A program that is missing here has reported no checked run" in page and " of 320 rows" not in page)


def modules_and_call_sites_say_how_many_they_are():
    def module(path, sites):
        return {"path": path, "build_id": "", "unwatched": list(range(sites))}

    with Service(start=False) as s:
        line = ended(1, "/srv/app")
        line["sites"] = [module("/srv/m0", 210)]
        bulk(s, [line] + [dict(ended(2 + i, "/srv/app"), sites=[module(f"/srv/m{i}-{k}", 1) for k in range(70)])
                          for i in range(3)] +
             [dict(ended(9, "/srv/app"), sites=[module(f"/srv/a&b +{k}", 1) for k in range(70)])])
        count = s.ask("coverage")["module_count"]
        check(f"200 of {count} modules; --limit and --offset show others\n" in s.command("coverage"))
        seen = {m["path"] for offset in (0, 200) for m in part_of(s, offset, "coverage")["modules"]}
        equal(len(seen), count)
        id = [m for m in s.ask("coverage", "--limit", "1000")["modules"] if m["path"] == "/srv/m0"][0]["id"]
        part = s.ask("coverage", str(id), "--offset", "200")
        equal((part["total"], len(part["list"])), (210, 10))
        check("200 of 210 call sites; --limit and --offset show others\n" in s.command("coverage", str(id)))
        s.start()
        page = s.http("GET", "/coverage?module=m1-&limit=50").text
        following = re.search(r'rel="next" href="([^"]*)"', page)[1].replace("&amp;", "&")
        equal(len(set(re.findall(r"/srv/m1-\d+", page + s.http("GET", following).text))), 70, following)
        page = s.http("GET", "/coverage?module=a%26b+%2B&limit=50").text
        following = re.search(r'rel="next" href="([^"]*)"', page)[1].replace("&amp;", "&")
        equal(len(set(re.findall(r"a&amp;b \+\d+", page + s.http("GET", following).text))), 70, following)
        s.stop()
        equal([s.ask("coverage", str(id), "--watched", which)["total"] for which in ("yes", "all")], [0, 210])


def a_finding_says_how_many_of_each_it_has():
    with Service(start=False) as s:
        bulk(s, (event("a", f"{i}", ago=900.0 - i, host=f"h{i}", program=f"/srv/p{i}", labels={"n": str(i)},
                       environment=f"e{i % 3}", build={"version": f"{i}", "commit": "", "build_id": ""})
                 for i in range(30)))
        shown = s.ask("show", "1")
        lists = ("builds", "programs", "hosts", "labels", "environments", "modes")
        equal([(len(shown[name]), shown["totals"][name]) for name in lists], [(20, 30)] * 4 + [(3, 3), (1, 1)])
        equal([len(s.ask("show", "1", "--limit", "100")[name]) for name in lists], [30] * 4 + [3, 1])
        said = s.command("show", "1")
        equal(said.count("and 10 more; --limit shows them"), 3, said)
        check("more;" not in s.command("show", "1", "--limit", "30"))
        s.start()
        equal(len(s.http("GET", "/api/v1/findings/1?limit=25").json()["hosts"]), 25)
        page = s.http("GET", "/finding/1").text
        check("<b>30</b> hosts" in page and "<b>30</b> builds" in page, page)
        equal(page.count('<p class="dim">10 more: <a href="/finding/1?limit=1000">all</a>.</p>'), 4)
        check(" more: <a" not in s.http("GET", "/finding/1?limit=1000").text)


def the_parts_of_a_finding_are_counted():
    with Service(start=False) as s:
        take(s, *(event(f"p{i}", f"{i}", build=build("a")) for i in range(60)))
        for i in range(2, 61):
            s.command("merge", "1", str(i))
        shown = s.ask("show", "1")
        equal([(len(shown[name]), shown["totals"][name]) for name in ("merged", "events")], [(50, 59), (40, 60)])
        s.start()
        page = s.http("GET", "/finding/1").text
        check("9 more findings are merged into this one." in page and "20 more events are kept." in page)


def a_finding_of_many_pieces_is_made_one_again():
    """A rule makes a piece of each build to come."""
    with Service(start=False) as s:
        take(s, event("a", "first", ago=900, build={"version": "first", "commit": "", "build_id": ""}))
        s.command("split", "1", "--by", "build")
        bulk(s, (event("a", f"{i}", ago=800.0 - i, build={"version": f"v{i}", "commit": "", "build_id": ""})
                 for i in range(300)))
        equal(s.ask("findings", "--limit", "1")["total"], 301)
        s.command("split", "1", "--undo")
        equal([(row["id"], row["count"], row["merged"]) for row in s.findings()], [(1, 301, 300)])


def a_list_of_one_environment_of_many_stays_that():
    """The form that searches sends the environment that it shows."""
    names = sorted(f"e{i}" for i in range(120))
    with Service(start=False) as s:
        bulk(s, (event("a", name, environment=name) for name in names))
        s.start()
        page = s.http("GET", f"/?environment={names[-1]}").text
        equal(re.findall(r'<option value="(e\d+)"( selected)?>', page),
              [(name, " selected" if name == names[-1] else "") for name in names])
        page = s.http("GET", "/?environment=nobody%26").text
        check('<option value="nobody&amp;" selected>nobody&amp;</option>' in page, page)
        check("No finding matches" in page, page)


def a_page_refuses_a_list_that_there_is_not():
    with Service() as s:
        for path, said in (("/?state=closed", "State=closed: use one of: open new reopened fixed ignored all."),
                           ("/?order=size", "Order=size: use one of: last first count."),
                           ("/?limit=many", "Limit=many: use a number from 0 on."),
                           ("/builds?offset=-1", "Offset=-1: use a number from 0 on."),
                           ("/coverage/1?watched=often", "Watched=often: use one of: no yes all.")):
            answer = s.http("GET", path, Accept="text/html")
            equal((answer.status, said in answer.text), (400, True), answer.text)
        equal([s.http("GET", path).status for path in ("/?state=", "/?state=all&order=count&other=1")], [200, 200])


def a_finding_is_new_for_seven_days():
    week = 7 * 86400.0
    with Service(start=False) as s:
        take(s, event("a", "1", ago=week - 120), event("b", "2", ago=week + 120))
        for state, ids in (("open", [1, 2]), ("new", [1])):
            found = s.ask("findings", "--state", state)
            equal((found["total"], found["counts"]), (len(ids), {"open": 2, "new": 1}), state)
            equal([(row["id"], row["new"]) for row in found["findings"]], [(id, id == 1) for id in ids], state)
        equal([s.ask("show", id)["new"] for id in ("1", "2")], [True, False])


def the_days_of_a_list_are_those_of_its_findings():
    with Service(start=False) as s:
        take(s, *(event(place, f"{place}{i}", count=count, ago=86400.0 * i, environment=env, build=build(place))
                  for place, count, env in (("a", 1, "ci"), ("b", 10, "ci"), ("c", 100, "qa"), ("d", 1000, "qa"))
                  for i in range(3)))
        s.command("merge", "2", "3")
        s.command("ignore", "4", "--because", "a test plants it")
        s.start()
        for words, wanted in ((("--search", "nothingatall"), 0), ((), 333), (("--state", "ignored"), 3000),
                              (("--state", "all"), 3333), (("--state", "new"), 333), (("--search", "open_c"), 330),
                              (("--search", "app.c open_a"), 3), (("--search", "open_a nothingatall"), 0),
                              (("--env", "ci"), 333), (("--env", "qa", "--state", "all"), 3330),
                              (("--build", "a" * 40), 3), (("--new-in", "d" * 40, "--state", "all"), 3000)):
            found = s.ask("findings", *words)
            equal(sum(found["trend"]), wanted, words)
            equal(found["trend"], [sum(days) for days in zip(*(row["trend"] for row in found["findings"]))] or [0] * 30)
        equal(sum(s.ask("findings", "--limit", "1")["trend"]), 333, "of all parts of the list")
        check("<figcaption>Events per day <span class=\"dim\">none in 30 days" in
              s.http("GET", "/?search=nothingatall").text)


def words_are_found_in_whatever_letters_they_are_written():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    with Service(start=False) as s:
        take(s, *(event(letter + letter.lower(), letter) for letter in letters))
        for letter in letters:
            for words in (2 * letter, 2 * letter.lower(), letter + letter.lower()):
                equal([row["place"].split()[0] for row in s.findings("--search", "open_" + words)],
                      ["open_" + letter + letter.lower()], words)


service.main([builds_are_listed_in_parts, parts_of_the_page_of_findings_are_as_long_as_was_asked_for,
              a_part_behind_the_end_of_a_list_does_not_say_that_there_is_nothing,
              programs_of_the_coverage_are_listed_in_parts,
              modules_and_call_sites_say_how_many_they_are, a_finding_says_how_many_of_each_it_has,
              the_parts_of_a_finding_are_counted,
              a_finding_of_many_pieces_is_made_one_again, a_finding_is_new_for_seven_days,
              the_days_of_a_list_are_those_of_its_findings, a_list_of_one_environment_of_many_stays_that,
              words_are_found_in_whatever_letters_they_are_written, a_page_refuses_a_list_that_there_is_not])
