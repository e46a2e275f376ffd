// Each form of `ringfence report`, letter by letter, as readers of it were given it before. Where a change is meant,
// take the new text over into the folder golden.
#include "tests/tools/pprof_text.h"
#include "tests/tools/report_fixture.h"

#include <cstring>
#include <sys/time.h>
#include <utility>

namespace ringfence_test {
namespace {

// In `text`, which is changed, each `from` is `to`.
void replace_all(std::string &text, const std::string &from, const std::string &to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The page without its style and its script, which are files of their own.
void cut_out(std::string &page, const std::string &begin, const std::string &end) {
  size_t const from = page.find(begin);
  size_t const to = page.find(end, from);
  if (from != std::string::npos && to != std::string::npos) {
    page.erase(from + begin.size(), to - from - begin.size());
  }
}

class ReportGolden : public ReportCommand {
protected:
  ReportGolden() {
    // Sources come first: of one that is newer than the findings, no lines are shown.
    EXPECT_EQ(run({"mkdir", file("src")}).status, 0);
    (void)dated("src/a b.c", 999999999, "one\n\tfree(p); \"x\"\nagain();\nfour\nlose();\n");
    here_.directory = folder_;
  }

  std::string dated(const std::string &name, time_t seconds, const std::string &text) {
    const timeval then[2] = {{seconds, 0}, {seconds, 0}};
    EXPECT_EQ(utimes(file(name, text).c_str(), then), 0);
    return text;
  }
  std::string given(const std::string &name) {
    return dated(name, 1000000000, read_file(source("tests/tools/golden/" + name)));
  }

  std::string line_of(const std::vector<std::string> &words) {
    const std::string text = run(words, here_).out;
    return text.substr(0, text.find('\n'));
  }
  std::string expected(const std::string &name) {
    std::string text = read_file(source("tests/tools/golden/" + name));
    replace_all(text, "@FOLDER@", line_of({"pwd", "-P"}));
    replace_all(text, "@VERSION@", line_of({ringfence(), "--version"}).substr(strlen("ringfence ")));
    return text;
  }
  std::string written(const std::string &format, std::vector<std::string> words) {
    words.insert(words.begin(), {"-q", "-f", format});
    std::string text = report(words, here_).out;
    cut_out(text, "<style>\n", "</style>");
    cut_out(text, "<script>\n", "</script>");
    return format == "pprof" ? pprof_text(text) : text;
  }

  How here_;
};

const std::vector<std::pair<std::string, std::string>> kForms = {
    {"text", "txt"}, {"github", "github"}, {"junit", "xml"}, {"html", "html"}, {"sarif", "sarif"}};

// A leak that grew, reads and writes beyond a block without a source, a known double free, a hidden bad free.
TEST_F(ReportGolden, WithABaselineAndRules) {
  const std::string found = given("findings.jsonl");
  file("rules", "bad-free:hidden\n");
  std::string first = found.substr(0, found.find('\n', found.find("memory-leak")) + 1);
  replace_all(first, R"("size":16,"blocks":2)", R"("size":8,"blocks":1)");
  file("first", first);
  report({"-q", "--write-baseline", "known", "first"}, here_);
  for (const auto &[form, suffix] : kForms) {
    EXPECT_EQ(written(form, {"--baseline", "known", "--suppressions", "rules", "findings.jsonl"}),
              expected("report." + suffix));
  }
}

// Most kinds, with all that is known of them and with little; odd letters; snapshots, rules and a run.
TEST_F(ReportGolden, OfEachKindOfRecord) {
  (void)given("all.jsonl");
  for (const auto &[form, suffix] : kForms) {
    EXPECT_EQ(written(form, {"all.jsonl"}), expected("all." + suffix));
  }
  EXPECT_EQ(written("json", {"all.jsonl"}), expected("all.json"));
  EXPECT_EQ(written("pprof", {"all.jsonl"}), expected("all.pprof"));
}

} // namespace
} // namespace ringfence_test
