// `ringfence report --baseline`: what is known does not count, however lines, folders and versions change.
#include "tests/tools/report_fixture.h"

namespace ringfence_test {
namespace {

using ReportBaseline = ReportCommand;

TEST_F(ReportBaseline, ABaselineLetsOnlyNewFindingsCount) {
  const std::string known = file("known.txt");
  const Result written = report({"--write-baseline", known, file("old", json(leak()) + json(double_free()))});
  EXPECT_EQ(written.status, 0);
  const Result same = report({"--baseline", known, file("again", json(double_free()) + json(leak()))});
  EXPECT_EQ(same.status, 0);
  EXPECT_EQ(same.err, "ringfence: 2 findings; 0 new, 2 in the baseline\n");
  EXPECT_TRUE(has(same.out, "double-free                  close_log demo.c:21 (known)\n")) << same.out;
  const Result more = report({"--baseline", known, all()});
  EXPECT_EQ(more.status, 99);
  EXPECT_EQ(more.err, "ringfence: 3 findings; 1 new, 2 in the baseline\n");
  const Result fewer = report({"--baseline", known, file("one", json(leak()))});
  EXPECT_EQ(fewer.status, 0);
  EXPECT_EQ(fewer.err, "ringfence: 1 finding; 0 new, 1 in the baseline; 1 of the baseline not found\n");
}

TEST_F(ReportBaseline, KnownFindingsAreListedButNotShownInFull) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  const std::string old = file("old");
  const Result brief = report({"--baseline", known, old});
  EXPECT_FALSE(has(brief.out, "ERROR: Ringfence: memory-leak")) << brief.out;
  EXPECT_TRUE(has(brief.out, "4096 bytes in 2 blocks (known)\n")) << brief.out;
  const std::string whole = report({"--verbose", "--baseline", known, old}).out;
  EXPECT_TRUE(has(whole, "  known: in the baseline\n")) << whole;
  EXPECT_FALSE(has(whole, "Findings:\n")) << "nothing scrolls away before it: " << whole;
  EXPECT_EQ(count(report({"-f", "json", "--baseline", known, all()}).out, "\"known\":true"), 1U);
  EXPECT_EQ(report({"--quiet", "--baseline", known, old}).out, "");
  const std::string quiet = report({"--quiet", "--baseline", known, all()}).out;
  EXPECT_TRUE(has(quiet, "ERROR: Ringfence: double-free")) << quiet;
  EXPECT_FALSE(has(quiet, "memory-leak")) << quiet;
}

TEST_F(ReportBaseline, ABaselineHoldsThoughLinesMove) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  const rf_site moved = {"src/parse & <lex>.c", "parse<\"quoted\">", 99};
  rf_finding f = leak();
  f.allocated.site = &moved;
  EXPECT_EQ(report({"--baseline", known, file("new", json(f))}).status, 0);
  const rf_site renamed = {"src/parse & <lex>.c", "parse2", 77};
  f.allocated.site = &renamed;
  EXPECT_EQ(report({"--baseline", known, file("new", json(f))}).status, 99);
}

TEST_F(ReportBaseline, AFingerprintDoesNotDependOnTheFolderOfTheModule) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", framed(R"("module":"/build/1/prog","offset":"0x1000")"))});
  const std::string moved = file("new", framed(R"("module":"/build/2/prog","offset":"0x1000")"));
  EXPECT_EQ(report({"--baseline", known, moved}).status, 0);
  const std::string other = file("other", framed(R"("module":"/build/2/library","offset":"0x1000")"));
  EXPECT_EQ(report({"--baseline", known, other}).status, 99);
}

TEST_F(ReportBaseline, ABaselineCountsFindingsOfOneFingerprint) {
  const rf_site other = {"src/parse & <lex>.c", "parse<\"quoted\">", 99};
  rf_finding second = leak();
  second.allocated.site = &other;
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  EXPECT_EQ(report({"--baseline", known, file("two", json(leak()) + json(second))}).status, 99);
  report({"--write-baseline", known, file("two", json(leak()) + json(second))});
  EXPECT_EQ(report({"--baseline", known, file("two", json(leak()) + json(second))}).status, 0);
  EXPECT_TRUE(has(read_file(known), " 2:4 memory-leak parse<\"quoted\"> src/parse & <lex>.c\n")) << read_file(known);
}

TEST_F(ReportBaseline, FindingsThatAreOnlyCountedAreNew) {
  const std::string run = R"({"type":"run","version":1,"processes":1,"findings":1,"times":)";
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(double_free()))});
  EXPECT_EQ(report({"--baseline", known, file("all", json(double_free()) + run + "1,\"status\":99}\n")}).status, 0);
  EXPECT_EQ(report({"--baseline", known, file("some", json(double_free()) + run + "2,\"status\":99}\n")}).status, 99);
}

TEST_F(ReportBaseline, OfALeakOfManyBlocksIsReadBack) {
  for (const char *const blocks : {"1000000000", "999999999999999999", "18446744073709551615"}) {
    const std::string found =
        file("found", std::string(R"({"type":"finding","bug":"memory-leak","size":1,"blocks":)") + blocks +
                          R"(,"allocated":{"frames":[{"pc":"0x1","function":"f"}]}})" + "\n");
    EXPECT_EQ(report({"--write-baseline", file("known"), found}).status, 0);
    const Result again = report({"--baseline", file("known"), found});
    EXPECT_EQ(again.status, 0) << blocks << again.err;
    EXPECT_EQ(again.err, "ringfence: 1 finding; 0 new, 1 in the baseline\n");
  }
}

// A wrapper of malloc is the place of many leaks: one that is known must not hide others.
TEST_F(ReportBaseline, ABaselineCountsTheBlocksOfALeak) {
  const std::string known = file("known.txt");
  report({"--write-baseline", known, file("old", json(leak()))});
  EXPECT_TRUE(has(read_file(known), " 1:2 memory-leak ")) << read_file(known);
  rf_finding grown = leak();
  grown.blocks = 3;
  const Result more = report({"--baseline", known, file("grown", json(grown))});
  EXPECT_EQ(more.status, 99);
  EXPECT_TRUE(has(more.out, "  grown: the baseline has 2 blocks of it\n")) << more.out;
  EXPECT_TRUE(has(report({"-f", "json", "--baseline", known, file("grown")}).out, R"("known_blocks":2)"));
  EXPECT_TRUE(has(report({"-f", "sarif", "--baseline", known, file("grown")}).out, R"("baselineState":"updated")"));
  rf_finding shrunk = leak();
  shrunk.blocks = 1;
  EXPECT_EQ(report({"--baseline", known, file("shrunk", json(shrunk))}).status, 0);
}

TEST_F(ReportBaseline, ALeakWithoutACountIsOneBlockInABaseline) {
  rf_finding one = leak();
  one.blocks = 0;
  report({"--write-baseline", file("known.txt"), file("leak", json(one))});
  EXPECT_TRUE(has(read_file(file("known.txt")), " 1:1 memory-leak ")) << read_file(file("known.txt"));
}

TEST_F(ReportBaseline, ABaselineThatCannotBeReadOrWrittenIsSaid) {
  const std::string start = "# Ringfence baseline, version 5: known\n0123456789abcdef ";
  for (const std::string wrong : {"1234567890123456789", "0", "1:0", "1:1234567890123456789", "1x", "-1", ""}) {
    EXPECT_EQ(report({"--baseline", file("bad.txt", start + wrong + "\n"), all()}).status, 2) << wrong;
  }
  EXPECT_EQ(report({"--baseline", file("good.txt", start + "123456789:123456789 x\n"), all()}).status, 99);
  EXPECT_EQ(report({"--baseline", file("later.txt", "# Ringfence baseline, version 6: known\n"), all()}).status, 2);
  const Result full = report({"--write-baseline", "/dev/full", all()});
  EXPECT_EQ(full.status, 2);
  EXPECT_TRUE(has(full.err, "cannot write all to /dev/full")) << full.err;
}

// Their fingerprints were others, and those of version 1 had no blocks.
TEST_F(ReportBaseline, BaselinesOfOlderVersionsHold) {
  const std::string leak = framed(R"("module":"/build/prog","offset":"0x1000")");
  const std::string other = framed(R"("module":"/build/prog","offset":"0x2000")");
  const std::string start = "# Ringfence baseline, version ";
  const std::string v1 = file("v1.txt", start + "1: known\n4dfce12ecf33e17a 1 memory-leak (prog+0x1000)\n");
  const std::string v2 = file("v2.txt", start + "2: known\n4dfce12ecf33e17a 1:1 memory-leak (prog+0x1000)\n");
  const std::string twice = file("twice", leak + leak);
  EXPECT_EQ(report({"--baseline", v1, file("leak", leak)}).status, 0);
  EXPECT_EQ(report({"--baseline", v2, file("leak")}).status, 0);
  EXPECT_EQ(report({"--baseline", v1, twice}).status, 0) << "of any number of blocks";
  EXPECT_EQ(report({"--baseline", v2, twice}).status, 99);
  EXPECT_EQ(report({"--baseline", v2, file("other", other)}).status, 99);
  const Result newer = report({"--baseline", file("v6.txt", start + "6: known\n"), file("leak")});
  EXPECT_EQ(newer.status, 2);
  EXPECT_TRUE(has(newer.err, "v6.txt is a baseline of version 6; this program reads up to 5")) << newer.err;
}

// Its fingerprints, and suppressions of that time, were of another version of the identity.
TEST_F(ReportBaseline, ABaselineOfVersion3Holds) {
  const std::string leak = file("leak", framed(R"("module":"/build/prog","function":"main")"));
  const std::string other = file("other", framed(R"("module":"/build/other","function":"main")"));
  const std::string v3 =
      file("v3.txt", "# Ringfence baseline, version 3: known\nb1044235d9f8a4c3 1:1 memory-leak main\n");
  const std::string hide = file("hide", "*:fingerprint=b1044235d9f8a4c3\n");
  EXPECT_EQ(report({"--baseline", v3, leak}).status, 0);
  EXPECT_EQ(report({"--suppressions", hide, leak}).status, 0);
  report({"--write-baseline", file("v5.txt"), leak});
  EXPECT_TRUE(has(read_file(file("v5.txt")), "\n4027dc04994fcd5e 1:1 memory-leak main")) << read_file(file("v5.txt"));
  EXPECT_EQ(report({"--baseline", file("v5.txt"), leak}).status, 0);
  EXPECT_EQ(report({"--baseline", file("v5.txt"), other}).status, 99);
}

// In which each call of a recursion counted.
TEST_F(ReportBaseline, ABaselineOfVersion4Holds) {
  const std::string once = file("once", framed(R"("module":"/build/prog","function":"node")"));
  const std::string twice =
      file("twice", framed(R"("module":"/p","function":"node"},{"pc":"0x402000","module":"/p","function":"node")"));
  const std::string v4 =
      file("v4.txt", "# Ringfence baseline, version 4: known\n3b6678241f9c8174 1:1 memory-leak node\n");
  const std::string hide = file("hide", "*:fingerprint=3b6678241f9c8174\n");
  EXPECT_EQ(report({"--baseline", v4, twice}).status, 0);
  EXPECT_EQ(report({"--baseline", v4, once}).status, 99);
  EXPECT_EQ(report({"--suppressions", hide, twice}).status, 0);
  report({"--write-baseline", file("v5.txt"), once});
  EXPECT_EQ(report({"--baseline", file("v5.txt"), twice}).status, 0);
}

// Its frames do not count where findings are compared; a bug may be suppressed by its fingerprint.
TEST_F(ReportBaseline, SkippedFramesMakeNoDifferenceToTheFingerprint) {
  const auto allocated = [](const std::string &names) {
    return R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[)" + names + "]}}\n";
  };
  const std::string plain = file("plain", allocated(R"({"pc":"0x1","function":"make"})"));
  const std::string wrapped =
      file("wrapped", allocated(R"({"pc":"0x2","function":"my_alloc"},{"pc":"0x1","function":"make"})"));
  const std::string rules = file("rules", "function:^my_alloc$\n");
  const std::string known = file("known.txt");
  report({"--write-baseline", known, plain});
  EXPECT_EQ(report({"--baseline", known, wrapped}).status, 99);
  EXPECT_EQ(report({"--skip-frames", rules, "--baseline", known, wrapped}).status, 0);
  const std::string text = read_file(known);
  const std::string fingerprint = text.substr(text.find("\n", text.find("\n") + 1) + 1, 16);
  const std::string hide = file("hide", "*:fingerprint=" + fingerprint + "\n");
  EXPECT_EQ(report({"--suppressions", hide, plain}).status, 0);
  EXPECT_EQ(report({"--suppressions", hide, wrapped}).status, 99);
  const Result wrong = report({"--skip-frames", file("wrong", "# x\nmy_alloc\n"), plain});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_TRUE(has(wrong.err, "wrong:2: no rule; use function:PATTERN or module:PATTERN")) << wrong.err;
}

TEST_F(ReportBaseline, LinesOfOneFingerprintAddUpInABaseline) {
  const rf_site other = {"src/parse & <lex>.c", "parse<\"quoted\">", 99};
  rf_finding second = leak();
  second.allocated.site = &other;
  report({"--write-baseline", file("one"), file("old", json(leak()))});
  const std::string line =
      read_file(file("one")).substr(read_file(file("one")).rfind('\n', read_file(file("one")).size() - 2) + 1);
  const std::string twice = file("two", read_file(file("one")) + line);
  EXPECT_EQ(report({"--baseline", twice, file("both", json(leak()) + json(second))}).status, 0);
}

TEST_F(ReportBaseline, ABaselineHasOneLineForANameWithSeveral) {
  const rf_site odd = {"a\nb.c", "f\n0123456789abcdef 1 x", 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  report({"--write-baseline", file("odd"), file("one", json(f))});
  EXPECT_EQ(count(read_file(file("odd")), "\n"), 3U) << read_file(file("odd"));
  EXPECT_EQ(report({"--baseline", file("odd"), file("one", json(f))}).status, 0);
}

TEST_F(ReportBaseline, TheSameFindingsMakeTheSameBaselineInAnyOrder) {
  report({"--write-baseline", file("a"), file("1", json(leak()) + json(double_free()))});
  report({"--write-baseline", file("b"), file("2", json(double_free()) + json(leak()))});
  EXPECT_EQ(read_file(file("a")), read_file(file("b")));
}

} // namespace
} // namespace ringfence_test
