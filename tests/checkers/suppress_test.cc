// Rules that hide findings: how they are written, what they match, how they are counted.
#include <ringfence/suppress.h>

#include "tests/checkers/sample_finding.h"

#include <gtest/gtest.h>

#include <array>

namespace ringfence {
namespace {

class Suppress : public testing::Test {
protected:
  unsigned parse(const std::string &text) {
    text_ = text;
    all_.rules = rules_.data();
    all_.capacity = rules_.size();
    return rf_suppressions_parse(&all_, text_.data(), text_.size(), "rules.txt", warnings_.sink());
  }
  // The rule that hides a finding of `bug` with this name on its stack; "" where none does.
  std::string find(rf_bug bug, const char *name) {
    const char *const names[] = {nullptr, name};
    return written(rf_suppressions_find(&all_, bug, names, 2));
  }
  std::string match(const rf_finding &f) { return written(rf_suppressions_match(&all_, &f, &kSampleSymbolizer)); }
  static std::string written(const rf_suppression *rule) {
    TextSink out;
    if (rule != nullptr) {
      rf_suppression_write(rule, out.sink());
    }
    return out.text();
  }

  std::string text_;
  std::array<rf_suppression, 8> rules_ = {};
  rf_suppressions all_ = {nullptr, 0, 0};
  TextSink warnings_;
};

TEST_F(Suppress, EmptyLinesAndCommentsAreNoRules) {
  EXPECT_EQ(parse("# all of it\n\n  \t\n  # indented\r\nleak:foo\n"), 0U);
  EXPECT_EQ(all_.count, 1U);
  EXPECT_EQ(rules_[0].line, 5U);
  EXPECT_EQ(rf_suppressions_count(text_.data(), text_.size()), 1U);
}

TEST_F(Suppress, AMarkOfUtf8BeforeTheFirstLineIsNoPartOfIt) {
  EXPECT_EQ(parse("\xEF\xBB\xBFleak:foo\nleak:bar\n"), 0U);
  EXPECT_EQ(all_.count, 2U);
  EXPECT_EQ(rf_suppressions_count("\xEF\xBB\xBF# none\n", 10), 0U);
  EXPECT_EQ(parse("leak:foo\n\xEF\xBB\xBFleak:bar\n"), 1U);
}

TEST_F(Suppress, ARuleHasAKindAndAPattern) {
  parse("leak:foo\ndouble-free:bar\n*:baz");
  EXPECT_EQ(find(RF_BUG_LEAK, "my_foo_function"), "leak:foo");
  EXPECT_EQ(find(RF_BUG_DOUBLE_FREE, "my_foo_function"), "");
  EXPECT_EQ(find(RF_BUG_DOUBLE_FREE, "bar"), "double-free:bar");
  EXPECT_EQ(find(RF_BUG_METADATA, "baz"), "*:baz");
}

TEST_F(Suppress, LeakMayBeCalledByEitherName) {
  parse("memory-leak:foo");
  EXPECT_EQ(find(RF_BUG_LEAK, "foo"), "leak:foo");
}

TEST_F(Suppress, TheFirstRuleThatMatchesCounts) {
  parse("leak:second\nleak:first\nleak:*");
  EXPECT_EQ(find(RF_BUG_LEAK, "first"), "leak:first");
  EXPECT_EQ(find(RF_BUG_LEAK, "third"), "leak:*");
}

TEST_F(Suppress, AWrongLineIsNamedAndTheRestHolds) {
  EXPECT_EQ(parse("leek:foo\nnothing\nleak:\nleak:ok\n*:^$\n"), 4U);
  EXPECT_EQ(warnings_.text(),
            "ringfence: rules.txt:1: leek:foo: unknown kind of finding; use leak, heap-buffer-overflow, double-free "
            "and the like, or *\n"
            "ringfence: rules.txt:2: nothing: no colon; a rule is KIND:PATTERN\n"
            "ringfence: rules.txt:3: leak:: no pattern after the colon; * matches everything\n"
            "ringfence: rules.txt:5: *:^$: no pattern after the colon; * matches everything\n");
  EXPECT_EQ(match(sample_finding()), "") << "a finding has no name that is empty";
  EXPECT_EQ(find(RF_BUG_LEAK, "ok"), "leak:ok");
}

TEST_F(Suppress, TooManyRulesAreSaid) {
  std::string many;
  for (int i = 0; i < 9; i++) {
    many += "leak:" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(parse(many), 1U);
  EXPECT_EQ(warnings_.text(),
            "ringfence: rules.txt:9: leak:8: too many rules; this one and those after it are ignored\n");
}

struct Pattern {
  const char *pattern;
  const char *name;
  bool matches;
};

class SuppressPattern : public testing::TestWithParam<Pattern> {};

const Pattern kPatterns[] = {
    {"foo", "foo", true},
    {"foo", "a foo b", true},
    {"foo", "fo", false},
    {"foo", "", false},
    {"*", "", true},
    {"*", "x", true},
    {"^foo", "foobar", true},
    {"^foo", "a foo", false},
    {"foo$", "a foo", true},
    {"foo$", "foobar", false},
    {"foo$", "foo foo", true},
    {"^foo$", "foo", true},
    {"^foo$", "foofoo", false},
    {"^$", "", true},
    {"^$", "x", false},
    {"^", "x", true},
    {"$", "x", true},
    {"a*c", "xabcx", true},
    {"^a*c$", "abbbc", true},
    {"^a*c$", "abbbcd", false},
    {"^a*b*c$", "aXbYbZc", true},
    {"^a*b*c$", "aXcYbZ", false},
    {"^*c$", "abc", true},
    {"^a**c$", "ac", true},
    {"aab", "aaab", true},
    {"^*aab$", "aaaab", true},
    {"libc.so", "/lib/libc.so.6", true},
    {"libc.so", "/lib/libcxso", false},
};

INSTANTIATE_TEST_SUITE_P(Each, SuppressPattern, testing::ValuesIn(kPatterns));

TEST_P(SuppressPattern, Matches) {
  const Pattern &it = GetParam();
  EXPECT_EQ(rf_suppression_matches(it.pattern, std::strlen(it.pattern), it.name), it.matches)
      << it.pattern << " in \"" << it.name << "\"";
}

TEST(SuppressPatterns, NoNameMatchesNothing) {
  EXPECT_FALSE(rf_suppression_matches("*", 1, nullptr));
}

TEST(SuppressPatterns, ManyStarsTakeNoTime) {
  std::string pattern = "^";
  for (int i = 0; i < 200; i++) {
    pattern += "a*";
  }
  pattern += "b$";
  EXPECT_FALSE(rf_suppression_matches(pattern.data(), pattern.size(), std::string(5000, 'a').c_str()));
}

TEST_F(Suppress, AFindingMatchesByTheStackOfItsFree) {
  static rf_site const there = {"session.c", "close_session", 9};
  rf_finding f = sample_finding();
  f.released.site = &there;
  parse("*:close_session");
  EXPECT_EQ(match(f), "*:close_session");
  f.bug = RF_BUG_LEAK; // which was never freed
  EXPECT_EQ(match(f), "");
}

TEST_F(Suppress, AFindingMatchesByFunctionModuleAndFileOfItsFrames) {
  for (const char *const rule : {"*:close_log", "*:finish", "*:/home/user/demo", "*:libc.so", "*:demo.c", "*:open_log",
                                 "heap-buffer-overflow:^main$"}) {
    all_.count = 0;
    parse(rule);
    EXPECT_EQ(match(sample_finding()), rule);
  }
  all_.count = 0;
  parse("*:elsewhere\nleak:demo.c");
  EXPECT_EQ(match(sample_finding()), "");
}

TEST_F(Suppress, TheFirstRuleThatMatchesAnyFrameCounts) {
  rf_finding const f = sample_finding();
  for (const char *const rules :
       {"*:close_log\n*:open_log", "*:open_log\n*:close_log", "*:libc.so\n*:^main$\n*:open_log",
        "*:^main$\n*:close_log", "*:close_log\n*:^main$"}) {
    all_.count = 0;
    parse(rules);
    EXPECT_EQ(match(f), text_.substr(0, text_.find('\n'))) << rules;
  }
}

TEST_F(Suppress, ALeakMatchesByItsAllocationAlone) {
  rf_finding f = sample_finding();
  f.bug = RF_BUG_LEAK;
  parse("leak:close_log");
  EXPECT_EQ(match(f), "");
  all_.count = 0;
  parse("leak:open_log");
  EXPECT_EQ(match(f), "leak:open_log");
}

TEST_F(Suppress, AStarMatchesWhatHasNoStack) {
  rf_finding f = {};
  f.bug = RF_BUG_BAD_FREE;
  parse("bad-free:*");
  EXPECT_EQ(match(f), "bad-free:*");
}

TEST_F(Suppress, TheListShowsThoseUsed) {
  parse("leak:foo\nleak:unused\n*:bar");
  TextSink none;
  rf_suppressions_report(&all_, none.sink());
  EXPECT_EQ(none.text(), "");
  rules_[0].used = 12;
  rules_[0].bytes = 3456;
  rules_[2].used = 1;
  TextSink list;
  rf_suppressions_report(&all_, list.sink());
  EXPECT_EQ(list.text(), "-----------------------------------------------------\n"
                         "Suppressions used:\n"
                         "  count      bytes template\n"
                         "     12       3456 leak:foo\n"
                         "      1          0 *:bar\n"
                         "-----------------------------------------------------\n");
}

} // namespace
} // namespace ringfence
