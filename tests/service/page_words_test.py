#!/usr/bin/env python3
"""Words and figures of pages and commands: numbers with their nouns, times with their zone, filters that show."""

import os
import re

import service
from service import Service, append, check, equal, event, record

COMMIT = "4f2c9a1b0d" * 4


def builds():
    yield event("a", "1", build={"version": "1.0", "commit": COMMIT})
    yield event("b", "2", build={"version": "", "commit": "release-candidate-2026"}, environment="ci")
    yield event("b", "3", build={"version": "", "commit": "release-candidate-2026"}, environment="ci")
    yield record("summary", "4", build={"version": "1.0", "commit": COMMIT}, seconds=7200.0, findings=1)


def with_builds():
    s = Service()
    append(s.directory, *builds())
    s.wait(lambda: len(s.findings()) == 2 and s.ask("status")["processes"])
    return s


def cells(text):
    """{name: [values]} of cells that are named on narrow screens."""
    found = {}
    for name, value in re.findall(r'<td class="number" data-name="([^"]+)">([\d,]+)<', text):
        found.setdefault(name, []).append(value)
    return found


def numbers_have_their_noun():
    with with_builds() as s:
        equal(sorted(cells(s.http("GET", "/").text).items()), [("event", ["1"]), ("events", ["2"])])
        named = cells(s.http("GET", "/builds").text)
        check("1" in named["finding"] and "1" not in named.get("findings", []), named)
        check("event kepts" not in s.http("GET", "/status").text)
        s.command("fix", "1", "--in", "1.0")
        check("1 event in" in s.command("show", "1"), s.command("show", "1"))


def a_trend_says_how_many_events_its_days_had():
    with Service(start=False) as s:
        append(s.directory, *[event("a", f"{day}-{i}", ago=day * 86400) for day, i in ((0, 1), (2, 1), (2, 2), (2, 3))],
               event("b", "old", ago=60 * 86400))
        s.once()
        s.start()
        labels = re.findall(r'aria-label="([^"]*\bin 30 days[^"]*)"', s.http("GET", "/").text)
        equal(sorted(set(labels)), ["4 events in 30 days, at most 3 in one day", "none in 30 days"])
        number = next(f["id"] for f in s.findings() if f["count"] == 4)
        check("Events per day <span class=\"dim\">4 events in " in s.http("GET", f"/finding/{number}").text)
        append(s.directory, event("c", "many", count=1234567))
        s.wait(lambda: "1,234,571 events in 30 days, at most 1,234,568 in one day" in s.http("GET", "/").text)


def a_page_of_a_finding_says_what_is_known():
    with Service() as s:
        for number in range(3):
            append(s.directory, event("bit", f"{number}", f_value=0xFC, labels={"team": "core"}, ago=9 - number),
                   event("some", f"s{number}", f_value=0xFC if number else 0x41, mode=("guard", "page")[number % 2]))
        s.wait(lambda: sorted(f["count"] for f in s.findings()) == [3, 3])
        ids = {f["place"].split()[0]: f["id"] for f in s.findings()}
        pages = {name: s.http("GET", f"/finding/{id}").text for name, id in ids.items()}
        check("memory that fails is likely" in pages["open_bit"] and "point to the program" not in pages["open_bit"])
        check("point to the program" in pages["open_some"] and "In <b>2</b> of 3 events" in pages["open_some"])
        card = re.search(r"<h2>Labels</h2>(.*?)</section>", pages["open_bit"], re.S)
        check(card and "team=core" in card[1] and ">3</td>" in card[1], pages["open_bit"])
        card = re.search(r"<h2>Modes</h2>(.*?)</section>", pages["open_some"], re.S)[1]
        equal(re.findall(r'<rect width="(\d+)".*?class="number">(\d+)<', card), [("100", "2"), ("50", "1")])
        check("Always at +0, with different values: one element too many." in pages["open_some"])
        check("Always at +0, always fc." in pages["open_bit"], pages["open_bit"])
        equal(re.findall(r'<td class="q(\d)">(\d)</td>', pages["open_some"]), [("4", "2"), ("2", "1")])
        s.command("merge", str(ids["open_bit"]), str(ids["open_some"]))
        page = s.http("GET", f"/finding/{ids['open_bit']}").text
        check("merged into this one" in page, page)
        check("Part of finding <a" in s.http("GET", f"/finding/{ids['open_some']}").text)
        s.command("ignore", str(ids["open_bit"]), "--because", "a <reason>")
        check("Ignored because: a &lt;reason&gt;" in s.http("GET", f"/finding/{ids['open_bit']}").text)


def messages_on_a_page_are_sentences():
    with Service() as s:
        for path, title, said in (("/nothing", "Not found", "There is nothing at this path."),
                                  ("/finding/7", "Not found", "There is no finding 7.")):
            reply = s.http("GET", path, Accept="text/html")
            equal(reply.status, 404)
            check(f"<h1>{title}</h1>\n<p>{said}</p>" in reply.text, reply.text)
        own = {"Authorization": "Bearer " + s.token()}
        for more, origin, status, title in (({}, None, 401, "Not allowed"), (own, "http://evil", 403, "Not allowed"),
                                            (own, None, 409, "Not done")):
            more = {**more, **({"Origin": origin} if origin else {})}
            reply = s.http("POST", "/finding/7/fix", body="", Accept="text/html", **more)
            equal((reply.status, re.findall("<h1>(.*)</h1>", reply.text)), (status, [title]))


def values_that_have_no_column_are_counted():
    for values, left in ((12, None), (13, "1 byte"), (15, "3 bytes")):
        with Service(start=False) as s:
            append(s.directory, *[event("a", str(i), f_value=i, f_expected=0xFD) for i in range(values)])
            s.once()
            s.start()
            text = s.http("GET", "/finding/1").text
            equal(re.findall(r">([^<>]*) of rarer offsets and values are left out", text), [left] if left else [])
    for more, left in ((0, []), (1, ["1 byte"])):
        with Service(start=False) as s:
            append(s.directory, *[event("a", f"{at}{size}", f_window={"address": hex(0x105d + at), "bytes": "00" * size,
                                                                      "expected": "fd" * size, "classes": "!" * size})
                                  for at, size in ((0, 16), (16, more))])
            s.once()
            s.start()
            text = s.http("GET", "/finding/1").text
            equal(re.findall(r">([^<>]*) of rarer offsets and values are left out", text), left, more)


def times_have_the_unit_that_suits_them():
    units = {172860: "2 days ago", 172700: "47 h ago", 7260: "2 h ago", 7100: "118 min ago", 150: "2 min ago"}
    with Service(start=False) as s:
        append(s.directory, *(event(f"p{ago}", str(ago), ago=ago) for ago in (*units, 90, 0)))
        s.once()
        s.start()
        ages = re.findall(r'data-name="last"><time [^>]*>([^<]*)</time>', s.http("GET", "/").text)
        equal([ages[0], ages[2:]], ["just now", list(reversed(units.values()))])
        check(re.fullmatch(r"(9\d|1[01]\d) s ago", ages[1]), ages)


def a_finding_has_its_number_in_the_list():
    with with_builds() as s:
        text = s.http("GET", "/").text
        check(re.search(r'href="/finding/1">[^<]+</a> <span class="dim">#1</span>', text), text)


def long_ids_of_builds_are_cut_and_names_are_not():
    with with_builds() as s:
        for path in ("/builds", "/finding/1", "/coverage", "/finding/2"):
            shown = re.sub(r"<[^>]*>", "", s.http("GET", path).text)
            check(COMMIT not in shown, path, shown)
            check((COMMIT[:12] if path != "/finding/2" else "release-candidate-2026") in shown, path, shown)


def a_build_leads_to_its_findings():
    with with_builds() as s:
        link = re.search(r'<a href="(/\?state=all&amp;build=release[^"]*)"', s.http("GET", "/builds").text)[1]
        text = s.http("GET", link.replace("&amp;", "&")).text
        equal(re.findall(r'href="/finding/(\d+)"', text), ["2"])
        check(re.search(r'<label>Build <input name="build" value="release-candidate-2026"', text), "the filter shows")


def tabs_count_what_the_filter_lets_through():
    with with_builds() as s:
        for query, count in (("", "2"), ("&environment=ci", "1"), ("&search=open_a", "1"), ("&build=nosuch", "0")):
            text = s.http("GET", "/?state=all" + query).text
            equal(re.search(r">All <b>(\d+)</b>", text)[1], count, query)
            equal(len(re.findall(r'href="/finding/\d+"', text)), int(count), query)
        equal(s.ask("findings", "--env", "ci")["counts"], {"open": 1, "new": 1})


def places_are_named_from_the_folder_of_sources():
    with Service("--source-root", "/home/me/project") as s:
        check("--source-root /home/me/project: No such file" in s.log(), s.log())
        inside = event("a", "1")
        for stack in ("found", "allocated"):
            for frame in inside["finding"][stack]["frames"]:
                frame["file"] = "/home/me/project/" + frame["file"]
        append(s.directory, inside, event("b", "2"))
        s.wait(lambda: len(s.findings()) == 2)
        for path in ("/", "/finding/1"):
            check(">open_a src/app.c:10<" in s.http("GET", path).text, path)
        check(">open_b src/app.c:10<" in s.http("GET", "/finding/2").text)


def lines_of_code_are_shown_of_files_in_the_folder_of_sources_alone():
    """A record may name any file."""
    with Service(start=False) as s:
        source = os.path.join(s.root, "source")
        os.mkdir(source)
        for name, text in ((source + "/app.c", "char inside[8];\n"), (s.root + "/secret.c", "char outside[8];\n")):
            with open(name, "w", encoding="ascii") as file:
                file.write(text)
            os.utime(name, (1e9, 1e9))
        os.symlink(s.root + "/secret.c", source + "/link.c")

        def of(place, file):
            frame = dict(service.frame("open_" + place, 1, file), module=service.SERVE)  # made after the source
            stack = {"thread": 1, "frames": [frame]}
            return event(place, place, f_found=stack, f_allocated=stack)

        s.options += ["--source-root", source]
        s.start()
        append(s.directory, of("a", source + "/app.c"), of("b", s.root + "/secret.c"),
               of("c", source + "/../secret.c"), of("d", source + "/link.c"))
        s.wait(lambda: len(s.findings()) == 4)
        pages = [s.http("GET", f"/finding/{id}").text for id in range(1, 5)]
        equal(["char inside[8];" in re.sub("<[^>]*>", "", page) for page in pages], [True, False, False, False])
        equal(["outside" in page for page in pages], [False] * 4)


def lines_of_code_tell_nothing_of_the_collector_or_of_hidden_files():
    """Its folder may lie in that of the sources; where it starts may be the home folder, as under systemd."""
    for home in (False, True):
        with Service(start=False) as s:
            s.before = lambda s=s: os.chdir(s.root)
            s.environment = {"HOME": s.root if home else "/"}
            os.makedirs(s.root + "/.keys")
            for name in ("/.keys/id", "/notes.txt"):
                with open(s.root + name, "w", encoding="ascii") as file:
                    file.write("secret text\n")
            s.start()
            files = (s.directory + "/token", ".keys/id", s.root + "/notes.txt")
            lines = [event(place, place) for place in "abc"]
            for line, file in zip(lines, files):
                stack = {"thread": 1, "frames": [{"pc": "0x1", "function": "f" + file, "file": file, "line": 1}]}
                line["finding"].update(found=stack, allocated=stack)
            service.post(s, *lines)
            pages = [re.sub("<[^>]*>", "", s.http("GET", f"/finding/{id}").text) for id in (1, 2, 3)]
            equal([s.token() in pages[0], "secret text" in pages[1], "secret text" in pages[2]],
                  [False, False, not home])


def an_empty_list_says_why():
    with with_builds() as s:
        check("No finding is ignored." in s.http("GET", "/?state=ignored").text)
        check('No finding matches. <a href="/">' in s.http("GET", "/?build=nosuch").text)
        s.command("ignore", "1", "--because", "x")
        s.command("ignore", "2", "--because", "x")
        page = s.http("GET", "/").text
        check("<b>Nothing is open.</b>" in page and "Events per day" in page)


def pages_of_an_empty_store_say_how_to_fill_it():
    with Service() as s:
        command = f"RINGFENCE_COLLECTOR={os.path.realpath(s.directory)} ringfence check "
        for path, words in (("/", "No finding has come in yet."), ("/?state=all", "No finding has come in yet."),
                            ("/coverage", "No process has reported a run yet."), ("/builds", "No build is known yet."),
                            ("/processes", "No process has sent a snapshot of its memory yet.")):
            page = s.http("GET", path).text
            check(words in page and command in page and "<thead>" not in page and "Events per day" not in page, path)
    quoted = Service(start=False)
    quoted.directory = os.path.join(quoted.root, "a b'c")
    os.mkdir(quoted.directory, 0o700)
    with quoted.start() as s:
        folder = os.path.realpath(s.directory).replace("'", "&#39;\\&#39;&#39;")
        check(f"RINGFENCE_COLLECTOR=&#39;{folder}&#39; ringfence" in s.http("GET", "/").text, s.http("GET", "/").text)


def roles_of_events_stand_apart():
    with with_builds() as s:
        check(">first, last, richest<" in s.http("GET", "/finding/1").text)


def times_of_commands_have_a_zone():
    with with_builds() as s:
        check("last seen (UTC)" in s.command("findings"))
        shown = s.command("show", "1")
        for name in ("first seen", "last seen"):
            check(re.search(name + r" +\d{4}-\d\d-\d\d \d\d:\d\d UTC\n", shown), shown)


service.main([
    a_page_of_a_finding_says_what_is_known,
    numbers_have_their_noun, a_trend_says_how_many_events_its_days_had, messages_on_a_page_are_sentences,
    values_that_have_no_column_are_counted,
    a_finding_has_its_number_in_the_list,
    long_ids_of_builds_are_cut_and_names_are_not,
    places_are_named_from_the_folder_of_sources, lines_of_code_are_shown_of_files_in_the_folder_of_sources_alone,
    lines_of_code_tell_nothing_of_the_collector_or_of_hidden_files, a_build_leads_to_its_findings,
    tabs_count_what_the_filter_lets_through, an_empty_list_says_why,
    pages_of_an_empty_store_say_how_to_fill_it, roles_of_events_stand_apart,
    times_of_commands_have_a_zone, times_have_the_unit_that_suits_them])
