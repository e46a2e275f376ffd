// `ringfence report` on snapshots.
#include "tests/tools/pprof_text.h"
#include "tests/tools/report_fixture.h"

namespace ringfence_test {
namespace {

using ReportSnapshots = ReportCommand;

// Call sites of a snapshot, as JSON.
std::string row(unsigned blocks, unsigned bytes, const std::string &file, unsigned line, const std::string &function) {
  return R"({"blocks":)" + std::to_string(blocks) + R"(,"bytes":)" + std::to_string(bytes) +
         R"(,"allocated":{"thread":0,"site":{"file":")" + file + R"(","line":)" + std::to_string(line) +
         R"(,"function":")" + function + R"("},"frames":[]}})";
}

std::string snapshot(const std::string &fields, const std::string &rows) {
  return R"({"type":"snapshot","version":1,"pid":1,"allocator":"tlsf",)" + fields + R"(,"sites":[)" + rows + "]}\n";
}

const std::string kSnapshots = snapshot(R"("time_ns":5,"name":"start","blocks":4,"bytes":400,"omitted_blocks":0)",
                                        row(3, 300, "a.c", 10, "parse") + "," + row(1, 100, "b.c", 20, "load")) +
                               snapshot(R"("time_ns":6,"name":"later","blocks":9,"bytes":1300,"omitted_blocks":2)",
                                        row(3, 300, "a.c", 10, "parse") + "," + row(6, 1000, "c.c", 30, "keep"));

// Wherever the window begins and ends: sixteen cells and the text in every row, a cell with a class for each byte.
TEST_F(ReportSnapshots, ThePageShowsBytesInWholeRows) {
  for (unsigned const start : {0U, 1U, 15U}) {
    for (unsigned const size : {1U, 10U, 16U, 17U, 33U}) {
      rf_finding f = ringfence::sample_finding();
      f.window_address = f.window_address / 16 * 16 + start;
      f.window_size = size;
      const std::string page = report({"--format=html", file("f.json", json(f))}).out;
      size_t const begin = page.find("<th scope=\"col\">address</th>");
      ASSERT_NE(begin, std::string::npos) << page;
      const std::string table = page.substr(begin, page.find("</table>", begin) - begin);
      size_t const rows = (start + size + 15) / 16;
      EXPECT_EQ(count(table, "<th scope=\"row\">"), rows) << start << ", " << size;
      EXPECT_EQ(count(table, "<td"), rows * 17) << table;
      EXPECT_EQ(count(table, "<td></td>"), rows * 16 - size) << table;
    }
  }
}

// Two boards, whose processes have no number, or two containers, each with a process 1.
TEST_F(ReportSnapshots, TellNoDifferenceOfProcessesOfTwoFiles) {
  const std::string first = file("first", snapshot(R"("name":"now","blocks":1,"bytes":10)", row(1, 10, "a.c", 1, "f")));
  const std::string other = file("other", snapshot(R"("name":"now","blocks":2,"bytes":30)", row(2, 30, "a.c", 1, "f")));
  const std::string out = report({first, other}).out;
  EXPECT_EQ(count(out, "Snapshot \"now\""), 2U) << out;
  EXPECT_FALSE(has(out, "From ")) << out;
  EXPECT_TRUE(has(report({first, first}).out, "From \"now\" to \"now\""));
  ASSERT_EQ(report({"--output", file("p.pb.gz"), first, other}).status, 0);
  const std::string profile = pprof_text(read_file(file("p.pb.gz")));
  EXPECT_TRUE(has(profile, "2:[1,10]}")) << profile;
  EXPECT_TRUE(has(profile, "2:[2,30]}")) << profile;
}

TEST_F(ReportSnapshots, SnapshotsAreTablesWithTheirDifference) {
  const Result result = report({file("s.json", kSnapshots)});
  EXPECT_EQ(result.status, 0) << "they are no findings";
  EXPECT_EQ(result.out, "Snapshot \"start\" of tlsf: 4 blocks, 400 bytes live\n"
                        "       bytes   blocks call site\n"
                        "         300        3 parse a.c:10\n"
                        "         100        1 load b.c:20\n"
                        "Snapshot \"later\" of tlsf: 9 blocks, 1300 bytes live\n"
                        "       bytes   blocks call site\n"
                        "        1000        6 keep c.c:30\n"
                        "         300        3 parse a.c:10\n"
                        "  and 2 blocks of call sites that did not fit\n"
                        "From \"start\" to \"later\" of tlsf: +5 blocks, +900 bytes\n"
                        "       bytes   blocks call site\n"
                        "       +1000       +6 keep c.c:30\n"
                        "        -100       -1 load b.c:20\n"
                        "  and 2 blocks of call sites that did not fit\n");
}

TEST_F(ReportSnapshots, PlacesInSnapshotsAreSeenFromTheSourceRoot) {
  std::string lines;
  for (const char *const name : {R"("name":"one")", R"("name":"two")"}) {
    lines += snapshot(std::string(R"("time_ns":5,"blocks":1,"bytes":9,"omitted_blocks":0,)") + name,
                      R"({"blocks":1,"bytes":9,"allocated":{"thread":0,"frames":[{"pc":"0x1","module":"p",)"
                      R"("function":"keep","file":"/work/src/a.c","line":3}]}})");
  }
  const std::string out = report({"--source-root", "/work", file("s.json", lines)}).out;
  EXPECT_EQ(count(out, " keep src/a.c:3\n"), 2U) << out;
}

// On a terminal the largest are enough; the other forms have all.
TEST_F(ReportSnapshots, LongTablesOfSnapshotsAreShort) {
  for (unsigned const rows : {50U, 51U, 52U, 1000U}) {
    std::string sites;
    std::string fewer;
    for (unsigned i = 0; i < rows; i++) {
      sites += (i == 0 ? "" : ",") + row(1, 10000 - i, "a.c", 1 + i, "f");
      fewer += (i == 0 ? "" : ",") + row(1, i % 2 == 0 ? 20000 + i : 9, "a.c", 1 + i, "f");
    }
    const std::string text = snapshot(R"("time_ns":5,"name":"one","blocks":1,"bytes":1,"omitted_blocks":0)", sites) +
                             snapshot(R"("time_ns":6,"name":"two","blocks":1,"bytes":1,"omitted_blocks":0)", fewer);
    const std::string out = report({file("s.json", text)}).out;
    const std::string one = out.substr(0, out.find("Snapshot \"two\""));
    const std::string difference = out.substr(out.find("From \"one\""));
    EXPECT_EQ(count(one, " f a.c:"), rows <= 51 ? rows : 50U) << one;
    EXPECT_EQ(has(one, "call sites more"), rows > 51) << one;
    EXPECT_EQ(count(difference, " f a.c:"), rows <= 51 ? rows : 50U) << difference;
    EXPECT_EQ(count(report({"--format=json", file("s.json", text)}).out, "\"file\":\"a.c\""), 3 * rows);
    if (rows == 1000) {
      EXPECT_TRUE(has(one, "    9001725          950 call sites more\n")) << one;
      EXPECT_TRUE(has(difference, "     +158600          950 call sites more\n")) << difference;
    }
  }
}

// In a difference, a call site of one snapshot is that of another only where all of it is equal.
TEST_F(ReportSnapshots, SnapshotsTellCallSitesApart) {
  auto const frame = [](const std::string &module, const std::string &offset) {
    return R"({"blocks":1,"bytes":8,"allocated":{"thread":0,"site":null,"frames":[{"pc":4096,"module":")" + module +
           R"(","offset":")" + offset + R"("}]}})";
  };
  const std::string head = R"("blocks":1,"bytes":8,"omitted_blocks":0)";
  const std::pair<std::string, std::string> pairs[] = {
      {row(1, 8, "a.c", 10, "f"), row(1, 8, "a.c", 11, "f")}, {row(1, 8, "a.c", 10, "f"), row(1, 8, "b.c", 10, "f")},
      {row(1, 8, "a.c", 10, "f"), row(1, 8, "a.c", 10, "g")}, {frame("/bin/p", "0x10"), frame("/bin/p", "0x20")},
      {frame("/bin/p", "0x10"), frame("/bin/q", "0x10")},     {row(1, 8, "a.c", 10, "f"), frame("/bin/q", "0x10")},
  };
  for (const auto &pair : pairs) {
    for (bool const same : {true, false}) {
      const std::string text = snapshot(R"("time_ns":5,"name":"one",)" + head, pair.first) +
                               snapshot(R"("time_ns":6,"name":"two",)" + head, same ? pair.first : pair.second);
      const std::string out = report({file("s.json", text)}).out;
      EXPECT_EQ(has(out, "        -8       -1 "), !same) << out;
      EXPECT_EQ(has(out, "        +8       +1 "), !same) << out;
    }
  }
}

TEST_F(ReportSnapshots, ImportTakesSnapshotsButNotTheirDifferences) {
  EXPECT_EQ(run({ringfence(), "import", "--collector", file("collector"),
                 file("lines", report({"-f", "json", file("s.json", kSnapshots)}).out)})
                .err,
            "ringfence: 2 snapshots taken to the collector\n");
}

TEST_F(ReportSnapshots, SnapshotsSurviveConversion) {
  const std::string once = file("once.json");
  report({"--quiet", "--output", once, file("s.json", kSnapshots)});
  EXPECT_EQ(report({once}).out, report({file("s.json")}).out);
}

// The calls of the C library that lead to main are no callers.
TEST_F(ReportSnapshots, ThePageShowsTheCallersOfASite) {
  std::string frames;
  for (const char *const name : {"malloc", "take", "first", "second", "third", "fourth", "main"}) {
    frames += std::string(frames.empty() ? "" : ",") + R"({"pc":4096,"function":")" + name + R"("})";
  }
  const std::string site = R"({"blocks":3,"bytes":300,"allocated":{"thread":0,"frames":[)" + frames + "]}}";
  const std::string fields = R"("time_ns":5,"name":"start","blocks":3,"bytes":300,"omitted_blocks":0)";
  const std::string page = report({"--format=html", file("s.json", snapshot(fields, site))}).out;
  EXPECT_TRUE(has(page, "take<br/><span class=\"chain\">from first, second, third</span>")) << page;
}

// Nor are functions of the system's headers.
TEST_F(ReportSnapshots, ThePageShowsNoCallersInHeadersOfTheSystem) {
  std::string frames;
  for (const char *const place :
       {"take\",\"file\":\"/src/a.c", "inner\",\"file\":\"/usr/include/list.h", "first\",\"file\":\"/src/b.c"}) {
    frames += std::string(frames.empty() ? "" : ",") + R"({"pc":4096,"line":7,"function":")" + place + R"("})";
  }
  const std::string site = R"({"blocks":3,"bytes":300,"allocated":{"thread":0,"frames":[)" + frames + "]}}";
  const std::string fields = R"("time_ns":5,"name":"start","blocks":3,"bytes":300,"omitted_blocks":0)";
  const std::string page = report({"--format=html", file("s.json", snapshot(fields, site))}).out;
  EXPECT_TRUE(has(page, "take /src/a.c:7<br/><span class=\"chain\">from first /src/b.c:7</span>")) << page;
}

TEST_F(ReportSnapshots, AProfileHasNumbersOf64Bits) {
  const std::string site = R"({"blocks":5000000000,"bytes":70000000000,"allocated":{"thread":0,"frames":[]}})";
  const std::string fields = R"("time_ns":5,"name":"start","blocks":5000000000,"bytes":70000000000)";
  const std::string file_of = file("s.json", snapshot(fields, site));
  EXPECT_EQ(report({"--output", file("p.pb.gz"), file_of}).status, 0);
  const std::string text = pprof_text(read_file(file("p.pb.gz")));
  EXPECT_TRUE(has(text, "2:{1:[1] 2:[5000000000,70000000000]}\n")) << text;
}

TEST_F(ReportSnapshots, AProfileHasTheLastSnapshotAndNoDifference) {
  ASSERT_EQ(report({"--output", file("p.pb.gz"), file("s.json", kSnapshots)}).status, 0);
  const std::string profile = pprof_text(read_file(file("p.pb.gz")));
  EXPECT_EQ(count(profile, "2:{1:["), 2U) << profile;
  EXPECT_TRUE(has(profile, "2:[6,1000]}")) << profile;
  EXPECT_TRUE(has(profile, "2:[3,300]}")) << profile;
}

TEST_F(ReportSnapshots, ThePageShowsSnapshots) {
  const std::string page = report({"--format=html", file("s.json", kSnapshots)}).out;
  EXPECT_TRUE(has(page, "Snapshot \"later\"")) << page;
  EXPECT_TRUE(has(page, "From \"start\" to \"later\": allocated since and not freed"));
  EXPECT_TRUE(has(page, "<td class=\"number grow\" data-value=\"1000\">+1000"));
}

} // namespace
} // namespace ringfence_test
