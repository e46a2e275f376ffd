// rules: files that people write: suppressions, baselines, RINGFENCE_OPTIONS. Any text is read without harm. Each line
// or item is understood, or named in a warning and without effect. Written files are read back unchanged.
#include "blocks_model.h"
#include "tests/core/text_sink.h"
#include "tools/ringfence/model/baseline.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <ringfence/fuzz/reader.h>
#include <ringfence/options.h>
#include <ringfence/suppress.h>
#include <sstream>
#include <string>
#include <vector>

namespace {

using ringfence::fuzz::Reader;

size_t lines_in(const std::string &text) {
  size_t lines = 0;
  for (char const c : text) {
    lines += c == '\n';
  }
  return lines;
}

// Words with a meaning to the reader, and any bytes between them.
template <size_t N> std::string a_text(Reader &in, const std::array<const char *, N> &words, bool zeroes) {
  std::string out;
  while (!in.empty()) {
    unsigned const what = in.u8();
    if (what < 2 * N) {
      out += words[what / 2];
    } else if (what != 255 || zeroes) {
      out += static_cast<char>(what == 255 ? 0 : in.u8());
    }
    if (!zeroes && !out.empty() && out.back() == '\0') {
      out.pop_back();
    }
  }
  return out;
}

// ---- Suppressions ----

// A star matches any characters: the reference tries each length.
bool matches(const char *pattern, const char *end, const char *name) {
  if (pattern == end) {
    return *name == '\0';
  }
  if (*pattern == '*') {
    return matches(pattern + 1, end, name) || (*name != '\0' && matches(pattern, end, name + 1));
  }
  return *name != '\0' && *pattern == *name && matches(pattern + 1, end, name + 1);
}

bool should_match(std::string pattern, const std::string &name) {
  bool const from_start = !pattern.empty() && pattern[0] == '^';
  pattern = from_start ? pattern.substr(1) : "*" + pattern;
  bool const to_end = pattern.size() > (from_start ? 0U : 1U) && pattern.back() == '$';
  pattern = to_end ? pattern.substr(0, pattern.size() - 1) : pattern + "*";
  return matches(pattern.data(), pattern.data() + pattern.size(), name.c_str());
}

void check_pattern(Reader &in) {
  static const char letters[] = "ab*^$";
  std::string pattern;
  std::string name;
  for (size_t left = in.below(8); left != 0; left--) {
    pattern += letters[in.below(5)];
  }
  for (size_t left = in.below(10); left != 0; left--) {
    name += letters[in.below(2)];
  }
  RF_HOLDS(rf_suppression_matches(pattern.data(), pattern.size(), name.c_str()) == should_match(pattern, name));
}

struct Rules {
  explicit Rules(const std::string &text) : source(text), rules(rf_suppressions_count(text.data(), text.size())) {
    rf_sink const sink = ringfence::sink_to(&warnings);
    all.rules = rules.data();
    all.capacity = rules.size();
    wrong = rf_suppressions_parse(&all, source.data(), source.size(), "file", &sink);
  }
  Rules(const Rules &) = delete;
  Rules &operator=(const Rules &) = delete;

  std::string source;
  std::vector<rf_suppression> rules;
  rf_suppressions all{};
  std::string warnings;
  unsigned wrong;
};

// The first matching rule hides a finding at a place of this name, and is listed as used.
void check_use(Rules &rules, const std::string &name) {
  rf_site const site = {"", name.c_str(), 1};
  rf_finding f = {};
  f.bug = RF_BUG_LEAK;
  f.size = 7;
  f.allocated.site = &site;
  const rf_suppression *expected = nullptr;
  for (size_t i = rules.all.count; i-- != 0;) {
    const rf_suppression &rule = rules.all.rules[i];
    bool const fits = rf_suppression_matches(rule.pattern, rule.length, name.c_str()) ||
                      rf_suppression_matches(rule.pattern, rule.length, "");
    expected = (rule.any || rule.bug == f.bug) && fits ? &rule : expected;
  }
  rf_suppression *const found = rf_suppressions_match(&rules.all, &f, nullptr);
  RF_HOLDS(found == expected);
  std::string list;
  rf_sink const sink = ringfence::sink_to(&list);
  if (found != nullptr) {
    found->used++;
    found->bytes += f.size;
  }
  rf_suppressions_report(&rules.all, &sink);
  RF_HOLDS(list.empty() == (found == nullptr));
  RF_HOLDS(found == nullptr || list.find(std::string(found->pattern, found->length)) != std::string::npos);
}

void read_suppressions(Reader &in) {
  static const std::array<const char *, 12> words = {
      "\n", ":", "*", "leak:", "double-free:", "#", "heap-buffer-overflow", "^", "$", " ", "\r\n", "lib*.so"};
  Rules const first(a_text(in, words, true));
  RF_HOLDS(first.all.count + first.wrong == first.rules.size());
  RF_HOLDS(first.warnings.empty() == (first.wrong == 0) && lines_in(first.warnings) == first.wrong);
  std::string written;
  rf_sink const sink = ringfence::sink_to(&written);
  for (size_t i = 0; i < first.all.count; i++) {
    const rf_suppression &rule = first.all.rules[i];
    RF_HOLDS(rule.length != 0 && rule.pattern >= first.source.data());
    RF_HOLDS(rule.pattern + rule.length <= first.source.data() + first.source.size());
    RF_HOLDS(std::strchr(" \t\r\n", rule.pattern[rule.length - 1]) == nullptr || rule.pattern[rule.length - 1] == '\0');
    rf_suppression_write(&rule, &sink);
    written += "\n";
  }
  Rules again(written);
  RF_HOLDS(again.wrong == 0 && again.all.count == first.all.count);
  for (size_t i = 0; i < again.all.count; i++) {
    const rf_suppression &a = first.all.rules[i];
    const rf_suppression &b = again.all.rules[i];
    RF_HOLDS(a.any == b.any && (a.any || a.bug == b.bug));
    RF_HOLDS(std::string(a.pattern, a.length) == std::string(b.pattern, b.length));
  }
  check_use(again, "lib.so main");
}

// ---- Baselines ----

const char kFirstLine[] = "# Ringfence baseline, version 1";

void check_entries(const rf_baseline &b) {
  for (size_t i = 0; i < b.count; i++) {
    RF_HOLDS(std::strlen(b.entries[i].fingerprint) == 16 && b.entries[i].count != 0 && b.entries[i].met == 0);
    RF_HOLDS(i == 0 || std::strcmp(b.entries[i - 1].fingerprint, b.entries[i].fingerprint) < 0);
  }
}

void read_baseline(Reader &in) {
  static const std::array<const char *, 8> words = {"\n",  "0123456789abcdef", "fedcba9876543210", " ", "1", "#", "\r",
                                                    " 2 x"};
  std::string text = in.u8() % 8 == 0 ? "" : kFirstLine;
  text += a_text(in, words, true);
  std::string const before = text;
  rf_bump_arena arena = {nullptr};
  rf_baseline b;
  const char *const wrong = rf_baseline_parse(&b, &arena, "file", text.data(), text.size());
  RF_HOLDS(wrong == nullptr || std::strstr(wrong, "file") == wrong);
  RF_HOLDS(wrong == nullptr || std::strchr(wrong, '\n') == nullptr);
  if (wrong == nullptr) {
    RF_HOLDS(before.rfind(kFirstLine, 0) == 0);
    check_entries(b);
  }
  rf_bump_arena_free(&arena);
}

// Findings of a few functions with odd names; the baseline made of them knows all, and no other.
void write_baseline(Reader &in) {
  static const std::array<const char *, 6> names = {"main", "a b", "new\nline", "0123456789abcdef 1 x", "#", ""};
  rf_bump_arena arena = {nullptr};
  std::array<rf_site, names.size()> sites{};
  std::vector<rf_record> records(in.below(12) + 1);
  std::vector<rf_record *> list;
  std::map<std::string, unsigned> ordinals;
  for (rf_record &record : records) {
    size_t const which = in.below(sites.size());
    sites[which] = {names[which], names[which], 7};
    record.finding.bug = static_cast<rf_bug>(in.below(RF_BUG_COUNT));
    record.finding.found.site = &sites[which];
    record.fingerprint = rf_bump_arena_print(&arena, "%016zx", which * 31 + record.finding.bug);
    list.push_back(&record);
  }
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  rf_baseline_put(&arena, list.data(), list.size(), &sink);
  rf_baseline b;
  RF_HOLDS(rf_baseline_parse(&b, &arena, "file", text.data(), text.size()) == nullptr);
  check_entries(b);
  RF_HOLDS(rf_baseline_unmet(&b) == list.size());
  size_t const fewer = in.below(list.size() + 1);
  RF_HOLDS(rf_baseline_apply(&b, list.data(), fewer) == fewer);
  RF_HOLDS(rf_baseline_unmet(&b) == list.size() - fewer);
  rf_record other = records[0];
  other.fingerprint = "ffffffffffffffff";
  other.known = false;
  std::array<rf_record *, 1> strange = {&other};
  RF_HOLDS(rf_baseline_apply(&b, strange.data(), 1) == 0 && !other.known);
  rf_bump_arena_free(&arena);
}

// ---- Options ----

std::string help_of(const rf_options &options) {
  std::string out;
  out.reserve(16384);
  rf_sink const sink = ringfence::sink_to(&out);
  rf_options_help(&options, &sink);
  return out;
}

void check_path(const std::string &text, const char *path, size_t length) {
  if (path != nullptr) {
    RF_HOLDS(length != 0 && path > text.data() && path + length <= text.data() + text.size());
  }
}

void check_options(const std::string &text, const rf_options &o) {
  RF_HOLDS(o.mode <= RF_MODE_ASAN && o.format <= RF_FORMAT_SERIAL && o.leaks <= RF_LEAKS_REACHABLE);
  RF_HOLDS(o.exitcode <= 255 && o.stack_depth <= RF_TRACE_DEPTH && o.verbosity <= 1);
  RF_HOLDS(o.sample_rate >= 1 && o.sample_slots >= 1 && o.sample_slots <= 65536);
  RF_HOLDS(o.sweep_budget >= 1 && o.sweep_budget <= 1000000);
  check_path(text, o.log, o.log_length);
  check_path(text, o.suppressions, o.suppressions_length);
  check_path(text, o.trace, o.trace_length);
}

void read_options(Reader &in) {
  static const std::array<const char *, 32> words = {":",
                                                     "=",
                                                     "mode=",
                                                     "guard",
                                                     "page",
                                                     "halt=0",
                                                     "exitcode=",
                                                     "255",
                                                     "256",
                                                     "log=",
                                                     "'",
                                                     "\"",
                                                     "/tmp/x%p",
                                                     "quarantine=",
                                                     "1K",
                                                     "18446744073709551615",
                                                     "all",
                                                     "sample_rate=",
                                                     "0",
                                                     "sample_slots=65536",
                                                     "sweep_budget=",
                                                     "leaks=",
                                                     "reachable",
                                                     "dump_signal=SIGUSR2",
                                                     "stack_depth=",
                                                     "32",
                                                     "suppressions=",
                                                     "trace=",
                                                     "format=json",
                                                     "unknown=1",
                                                     "align=both",
                                                     "M"};
  std::string const text = a_text(in, words, false);
  std::string warnings;
  rf_sink const sink = ringfence::sink_to(&warnings);
  rf_options options;
  rf_options_default(&options);
  rf_options const before = options;
  unsigned const wrong = rf_options_parse(&options, text.c_str(), "source", &sink);
  check_options(text, options);
  RF_HOLDS((wrong == 0) == warnings.empty());
  size_t said = 0;
  for (size_t at = warnings.find("ringfence: source: "); at != std::string::npos; said++) {
    at = warnings.find("ringfence: source: ", at + 1);
  }
  RF_HOLDS(said >= wrong);
  /* A rule that was understood, printed, is understood alike. */
  rf_options again = options;
  warnings.clear();
  RF_HOLDS(rf_options_parse(&again, text.c_str(), "source", &sink) == wrong);
  RF_HOLDS(help_of(again) == help_of(options));
  if (text.find('=') == std::string::npos) {
    RF_HOLDS(help_of(before) == help_of(options));
  }
}

// Each field of the table. Paths are but where they stand in a text.
bool are_same(const rf_options &a, const rf_options &b) {
  bool same = true;
#define RF_OPTION_BOOL(name, value, help) same = same && a.name == b.name;
#define RF_OPTION_NUMBER(name, value, least, most, help) same = same && a.name == b.name;
#define RF_OPTION_SHARE(name, most, help) same = same && a.name == b.name;
#define RF_OPTION_SIZE(name, value, help) same = same && a.name == b.name;
#define RF_OPTION_CHOICE(type, name, value, words, help) same = same && a.name == b.name;
#include <ringfence/options.inc>
  return same;
}

// Each option of the table with a value: in range it is set, and nothing else; else a warning follows and nothing is.
class OneOption {
public:
  explicit OneOption(Reader &in) : in_(in), turn_(in.u8()) {
    rf_options_default(&before_);
    rf_options_default(&expected_);
  }

  void check() {
#define RF_OPTION_BOOL(name, value, help) is_turn() ? a_bool(#name, &expected_.name) : void();
#define RF_OPTION_NUMBER(name, value, least, most, help)                                                               \
  is_turn() ? a_number(#name, &expected_.name, least, most) : void();
#define RF_OPTION_SHARE(name, most, help) is_turn() ? a_share(#name, &expected_.name) : void();
#define RF_OPTION_SIZE(name, value, help) is_turn() ? a_size(#name, &expected_.name) : void();
#define RF_OPTION_CHOICE(type, name, value, words, help) is_turn() ? a_choice(#name, &expected_.name, words) : void();
#include <ringfence/options.inc>
    if (!text_.empty()) { // else the turn is that of a path, or of none
      std::string warnings;
      rf_sink const sink = ringfence::sink_to(&warnings);
      rf_options got = before_;
      RF_HOLDS(rf_options_parse(&got, text_.c_str(), "source", &sink) == (good_ ? 0 : 1));
      RF_HOLDS(warnings.empty() == good_ && are_same(got, good_ ? expected_ : before_));
      if (in_.u8() % 8 == 1) { // all of the list is written for it; not where the input ends
        read_list(help_of(got));
      }
    }
  }

private:
  // The values that the list of options names are read back alike; paths have none here.
  static void read_list(const std::string &help) {
    std::string settings;
    std::istringstream list(help);
    for (std::string line; std::getline(list, line);) {
      size_t const equals = line.find('=');
      if (line.compare(0, 3, "   ") != 0 && line.compare(0, 2, "  ") == 0 && equals + 1 < line.size()) {
        settings += line.substr(2) + ":";
      }
    }
    std::string warnings;
    rf_sink const sink = ringfence::sink_to(&warnings);
    rf_options again;
    rf_options_default(&again);
    RF_HOLDS(rf_options_parse(&again, settings.c_str(), "list", &sink) == 0);
    RF_HOLDS(help_of(again) == help);
  }

  bool is_turn() {
    return turn_-- == 0;
  }

  void a_bool(const char *name, bool *out) {
    static const std::array<const char *, 8> words = {"0", "1", "false", "true", "no", "yes", "2", ""};
    size_t const which = in_.below(words.size());
    good_ = which < 6;
    *out = good_ ? which % 2 == 1 : *out;
    text_ = std::string(name) + "=" + words[which];
  }

  void a_number(const char *name, unsigned *out, uint64_t least, uint64_t most) {
    static const std::array<uint64_t, 6> some = {0, 1, 255, 65536, UINT32_MAX, uint64_t{UINT32_MAX} + 1};
    uint64_t const value = in_.u8() % 2 == 0 ? some[in_.below(some.size())] : in_.u16();
    good_ = value >= least && value <= most;
    *out = good_ ? static_cast<unsigned>(value) : *out;
    text_ = std::string(name) + "=" + std::to_string(value);
  }

  void a_share(const char *name, unsigned *out) {
    static const std::array<const char *, 5> starts = {"1/", "2/", "1", "", "1/"};
    unsigned const value = in_.u16();
    size_t const which = in_.below(starts.size());
    good_ = starts[which] == std::string("1/") && value != 0;
    *out = good_ ? value : *out;
    text_ = std::string(name) + "=" + starts[which] + std::to_string(value);
  }

  void a_size(const char *name, size_t *out) {
    static const std::array<const char *, 9> units = {"", "k", "K", "m", "M", "g", "G", "x", "KK"};
    static const std::array<unsigned, 7> shifts = {0, 10, 10, 20, 20, 30, 30};
    size_t const unit = in_.below(units.size());
    size_t const value = in_.u8() % 8 == 7 ? SIZE_MAX / 2 : in_.u16() % 1024;
    bool const all = in_.u8() % 8 == 7;
    good_ = all || (unit < shifts.size() && value <= SIZE_MAX >> shifts[unit]);
    *out = !good_ ? *out : all ? SIZE_MAX : value << shifts[unit];
    text_ = std::string(name) + "=" + (all ? "all" : std::to_string(value) + units[unit]);
  }

  template <class T> void a_choice(const char *name, T *out, const char *words) {
    size_t const which = in_.below(10);
    std::string rest = words;
    for (size_t skipped = 0; skipped < which && !rest.empty(); skipped++) {
      rest = rest.substr(rest.find(' ') + 1);
    }
    std::string const word = rest.substr(0, rest.find(' '));
    good_ = !word.empty();
    *out = good_ ? static_cast<T>(which) : *out;
    text_ = std::string(name) + "=" + (good_ ? word : "nonsense");
  }

  Reader &in_;
  unsigned turn_;
  rf_options before_{};
  rf_options expected_{};
  std::string text_;
  bool good_ = false;
};

// One key with any value: either a warning follows, or the value is set.
void read_quoted_path(Reader &in) {
  static const std::array<const char *, 6> words = {":", "=", "'", "/a b", "%p", "log"};
  std::string const path = a_text(in, words, false);
  char const quote = path.find('\'') == std::string::npos ? '\'' : '"';
  if (path.empty() || path.find(quote) != std::string::npos) {
    return;
  }
  std::string const text = std::string("halt=0:log=") + quote + path + quote + ":exitcode=7";
  std::string warnings;
  rf_sink const sink = ringfence::sink_to(&warnings);
  rf_options options;
  rf_options_default(&options);
  RF_HOLDS(rf_options_parse(&options, text.c_str(), "source", &sink) == 0);
  RF_HOLDS(std::string(options.log, options.log_length) == path && options.exitcode == 7 && !options.halt);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Reader in(data, size);
  unsigned const what = in.u8();
  if (what >= 240) {
    OneOption option(in);
    option.check();
    return 0;
  }
  switch (what % 6) {
  case 0:
    read_suppressions(in);
    break;
  case 1:
    while (!in.empty()) {
      check_pattern(in);
    }
    break;
  case 2:
    read_baseline(in);
    break;
  case 3:
    write_baseline(in);
    break;
  case 4:
    read_options(in);
    break;
  default:
    read_quoted_path(in);
    break;
  }
  return 0;
}
