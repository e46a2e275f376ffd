#include "collector_parts.h"

#include "blocks_model.h"
#include "captured.h"
#include "generated_findings.h"
#include "tests/core/text_sink.h"

#include "checkers/os/forbidden_calls.h"
#include "checkers/report/collector_identity.h"
#include "checkers/report/policy.h"
#include "tools/ringfence/base/json.h"

#include <array>
#include <cstring>
#include <ctime>
#include <string>
#include <sys/shm.h>
#include <sys/stat.h>
#include <vector>

namespace ringfence::fuzz {
namespace {

// ---- Identity ----

rf_collector_text text_of(const std::string &text, bool given) {
  return {given ? text.c_str() : nullptr, given ? text.size() : 0};
}

struct Setting {
  const char *variable;
  std::string text;
  bool by_option;
};

// The texts of a process, each as an option or in the environment.
class Settings {
public:
  explicit Settings(Reader &in) {
    for (size_t i = 0; i < all_.size(); i++) {
      all_[i].text = i == kLabels ? some_labels(in) : a_text(in) + std::string(in.u8() % 32 == 31 ? 300 : 0, 'v');
      all_[i].by_option = in.u8() % 2 == 0;
      if (!all_[i].by_option) {
        setenv(all_[i].variable, all_[i].text.c_str(), 1);
      }
    }
  }
  ~Settings() {
    for (const Setting &one : all_) {
      unsetenv(one.variable);
    }
  }
  Settings(const Settings &) = delete;
  Settings &operator=(const Settings &) = delete;

  rf_collector_text option(size_t i) const { return text_of(all_[i].text, all_[i].by_option); }
  // As it must be told: the part that there is room for, whole characters or not.
  std::string told(size_t i) const { return all_[i].text.substr(0, 255); }
  const std::string &labels() const { return all_[kLabels].text; }

  static constexpr size_t kEnvironment = 0, kVersion = 1, kCommit = 2, kLabels = 3;

private:
  static std::string some_labels(Reader &in) {
    static const std::array<const char *, 6> pieces = {"=", ",", "name", "v", "=v,", "\""};
    std::string out;
    for (size_t left = in.below(24); left != 0; left--) {
      size_t const piece = in.below(pieces.size() + 2);
      out += piece < pieces.size() ? std::string(pieces[piece]) : std::string(piece * 40, 'l');
    }
    return out;
  }

  std::array<Setting, 4> all_ = {{{"RINGFENCE_ENVIRONMENT", "", false},
                                  {"RINGFENCE_VERSION", "", false},
                                  {"RINGFENCE_COMMIT", "", false},
                                  {"RINGFENCE_LABELS", "", false}}};
};

std::vector<std::string> split(const std::string &text, char at) {
  std::vector<std::string> parts(1);
  for (char const c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Every NAME=VALUE, in order; others count for nothing.
void check_labels(const rf_json *label, const std::string &text) {
  for (const std::string &part : split(text, ',')) {
    size_t const equals = part.find('=');
    if (equals == std::string::npos || equals == 0 || equals >= 256 || part.size() - equals > 256) {
      continue;
    }
    RF_HOLDS(label != nullptr && part.substr(0, equals) == label->name && part.substr(equals + 1) == label->text);
    label = label->next;
  }
  RF_HOLDS(label == nullptr);
}

// Labels of this very test are none of the input's.
[[maybe_unused]] const int no_labels = unsetenv("TEST_TARGET") + unsetenv("TEST_SHARD_INDEX") +
                                       unsetenv("TEST_TOTAL_SHARDS") + unsetenv("TEST_RUN_NUMBER") +
                                       unsetenv("XML_OUTPUT_FILE");

// Bazel's own labels come first where it runs a test; a test that is tried again lies beside the logs before.
unsigned set_bazel(Reader &in) {
  std::string const folder = Folder::path() + "/sandbox/linux/7/execroot/main/test";
  std::string const real = Folder::path() + "/execroot/main/test/test_attempts";
  static const bool made =
      std::filesystem::create_directories(real) && std::filesystem::create_directories(folder + "/test_attempts");
  unsigned const attempts = static_cast<unsigned>(in.below(4));
  RF_HOLDS(made);
  for (unsigned i = 1; i <= 4; i++) {
    std::string const name = "/attempt_" + std::to_string(i) + ".log";
    std::string const path = (i % 2 == 0 ? folder + "/test_attempts" : real) + name;
    if (i <= attempts) {
      write_file(path, "");
    } else {
      (void)std::remove(path.c_str());
    }
  }
  setenv("TEST_TARGET", "//a:b", 1);
  setenv("TEST_SHARD_INDEX", "3", 1);
  setenv("XML_OUTPUT_FILE", (folder + "/test.xml").c_str(), 1);
  return attempts + 1;
}

void unset_bazel() {
  for (const char *const name : {"TEST_TARGET", "TEST_SHARD_INDEX", "XML_OUTPUT_FILE"}) {
    unsetenv(name);
  }
}

const rf_json *check_bazel(const rf_json *labels, unsigned attempt, bool with_file) {
  RF_HOLDS(std::strcmp(rf_json_text(labels, "bazel_target", ""), "//a:b") == 0);
  RF_HOLDS(std::strcmp(rf_json_text(labels, "shard", ""), "3") == 0);
  RF_HOLDS(rf_json_unsigned(labels, "attempt", 0) == (with_file ? attempt : 0));
  const rf_json *label = labels->first;
  while (label != nullptr && std::strcmp(label->name, with_file ? "attempt" : "shard") != 0) {
    label = label->next;
  }
  RF_HOLDS(label != nullptr);
  return label->next;
}

std::string time_text() {
  std::string out;
  rf_sink const sink = sink_to(&out);
  rf_collector_put_time(&sink);
  return out;
}

std::time_t seconds() {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

// The date is that of the C library, which knows another way to it.
void check_time() {
  char expected[32];
  std::string told;
  std::time_t before = 0;
  do { // not std::time, whose clock is a little late
    before = seconds();
    told = time_text();
  } while (seconds() != before);
  std::tm parts{};
  (void)gmtime_r(&before, &parts);
  (void)std::strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.", &parts);
  RF_HOLDS(told.size() == 27 && told.compare(0, 20, expected) == 0 && told.back() == 'Z');
}

bool is_text(const rf_json *object, const char *name, const std::string &expected) {
  return rf_json_text(object, name, "") == expected;
}

bool is_development(const std::string &environment) {
  return environment.empty() || environment == "development" || environment == "ci" || environment == "test";
}

} // namespace

void check_identity(Reader &in) {
  unsigned const how = in.u8();
  bool const by_bazel = how % 4 == 1;
  bool const with_file = how % 8 != 5;
  unsigned const attempt = by_bazel ? set_bazel(in) : 0;
  if (!with_file) {
    unsetenv("XML_OUTPUT_FILE");
  }
  Settings const settings(in);
  rf_collector_options options = {};
  options.environment = settings.option(Settings::kEnvironment);
  options.version = settings.option(Settings::kVersion);
  options.commit = settings.option(Settings::kCommit);
  options.labels = settings.option(Settings::kLabels);
  options.policy = how % 16 == 2 ? "1,2" : nullptr;
  options.mode = "guard";
  rf_collector_identity id;
  rf_collector_identity_init(&id, &options);
  unset_bazel();
  RF_HOLDS(id.process == static_cast<uint32_t>(getpid()) && std::strlen(id.boot) >= 1);
  rf_bump_arena arena = {nullptr};
  std::string const object = std::string("{\"first\":1") + id.fields + "}";
  const rf_json *const json = rf_json_parse(&arena, object.data(), object.size());
  RF_HOLDS(json != nullptr && is_text(json, "mode", "guard") && rf_json_text(json, "program", nullptr) != nullptr);
  std::string const environment = settings.told(Settings::kEnvironment);
  RF_HOLDS(is_text(json, "environment", environment.empty() ? "development" : environment));
  RF_HOLDS(id.development == is_development(environment));
  const rf_json *const build = rf_json_member(json, "build");
  RF_HOLDS(is_text(build, "version", settings.told(Settings::kVersion)));
  RF_HOLDS(is_text(build, "commit", settings.told(Settings::kCommit)));
  const rf_json *const labels = rf_json_member(json, "labels");
  if (labels != nullptr) { // left out where there is no room for them
    const rf_json *const own = by_bazel ? check_bazel(labels, attempt, with_file) : labels->first;
    RF_HOLDS(by_bazel || options.policy == nullptr || is_text(labels, "policy", options.policy));
    check_labels(options.policy != nullptr && !by_bazel ? own->next : own, settings.labels());
  }
  rf_bump_arena_free(&arena);
  check_time();
}

// ---- Policies ----

namespace {

// A star stands for any characters: the reference tries each length.
bool fits(const char *pattern, const char *text) {
  if (*pattern == '*') {
    return fits(pattern + 1, text) || (*text != '\0' && fits(pattern, text + 1));
  }
  return *pattern == *text && (*pattern == '\0' || fits(pattern + 1, text + 1));
}

template <size_t N> void put_text(char (&out)[N], const std::string &text) {
  std::memset(out, 0, N);
  std::memcpy(out, text.data(), text.size() < N ? text.size() : N - 1);
}

std::string pieces_of(Reader &in, const std::vector<const char *> &pieces, size_t most) {
  std::string out;
  for (size_t left = in.below(most); left != 0; left--) {
    out += pieces[in.below(pieces.size())];
  }
  return out;
}

rf_policy_who a_process(Reader &in) {
  rf_policy_who who = {};
  put_text(who.program, "/" + pieces_of(in, {"a", "b", "/", "ab"}, 6));
  put_text(who.build_id, in.u8() % 4 == 0 ? pieces_of(in, {"0", "f", "g"}, 20) : "00ff00ff00ff00ff00");
  put_text(who.version, pieces_of(in, {"1", "."}, 4));
  put_text(who.commit, in.u8() % 2 == 0 ? "" : "4f2c9a1d00");
  put_text(who.environment, pieces_of(in, {"ci", "p"}, 3));
  return who;
}

rf_policy a_policy(Reader &in, const rf_policy_who &who) {
  rf_policy policy = {};
  std::memcpy(policy.magic, RF_POLICY_MAGIC, sizeof policy.magic);
  policy.version = RF_POLICY_VERSION;
  policy.size = sizeof policy;
  policy.generation = in.u8() % 4;
  policy.nonce = in.u16();
  policy.live = -1;
  policy.newest = in.u16();
  policy.rule_count = static_cast<uint32_t>(in.below(5));
  for (uint32_t i = 0; i < policy.rule_count + 1; i++) {
    rf_policy_rule &rule = policy.rules[i];
    rule.number = i + 1;
    put_text(rule.program, pieces_of(in, {"a", "b", "/", "*", "ab"}, 6));
    put_text(rule.build, in.u8() % 2 == 0 ? "" : pieces_of(in, {who.version, "00ff00f", "4f2c9a1", "4f2"}, 3));
    put_text(rule.environment, in.u8() % 2 == 0 ? "" : pieces_of(in, {"ci", "p"}, 3));
    if (in.u8() % 16 == 1) {
      std::memset(rule.options, 'o', sizeof rule.options); // no end
    }
  }
  policy.site_count = static_cast<uint32_t>(in.below(20));
  for (uint32_t i = 0; i < policy.site_count + 1; i++) {
    policy.sites[i] = {in.u8() % 2 == 0 ? 0x00FF00FF00FF00FFU : 1, in.u8(), i};
  }
  policy.crc = rf_policy_crc(&policy); // one rule and one site more are there than count
  return policy;
}

// Whether the byte at `at` is read: all but those behind the counts.
bool counts(const rf_policy &policy, size_t at) {
  size_t const rules_end = offsetof(rf_policy, rules) + policy.rule_count * sizeof policy.rules[0];
  size_t const sites_end = offsetof(rf_policy, sites) + policy.site_count * sizeof policy.sites[0];
  return at < rules_end || (at >= offsetof(rf_policy, sites) && at < sites_end);
}

bool begins(const std::string &text, const std::string &with) {
  return with.size() >= 7 && text.compare(0, with.size(), with) == 0;
}

bool should_match(const rf_policy_rule &rule, const rf_policy_who &who) {
  std::string const program = rule.program;
  std::string path = who.program;
  if (program.find('/') == std::string::npos) {
    path = path.substr(path.rfind('/') + 1);
  }
  std::string const build = rule.build;
  bool const of_build =
      build.empty() || build == who.version || begins(who.commit, build) || begins(who.build_id, build);
  return (program.empty() || fits(program.c_str(), path.c_str())) && of_build &&
         (rule.environment[0] == '\0' || std::strcmp(rule.environment, who.environment) == 0);
}

// The first sixteen digits, where there are as many.
uint64_t build_of(const std::string &build_id) {
  std::string const digits = build_id.substr(0, 16);
  bool const whole = digits.size() == 16 && digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  return whole ? std::stoull(digits, nullptr, 16) : 0;
}

// A stack is known by where in their pages its innermost calls return to, wherever its modules lie.
void check_site_key(Reader &in) {
  uintptr_t here[6];
  uintptr_t moved[6];
  unsigned const depth = static_cast<unsigned>(in.below(7));
  unsigned const changed = static_cast<unsigned>(in.below(6));
  for (unsigned i = 0; i < depth; i++) {
    here[i] = in.u16();
    moved[i] = here[i] + uintptr_t{4096} * in.u8();
  }
  uint32_t const key = rf_policy_site_key(here, depth);
  RF_HOLDS(key != 0 && key == rf_policy_site_key(moved, depth));
  if (changed < depth) {
    here[changed]++;
    RF_HOLDS((key == rf_policy_site_key(here, depth)) == (changed >= RF_POLICY_SITE_DEPTH));
  }
}

struct Taken {
  std::vector<uint32_t> rules;
  std::vector<uint32_t> sites;
  bool ends = true;

  rf_policy_taker taker() {
    return {[](void *self, const rf_policy_rule *rule) {
              auto *const taken = static_cast<Taken *>(self);
              taken->rules.push_back(rule->number);
              taken->ends = taken->ends && std::memchr(rule->options, 0, sizeof rule->options) != nullptr;
            },
            [](void *self, const rf_policy_site *site) { static_cast<Taken *>(self)->sites.push_back(site->finding); },
            this};
  }
};

Taken expected_of(const rf_policy &policy, const rf_policy_who &who) {
  Taken expected;
  for (uint32_t i = 0; i < policy.rule_count; i++) {
    if (should_match(policy.rules[i], who)) {
      expected.rules.push_back(policy.rules[i].number);
    }
  }
  for (uint32_t i = 0; i < policy.site_count; i++) {
    if (build_of(who.build_id) != 0 && policy.sites[i].build == build_of(who.build_id)) {
      expected.sites.push_back(policy.sites[i].finding);
    }
  }
  return expected;
}

void check_taken(const Taken &taken, const Taken &expected) {
  RF_HOLDS(taken.rules == expected.rules && taken.sites == expected.sites && taken.ends);
}

// A file of this user's that others may write, or of another length, is none; nor is any where opening files ends the
// process.
void check_file(Reader &in, const rf_policy &policy, const rf_policy_who &who, bool whole, const Taken &expected) {
  std::string const folder = Folder::path() + "/policies";
  std::string const path = folder + "/" + RF_POLICY_FILE;
  unsigned const fault = in.u8() % 8;
  Taken taken;
  rf_policy_head head = {};
  rf_policy_taker const taker = taken.taker();
  std::string bytes(reinterpret_cast<const char *>(&policy), sizeof policy);
  if (fault == 1) {
    bytes.pop_back();
  }
  (void)mkdir(folder.c_str(), 0700);
  write_file(path, bytes);
  (void)chmod(path.c_str(), fault == 2 ? 0622 : 0600);
  (void)chmod(folder.c_str(), fault == 3 ? 0777 : 0700);
  std::string const named = fault == 4 ? folder + "/none" : folder;
  __atomic_store_n(&rf_forbidden_calls, fault == 5 ? static_cast<uint32_t>(RF_CALL_OPEN) : 0, __ATOMIC_RELAXED);
  bool const done = rf_policy_read_file(named.c_str(), named.size(), &who, &taker, &head);
  __atomic_store_n(&rf_forbidden_calls, 0, __ATOMIC_RELAXED);
  RF_HOLDS(done == (whole && (fault == 0 || fault > 5)));
  if (done) {
    check_taken(taken, expected);
    RF_HOLDS(head.nonce == policy.nonce && head.newest == policy.newest && head.live == policy.live);
  }
}

// One segment for all inputs, removed with the process however that ends: Linux attaches removed ones that are in use.
struct Segment {
  Segment() : id(shmget(IPC_PRIVATE, sizeof(rf_policy), IPC_CREAT | 0600)) {
    void *const at = id >= 0 ? shmat(id, nullptr, 0) : nullptr;
    policy = at != nullptr && at != reinterpret_cast<void *>(-1) ? static_cast<rf_policy *>(at) : nullptr;
    (void)shmctl(id, IPC_RMID, nullptr);
  }

  int id;
  rf_policy *policy;
};

void check_segment(Reader &in, const rf_policy &policy, bool is_policy) {
  static const Segment segment;
  if (segment.policy == nullptr) {
    return; // a system without segments
  }
  *segment.policy = policy;
  bool const wrong = in.u8() % 4 == 1;
  rf_policy_head const head = {policy.nonce + (wrong ? 1 : 0), in.u8() % 8 == 1 ? -1 : segment.id, 0};
  const rf_policy *const found = rf_policy_attach(&head);
  RF_HOLDS((found != nullptr) == (is_policy && !wrong && head.live >= 0));
  if (found != nullptr) {
    RF_HOLDS(std::memcmp(found, &policy, sizeof policy) == 0);
    (void)shmdt(found);
  }
}

} // namespace

void check_policy(Reader &in) {
  check_site_key(in);
  rf_policy_who const who = a_process(in);
  rf_policy policy = a_policy(in, who);
  Taken const expected = expected_of(policy, who);
  bool damaged = in.u8() % 4 == 1;
  if (damaged) {
    auto *const bytes = reinterpret_cast<unsigned char *>(&policy);
    size_t at = in.below(sizeof policy);
    at = at - (at >= offsetof(rf_policy, generation) && at < offsetof(rf_policy, crc) ? 4 : 0);
    damaged = counts(policy, at);
    bytes[at] ^= static_cast<unsigned char>(1U << in.below(8));
  }
  Taken taken;
  rf_policy_head head = {};
  uint32_t generation = 77;
  rf_policy_taker const taker = taken.taker();
  bool const done = rf_policy_read_live(&policy, &who, &taker, &head, &generation);
  RF_HOLDS(done == (!damaged && policy.generation % 2 == 0));
  if (done) {
    check_taken(taken, expected);
    RF_HOLDS(head.nonce == policy.nonce && head.newest == policy.newest && generation == policy.generation);
  }
  if (!files_are_due) {
    return;
  }
  check_file(in, policy, who, !damaged, expected);
  check_segment(in, policy,
                std::memcmp(policy.magic, RF_POLICY_MAGIC, sizeof policy.magic) == 0 &&
                    policy.version == RF_POLICY_VERSION);
}

} // namespace ringfence::fuzz
