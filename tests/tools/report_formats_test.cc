// `ringfence report`: the forms that it writes.
#include "tests/checkers/json_value.h"
#include "tests/tools/report_fixture.h"

#include <sys/time.h>
#include <unistd.h>

namespace ringfence_test {
namespace {

using ReportFormats = ReportCommand;

const rf_site kPlace = {"src/other.c", "other", 3};

TEST_F(ReportFormats, AFileThatCannotBeWrittenIsAFailureWhateverComesAfterIt) {
  EXPECT_EQ(report({"--output", "/nowhere/r.json", "--output", file("r.txt"), all()}).status, 2);
  EXPECT_TRUE(has(read_file(file("r.txt")), "SUMMARY: Ringfence: ")) << "the others are written";
}

TEST_F(ReportFormats, AFormDoesNotDependOnThoseBeforeIt) {
  const std::string found = file("found", framed(R"("function":"f","file":"/src/x/a.c","line":3)"));
  report({"--source-root=/src/x", "--output", file("alone.txt"), found});
  report({"--source-root=/src/x", "--output", file("r.json"), "--output", file("second.txt"), found});
  EXPECT_TRUE(has(read_file(file("alone.txt")), " a.c:3")) << read_file(file("alone.txt"));
  EXPECT_EQ(read_file(file("second.txt")), read_file(file("alone.txt")));
  EXPECT_TRUE(has(read_file(file("r.json")), R"("file":"/src/x/a.c")")) << "programs want whole paths";
}

TEST_F(ReportFormats, TheSourceRootMayClimbAboveAllFolders) {
  EXPECT_EQ(report({"--source-root=/../..", all()}).status, 99);
}

TEST_F(ReportFormats, ThePageCallsTheMainThreadZero) {
  rf_finding f = ringfence::sample_finding();
  f.found.thread = f.process;
  f.allocated.thread = f.process + 7;
  const std::string page = report({"--format=html", file("f", json(f))}).out;
  EXPECT_TRUE(has(page, "Found here - thread 0</h3>")) << page;
  EXPECT_TRUE(has(page, "Allocated - thread " + std::to_string(f.process + 7) + "</h3>")) << page;
}

// One of a single kind would change nothing.
TEST_F(ReportFormats, ThePageHasFiltersWhereThereAreSeveralKinds) {
  rf_finding other = leak();
  other.allocated.site = &kPlace;
  const std::string leaks = json(leak()) + json(other);
  const std::string one = report({"--format=html", file("one", leaks)}).out;
  EXPECT_TRUE(has(one, "<b>2</b> findings")) << one;
  EXPECT_FALSE(has(one, "data-kind-filter=")) << one;
  const std::string two = report({"--format=html", file("two", leaks + json(double_free()))}).out;
  EXPECT_TRUE(has(two, "data-kind-filter=\"memory-leak\">memory-leak 2<")) << two;
}

TEST_F(ReportFormats, WritesEveryFormatByTheNameOfTheFile) {
  std::vector<std::string> words;
  const std::pair<const char *, const char *> starts[] = {
      {"r.txt", "====="},  {"r.json", "{\"type\":"}, {"r.jsonl", "{\"type\":"},   {"r.sarif", "{\n\"$schema\""},
      {"r.xml", "<?xml "}, {"r.html", "<!DOCTYPE"},  {"r.sarif.json", "{\n\"$s"}, {"r.htm", "<!DOCTYPE"},
      {"r.log", "====="},  {"r.pb.gz", "\x1F\x8B"}};
  for (const auto &[name, start] : starts) {
    words.insert(words.end(), {"--output", file(name)});
  }
  words.push_back(all());
  const Result result = report(words);
  EXPECT_EQ(result.out, "");
  for (const auto &[name, start] : starts) {
    EXPECT_EQ(read_file(file(name)).rfind(start, 0), 0U) << name;
  }
}

TEST_F(ReportFormats, FormatSaysOtherwise) {
  report({"--format=sarif", "--output", file("r.json"), all()});
  EXPECT_TRUE(has(read_file(file("r.json")), "\"version\":\"2.1.0\""));
  EXPECT_EQ(report({"-f", "junit", all()}).out.rfind("<?xml ", 0), 0U);
}

TEST_F(ReportFormats, JsonKeepsWhatItRead) {
  const std::string out = report({"--verbose", "--format", "json", all()}).out;
  EXPECT_EQ(count(out, "\n"), 3U);
  const std::string sample = json(ringfence::sample_finding());
  EXPECT_EQ(out.rfind(sample.substr(0, sample.size() - 2), 0), 0U) << out;
  EXPECT_TRUE(has(out, R"(,"fingerprint":")"));
}

const char kOdd[] = "leak:nothing";

TEST_F(ReportFormats, SarifKeepsTheRulesOfTheStandard) {
  const std::string known = file("known.txt");
  const std::string rules = file("rules", std::string("double-free:*\n") + kOdd + "\n");
  report({"--write-baseline", known, file("old", json(leak()))});
  for (const std::vector<std::string> &words :
       {std::vector<std::string>{all()}, {file("none", "")}, {"--baseline", known, "--suppressions", rules, all()}}) {
    std::vector<std::string> whole = {"--quiet", "--output", file("r.sarif")};
    whole.insert(whole.end(), words.begin(), words.end());
    report(whole);
    const Result result = run({"python3", source("tests/tools/sarif_rules.py"), file("r.sarif")});
    EXPECT_EQ(result.status, 0) << result.out << result.err;
  }
  const std::string sarif = read_file(file("r.sarif"));
  EXPECT_EQ(count(sarif, "\"ruleId\":"), 3U);
  EXPECT_EQ(count(sarif, "\"baselineState\":\"unchanged\""), 1U);
  EXPECT_EQ(count(sarif, "\"justification\":\"rule double-free:*\""), 1U);
  EXPECT_TRUE(has(sarif, "\"uri\":\"src/parse%20%26%20%3Clex%3E.c\"")) << sarif;
  EXPECT_TRUE(has(sarif, "\"startLine\":77"));
  EXPECT_TRUE(has(sarif, "\"external/cwe/cwe-401\""));
  EXPECT_TRUE(has(sarif, "\"text\":\"allocated here\""));
}

TEST_F(ReportFormats, SarifTellsTheLifeOfABlock) {
  const std::string found = file(
      "found",
      R"({"type":"finding","bug":"double-free","cwe":415,"access":"free","pid":7,"address":"0x1010","block":"0x1000",)"
      R"("offset":16,"size":24,"found":{"thread":3,"site":{"file":"a.c","line":3,"function":"again"}},)"
      R"("allocated":{"thread":1,"site":{"file":"a.c","line":1,"function":"make"}},)"
      R"("released":{"thread":2,"site":{"file":"b.c","line":2,"function":"end"}}})"
      "\n"
      R"({"type":"finding","bug":"memory-leak","cwe":401,"pid":7,"size":8,"blocks":1,)"
      R"("found":{"thread":1,"site":{"file":"main.c","line":9,"function":"main"}},)"
      R"("allocated":{"thread":1,"site":{"file":"a.c","line":5,"function":"lose"}}})"
      "\n");
  const std::string sarif = report({"-q", "-f", "sarif", found}).out;
  size_t at = 0;
  for (const char *next :
       {R"("id":"415","helpUri")", R"("id":"401","helpUri")", R"("ruleId":"double-free")", R"("text":"allocated here")",
        R"("threadId":1)", R"("text":"freed here before")", R"("threadId":2)", R"("text":"freed here")",
        R"("threadId":3)", R"("codeFlows")", R"("text":"allocated here"}},"executionOrder":1})",
        R"("text":"freed here before"}},"executionOrder":2})", R"("text":"freed here"}},"executionOrder":3})",
        R"("address":"0x1010","block":"0x1000","offset":16,"size":24,"processes":1)", R"("ruleId":"memory-leak")",
        R"("threadId":1)", R"("relatedLocations":[{"id":1,)", R"("address":"0x0","size":8,"processes":1)"}) {
    at = sarif.find(next, at);
    ASSERT_NE(at, std::string::npos) << next << " is not where it belongs in " << sarif;
  }
  EXPECT_EQ(count(sarif, "\"id\":\"415\",\"helpUri\""), 1U);
  EXPECT_EQ(count(sarif, "\"threadId\""), 4U);
  EXPECT_EQ(count(sarif, "\"codeFlows\""), 1U);
  EXPECT_FALSE(has(sarif, "main.c")) << "the place where leaks were counted";
}

TEST_F(ReportFormats, SarifOfManyFindingsIsSmall) {
  std::string many;
  for (unsigned i = 0; i < 100; i++) {
    rf_finding f = double_free();
    const rf_site place = {"src/parse.c", "parse", i + 1};
    f.found.site = &place;
    f.allocated.site = &place;
    many += json(f);
  }
  report({"--quiet", "--output", file("r.sarif"), file("many", many)});
  EXPECT_EQ(run({"python3", source("tests/tools/sarif_rules.py"), file("r.sarif")}).status, 0);
  EXPECT_LT(read_file(file("r.sarif")).size(), 100 * 2600U);
}

// Each finding of a process of its own, so that what is looked up by process or by place shows.
TEST_F(ReportFormats, TheTimeForManyFindingsGrowsAsTheirNumber) {
  const std::string script =
      "import sys\n"
      "for i in range(int(sys.argv[1])):\n"
      "  print('{\"type\":\"finding\",\"bug\":\"memory-leak\",\"pid\":%d,\"size\":1,\"blocks\":1,'\n"
      "        '\"allocated\":{\"site\":{\"file\":\"a.c\",\"line\":%d,\"function\":\"f\"}}}' % (i, i))\n";
  const auto seconds = [&](const std::string &count) {
    const std::string input = file(count, run({"python3", "-c", script, count}).out);
    const Result result =
        run({"bash", "-c", "TIMEFORMAT=%U; time \"$0\" report \"$1\" > /dev/null", ringfence(), input});
    EXPECT_TRUE(has(result.err, "ringfence: " + count + " findings\n")) << result.err;
    return std::stod(result.err.substr(result.err.find('\n') + 1));
  };
  EXPECT_LT(seconds("60000"), 30 * seconds("6000") + 0.5) << "quadratic would be 100 times as long";
}

TEST_F(ReportFormats, TheRulesOfTheStandardFindWhatBreaksThem) {
  report({"--quiet", "--output", file("r.sarif"), all()});
  const std::string good = read_file(file("r.sarif"));
  const std::pair<const char *, const char *> faults[] = {
      {"\"version\":\"2.1.0\"", "\"version\":\"2.0.0\""},
      {"\"ruleIndex\":1", "\"ruleIndex\":9"},
      {"\"level\":\"error\"", "\"level\":\"fatal\""},
      {"\"startLine\":77", "\"startLine\":0"},
      {"\"startLine\":77", "\"starLine\":77"},
      {"\"occurrenceCount\":1", "\"occurrenceCount\":\"1\""},
      {"\"executionSuccessful\"", "\"executionOk\""},
      {"\"helpUri\":\"https://cwe.mitre.org/data/definitions/122.html\"", "\"helpUri\":\"no page\""},
      {"\"locations\":[", "\"locations\":[],\"codeFlows\":["},
      {"\"automationDetails\":{", "\"automationDetails\":{\"name\":\"\","},
      {" in 2 blocks.", " in 2 blocks"},
      {"\"fullName\"", "\"organization\""},
      {"primaryLocationLineHash", "\", \""},
      {"\"artifactLocation\":{\"index\":0}", "\"artifactLocation\":{\"index\":99}"},
      {"\"logicalLocations\":[{\"index\":0}]", "\"logicalLocations\":[{\"index\":99}]"},
      {"\"informationUri\":\"https://registry", "\"helpUri\":\"https://registry"},
      {"\"uriBaseId\":\"SRCROOT\"", "\"uriBaseId\":\"ROOT\""},
  };
  for (const auto &[from, to] : faults) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    bad.replace(bad.find(from), std::string(from).size(), to);
    EXPECT_EQ(run({"python3", source("tests/tools/sarif_rules.py"), file("bad.sarif", bad)}).status, 1) << to;
  }
}

TEST_F(ReportFormats, JunitIsReadByAParser) {
  report({"--quiet", "--output", file("r.xml"), "--suppressions", file("rules", "double-free:*\n"), all()});
  const Result result = run({"python3", "-c", R"(
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find('testsuite')
cases = suite.findall('testcase')
print(suite.get('tests'), suite.get('failures'), suite.get('errors'), suite.get('skipped'), len(cases))
print(len(suite.findall('testcase/failure')), len(suite.findall('testcase/skipped')))
print(cases[1].find('failure').get('type'), cases[1].find('failure').get('message'))
print('in parse<"quoted"> src/parse & <lex>.c:77' in cases[1].find('failure').text)
)",
                             file("r.xml")});
  EXPECT_EQ(result.out, "3 2 0 1 3\n2 1\nmemory-leak 4096 bytes lost in 2 blocks\nTrue\n") << result.err;
}

// The requirements of the schemas of Ant and of Jenkins.
TEST_F(ReportFormats, JunitHasWhatItsReadersAskFor) {
  report({"--quiet", "--output", file("r.xml"), "--suppressions", file("rules", "double-free:*\n"), all()});
  const Result result = run({"python3", "-c", R"(
import re, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
suite = root[0]
order = [e.tag for e in suite]
print(root.tag, root.attrib, len(root), suite.tag)
print(order[0], set(order[1:-2]), order[-2:])
print([n for n in ('name', 'id', 'package', 'hostname', 'tests', 'failures', 'errors', 'skipped') if not suite.get(n)])
print(bool(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', suite.get('timestamp'))), float(suite.get('time')))
for case in suite.findall('testcase'):
    print(sorted(case.attrib), float(case.get('time')), [(e.tag, sorted(e.attrib)) for e in case])
print(sorted(set(a for e in suite.iter('property') for a in e.attrib)))
print('double-free:*' in suite.find('system-out').text)
)",
                             file("r.xml")});
  EXPECT_EQ(result.out, "testsuites {} 1 testsuite\n"
                        "properties {'testcase'} ['system-out', 'system-err']\n[]\nTrue 0.0\n"
                        "['classname', 'name', 'time'] 0.0 [('failure', ['message', 'type'])]\n"
                        "['classname', 'name', 'time'] 0.0 [('failure', ['message', 'type'])]\n"
                        "['classname', 'name', 'time'] 0.0 [('skipped', ['message'])]\n"
                        "['name', 'value']\nTrue\n")
      << result.err;
}

TEST_F(ReportFormats, JunitCountsKnownAndSuppressedCasesAsSkipped) {
  const std::string known = file("known.txt");
  report({"--quiet", "--write-baseline", known, file("old", json(leak()))});
  const std::string xml =
      report({"--format=junit", "--baseline", known, "--suppressions", file("rules", "double-free:*\n"), all()}).out;
  EXPECT_TRUE(has(xml, "tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"2\"")) << xml;
  EXPECT_EQ(count(xml, "<skipped "), 2U);
}

TEST_F(ReportFormats, JunitHasAsManyCasesAsItSays) {
  const std::string rules = file("rules", "double-free:*\n");
  for (const std::string &text : {json(leak()), json(double_free()), json(leak()) + json(double_free())}) {
    const std::string xml = report({"--format=junit", "--suppressions", rules, file("in", text)}).out;
    EXPECT_TRUE(has(xml, "tests=\"" + std::to_string(count(xml, "<testcase ")) + "\"")) << xml;
    EXPECT_FALSE(has(xml, "no findings")) << xml;
  }
}

TEST_F(ReportFormats, JunitOfNothingIsOneCaseThatPasses) {
  const std::string xml = report({"--format=junit", file("none", "")}).out;
  EXPECT_TRUE(has(xml, "tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\"")) << xml;
  EXPECT_EQ(count(xml, "<testcase "), 1U);
}

TEST_F(ReportFormats, JunitHoldsWhatXmlCannot) {
  const std::string control = "a\x01\x7f\xff\xef\xbf\xbf]]>&";
  const rf_site odd = {"f.c", control.c_str(), 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  for (const std::string format : {"junit", "html"}) {
    const std::string xml = file("r", report({"--format", format, file("odd", json(f))}).out);
    const Result result = run({"python3", "-c", "import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])", xml});
    EXPECT_EQ(result.status, 0) << result.err;
  }
}

TEST_F(ReportFormats, ThePageIsWellFormedAndNeedsNoNetwork) {
  report({"--quiet", "--output", file("r.html"), all()});
  const Result result = run({"python3", "-c", R"(
import sys, xml.etree.ElementTree as tree
X = '{http://www.w3.org/1999/xhtml}'
root = tree.parse(sys.argv[1]).getroot()
loads = [e.tag for e in root.iter() if e.get('src') or (e.tag == X + 'link')]
findings = [e for e in root.iter(X + 'details')]
ids = [e.get('id') for e in root.iter() if e.get('id')]
inputs = [e for e in root.iter() if e.tag in (X + 'input', X + 'select') and e.get('id') != 'order']
labels = [e for e in inputs if not e.get('aria-label')]
targets = [e.get('href')[1:] for e in root.iter(X + 'a')]
print(loads, len(findings), len(ids) == len(set(ids)), labels, all(t in ids for t in targets))
bad = [e for e in root.iter(X + 'td') if e.get('class') == 'bad']
print(root.get('lang'), len(list(root.iter(X + 'h1'))), len(bad))
)",
                             file("r.html")});
  EXPECT_EQ(result.out, "[] 3 True [] True\nen 1 2\n") << result.err;
  const std::string page = read_file(file("r.html"));
  EXPECT_TRUE(has(page, "default-src 'none'"));
  EXPECT_FALSE(has(page, "http://") && count(page, "http://") != 1) << "the name of the XML namespace alone";
  EXPECT_FALSE(has(page, "https://"));
  EXPECT_TRUE(has(page, "title=\"0x105e: overwritten, expected fd\">00</td>")) << page;
}

TEST_F(ReportFormats, ThePageHasTheFactsThatAreKnown) {
  const std::string page = report({"--format=html", file("leak", json(leak()))}).out;
  for (const char *const each :
       {"<dt>Block</dt><dd class=\"mono\">0x2000, ", "<dt>Mode</dt><dd class=\"mono\">guard<",
        "<dt>Allocator</dt><dd class=\"mono\">tlsf<", "<dt>Process</dt><dd class=\"mono\">4242<",
        "<dt>Fingerprint</dt><dd class=\"mono\">"}) {
    EXPECT_TRUE(has(page, each)) << each << page;
  }
  EXPECT_EQ(count(page, "<dt>"), 5U) << page;
}

// Bytes that the reporter was told to leave out are 0 in the record.
TEST_F(ReportFormats, ThePageShowsNoBytesThatWereLeftOut) {
  rf_finding f = ringfence::sample_finding();
  ASSERT_GT(f.window_size, 1U);
  f.window[0] = 0;
  f.window_class[0] = RF_BYTE_LEFT_OUT;
  for (unsigned i = 1; i < f.window_size; i++) {
    f.window_class[i] = RF_BYTE_USER;
  }
  const std::string page = report({"--format=html", file("some", json(f))}).out;
  EXPECT_TRUE(has(page, "Bytes as found")) << page;
  EXPECT_EQ(count(page, ": left out\">--</td>"), 1U);
  EXPECT_EQ(count(page, ">--</td>"), 1U) << "those of the block are shown";
  EXPECT_TRUE(has(page, ">--</span>left out</li>"));
  EXPECT_TRUE(has(page, ">00</span>block</li>"));
  for (unsigned i = 1; i < f.window_size; i++) {
    f.window[i] = 0;
    f.window_class[i] = RF_BYTE_LEFT_OUT;
  }
  EXPECT_FALSE(has(report({"--format=html", file("none", json(f))}).out, "Bytes as found")) << "none is known";
}

TEST_F(ReportFormats, ThePageShowsWhatTurnsTheDirectionOfText) {
  const rf_site odd = {"f.c", "safe\xE2\x80\xAE\x1B[31m<script>alert(1)</script>", 1};
  rf_finding f = leak();
  f.allocated.site = &odd;
  const std::string page = report({"--format=html", file("odd", json(f))}).out;
  EXPECT_FALSE(has(page, "\xE2\x80\xAE"));
  EXPECT_TRUE(has(page, "safe\\u202E\xEF\xBF\xBD[31m&lt;script&gt;alert(1)&lt;/script&gt;")) << page;
}

TEST_F(ReportFormats, LongNamesAreCutBetweenCharacters) {
  std::string letters;
  for (int i = 0; i < 150; i++) {
    letters += "\xC3\xA9";
  }
  for (const std::string &name : {letters, "f" + letters, letters + "z"}) {
    const rf_site place = {"f.c", name.c_str(), 1};
    rf_finding f = leak();
    f.allocated.site = &place;
    const std::string page = report({"--format=html", file("long", json(f))}).out;
    EXPECT_TRUE(has(page, "\xC3\xA9 \xE2\x80\xA6 \xC3\xA9")) << page;
    EXPECT_FALSE(has(page, "\xEF\xBF\xBD")) << page;
  }
}

TEST_F(ReportFormats, OfALongNameTheStartAndTheEndAreShown) {
  for (const size_t length : {200U, 201U}) {
    const std::string name = std::string(length - 50, 'a') + std::string(50, 'z');
    const std::string shown = length == 200 ? name : std::string(120, 'a') + " \xE2\x80\xA6 " + std::string(40, 'z');
    const std::string found = file("long", framed("\"module\":\"p\",\"function\":\"" + name + "\""));
    const std::string page = report({"--format=html", found}).out;
    EXPECT_TRUE(has(page, "<span class=\"function\">" + shown + "</span>")) << page;
  }
}

TEST_F(ReportFormats, LinesOfSourceAreShownWhereTheyAreTheOnesThatRan) {
  file("a.c", "int x;\n  p = malloc(n) < \"1\";\n");
  const rf_site place = {"a.c", "fill", 2};
  rf_finding f = leak();
  f.allocated.site = &place;
  const std::string found = file("found", json(f));
  const std::string line = "<code class=\"line\">p = malloc(n) &lt; &quot;1&quot;;</code>";
  EXPECT_TRUE(has(report({"--format=html", "--source-root", folder_, found}).out, line));
  const std::string sarif = report({"--format=sarif", "--source-root", folder_, found}).out;
  EXPECT_TRUE(has(sarif, R"("text":"  p = malloc(n) < \"1\";")")) << sarif;
  EXPECT_FALSE(has(report({"--no-symbols", "--format=html", "--source-root", folder_, found}).out, line));
  run({"touch", "-d", "1 hour", file("a.c")});
  EXPECT_FALSE(has(report({"--format=html", "--source-root", folder_, found}).out, line)) << "it changed since";
}

TEST_F(ReportFormats, ASourceOfTheSecondInWhichItsModuleWasMadeIsTheOneThatRan) {
  file("a.c", "int x;\n  p = malloc(n);\n");
  const std::string module = file("module", "no ELF");
  const std::string found =
      file("found", R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[{"pc":4096,)"
                    R"("module":")" +
                        module + R"(","offset":16,"function":"fill","file":"a.c","line":2}]}})" + "\n");
  for (const time_t changed : {999999999, 1000000000, 1000000001}) {
    const timeval made[2] = {{1000000000, 0}, {1000000000, 0}};
    const timeval source[2] = {{changed, 0}, {changed, 0}};
    ASSERT_EQ(utimes(module.c_str(), made) | utimes(file("a.c").c_str(), source), 0);
    const std::string page = report({"--format=html", "--source-root", folder_, found}).out;
    EXPECT_EQ(has(page, "p = malloc(n);"), changed <= 1000000000) << changed;
  }
}

TEST_F(ReportFormats, TheSourceRootMayBeRelativeAndEndWithSlashes) {
  const std::string found = file("found", framed(R"("function":"fill","file":"/work/project/src/a.c","line":2)"));
  for (const std::string root : {"/work/project", "/work/project//", "/work/./other/../project/"}) {
    EXPECT_TRUE(has(report({"--source-root", root, found}).out, " src/a.c:2 in fill\n")) << root;
  }
  How how;
  how.directory = "/tmp";
  EXPECT_TRUE(has(report({"--source-root", "../work/project/", found}, how).out, " src/a.c:2 in fill\n"));
  EXPECT_TRUE(has(report({"-f", "sarif", "--source-root", "/work/project/", found}).out,
                  R"("artifactLocation":{"uri":"src/a.c","uriBaseId":"SRCROOT"})"));
}

// In /tmp: the folder of the tests may lie in a hidden one.
TEST_F(ReportFormats, TheSourceRootMayBeTheRoot) {
  const std::string source = "/tmp/ringfence-root-" + std::to_string(getpid()) + ".c";
  write_file(source, "one\np = malloc(n);\n");
  const std::string found = file("found", framed(R"("function":"f","line":2,"file":")" + source + R"(")"));
  How root;
  root.directory = "/";
  for (const Result &sarif :
       {report({"-f", "sarif", "--source-root=/", found}), report({"-f", "sarif", found}, root)}) {
    EXPECT_TRUE(has(sarif.out, R"("snippet":{"text":"p = malloc(n);"})")) << sarif.out;
    EXPECT_TRUE(has(sarif.out, R"("SRCROOT":{"uri":"file:///",)")) << sarif.out;
    EXPECT_TRUE(has(sarif.out, R"("artifactLocation":{"uri":"file://)" + source + "\"")) << sarif.out;
  }
  unlink(source.c_str());
}

// Not of the C++ library, of a library without lines, or of a header of the system.
TEST_F(ReportFormats, TheSummaryNamesTheFrameOfTheProgram) {
  for (const char *const inner :
       {R"("module":"p","function":"allocate","file":"/usr/include/c++/12/bits/new_allocator.h","line":137)",
        R"("module":"/usr/lib/libglib-2.0.so.0","offset":16,"function":"g_strdup")",
        R"("module":"p","function":"g_strdup_inline","file":"/usr/include/glib-2.0/glib/gstrfuncs.h","line":321)"}) {
    const std::string found = file(
        "found", std::string(R"({"type":"finding","bug":"memory-leak","size":1,"blocks":1,"allocated":{"frames":[)"
                             R"({"pc":"0x1",)") +
                     inner + R"(},{"pc":"0x2","module":"p","function":"main","file":"main.cc","line":5}]}})" + "\n");
    EXPECT_TRUE(has(report({found}).out, "SUMMARY: Ringfence: memory-leak main.cc:5 in main\n")) << report({found}).out;
  }
}

// A call that a compiler made of two has line 0: the line of its caller would be another function's.
TEST_F(ReportFormats, TheSummaryNamesACallWithoutALineByItsFile) {
  const std::string found = file("found", framed(R"("function":"f","file":"f.cc"},{"pc":"0x2","module":"p",)"
                                                 R"("function":"main","file":"main.cc","line":5)"));
  EXPECT_TRUE(has(report({found}).out, "SUMMARY: Ringfence: memory-leak f.cc in f\n")) << report({found}).out;
}

// Code hosts refuse a report for one finding that is nowhere.
TEST_F(ReportFormats, AFindingWithoutASourceIsInTheFileThatItWasReadFrom) {
  rf_finding f = leak();
  f.allocated.site = nullptr;
  How here;
  here.directory = folder_;
  for (const std::string &text : {serial(f), json(f)}) {
    (void)file("captured", text);
    const std::string sarif = report({"-f", "sarif", "captured"}, here).out;
    EXPECT_TRUE(has(sarif, R"("artifactLocation":{"uri":"captured","uriBaseId":"SRCROOT"})")) << text << sarif;
  }
}

TEST_F(ReportFormats, NoLinesAreShownOfFilesElsewhere) {
  run({"mkdir", file("inside")});
  run({"ln", "-s", "../secret", file("inside/link")});
  file("secret", "secret\n");
  const std::string whole = file("secret");
  for (const char *const path :
       {whole.c_str(), "../secret", "link", "inside/../../secret", "/proc/self/cwd/../secret"}) {
    const rf_site place = {path, "fill", 1};
    rf_finding f = leak();
    f.allocated.site = &place;
    const Result result = report({"--format=html", "--source-root", file("inside"), file("found", json(f))});
    EXPECT_FALSE(has(result.out, "<code class=\"line\">")) << path;
  }
}

TEST_F(ReportFormats, ThePageShowsNoMoreThanABrowserBears) {
  std::string many;
  for (unsigned i = 0; i < 1003; i++) {
    const rf_site place = {"f.c", "f", i + 1};
    rf_finding f = leak();
    f.allocated.site = &place;
    many += json(f);
  }
  const Result page = report({"--format=html", file("many", many)});
  EXPECT_EQ(page.err, "ringfence: 1003 findings\n");
  EXPECT_EQ(count(page.out, "<details "), 1000U);
  EXPECT_TRUE(has(page.out, "The first 1000 findings; 3 more are left out."));
  EXPECT_EQ(count(report({"--format=junit", file("many")}).out, "<testcase "), 1003U);
}

TEST_F(ReportFormats, ThePageOfNothingSaysSo) {
  EXPECT_TRUE(has(report({"--format=html", file("none", "")}).out, "Nothing was found."));
}

} // namespace
} // namespace ringfence_test
