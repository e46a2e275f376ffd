// The rules of a policy that a process takes at its beginning and while it runs (checkers/dropin/runtime/steering.c):
// who this process is, whose options win, what is left out. The policy is this test's own. Each test has a process of
// its own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/runtime/steering.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr const char *kProgram = "/srv/app/parser";
constexpr const char *kBuildId = "be7dfb93042ae49cd82408722167b81a71b0bb00";

struct World {
  bool readable = true; // the file is whole
  std::vector<rf_policy_rule> rules;
  rf_policy_head head = {1, -1, 0};
  std::string folder;
  rf_policy_who who = {};
  unsigned reads = 0;
  unsigned attached = 0;
  int32_t segment = -1;

  bool live_readable = true;
  std::vector<rf_policy_rule> live_rules;
  uint32_t live_newest = 0;
};

World world;
rf_policy live;
std::vector<uint32_t> keys;

} // namespace

extern "C" {

// The linker puts these in front of those of //checkers.
bool __wrap_rf_modules_program_path(char *out, size_t room);
void __wrap_rf_modules_program_id(char *out);
bool __wrap_rf_policy_read_file(const char *folder, size_t length, const rf_policy_who *who,
                                const rf_policy_taker *taker, rf_policy_head *head);
const rf_policy *__wrap_rf_policy_attach(const rf_policy_head *head);
bool __wrap_rf_policy_read_live(const rf_policy *from, const rf_policy_who *who, const rf_policy_taker *taker,
                                rf_policy_head *head, uint32_t *generation);

bool __wrap_rf_modules_program_path(char *out, size_t room) {
  EXPECT_GT(room, strlen(kProgram));
  strcpy(out, kProgram);
  return true;
}

void __wrap_rf_modules_program_id(char *out) {
  strcpy(out, kBuildId);
}

bool __wrap_rf_policy_read_file(const char *folder, size_t length, const rf_policy_who *who,
                                const rf_policy_taker *taker, rf_policy_head *head) {
  world.reads++;
  world.folder = std::string(folder, length);
  world.who = *who;
  for (rf_policy_rule one : world.rules) {
    taker->rule(taker->context, &one);
    memset(one.options, '?', sizeof one.options - 1); // the text goes
  }
  rf_policy_site const site = {1, 4711, 2};
  taker->site(taker->context, &site);
  *head = world.head;
  return world.readable;
}

const rf_policy *__wrap_rf_policy_attach(const rf_policy_head *head) {
  world.attached++;
  world.segment = head->live;
  return &live;
}

bool __wrap_rf_policy_read_live(const rf_policy *from, const rf_policy_who *who, const rf_policy_taker *taker,
                                rf_policy_head *head, uint32_t *generation) {
  EXPECT_EQ(from, rf_steering_now.live);
  EXPECT_EQ(who, &rf_steering_now.who);
  for (rf_policy_rule const &one : world.live_rules) {
    taker->rule(taker->context, &one);
  }
  rf_policy_site const site = {1, 4711, 2};
  taker->site(taker->context, &site);
  head->newest = world.live_newest;
  *generation = 6;
  return world.live_readable;
}
}

namespace {

rf_policy_rule rule(uint32_t number, const char *options, rf_policy_kind kind = RF_POLICY_OPTIONS) {
  rf_policy_rule one = {};
  one.number = number;
  one.kind = kind;
  strcpy(one.options, options);
  return one;
}

// The options as the program has them, mode sample, and as the environment changes them.
struct Options {
  rf_options plain = {};
  rf_options own = {};
};

// A process with these RINGFENCE_OPTIONS, whose collector's folder is "/spool".
void in_process(const char *environment, const std::function<void(Options &)> &test) {
  ringfence_test::alone([&] {
    for (const char *const name :
         {"TEST_TARGET", "RINGFENCE_VERSION", "RINGFENCE_COMMIT", "RINGFENCE_ENVIRONMENT", "RINGFENCE_OPTIONS"}) {
      (void)unsetenv(name);
    }
    (void)setenv("RINGFENCE_COLLECTOR", "/spool", 1);
    (void)setenv("RINGFENCE_OPTIONS", environment, 1);
    static Options options;
    rf_options_default(&options.plain);
    options.plain.mode = RF_MODE_SAMPLE;
    options.plain.sample_rate = 1000;
    options.plain.watch = 2000;
    options.plain.raise = 1;
    options.plain.snapshot_every = 0;
    options.own = options.plain;
    static const rf_sink nobody = {[](void *, const char *, size_t) {}, nullptr};
    (void)rf_options_parse(&options.own, getenv("RINGFENCE_OPTIONS"), "environment", &nobody);
    test(options);
  });
}

void begin(Options &options) {
  rf_steering_begin(&options.own, &options.plain);
}

// The numbers of a live part, as a list.
std::vector<uint32_t> list(const rf_live_options &o) {
  return {o.sample_rate, o.watch, o.raise, o.snapshot_every};
}

using List = std::vector<uint32_t>;

void keep_key(const rf_policy_site *site) {
  keys.push_back(site->key);
}

rf_steering_wish read_wish() {
  rf_steering_wish wish = {};
  uint32_t generation = 0;
  EXPECT_EQ(rf_steering_read(&wish, keep_key, &generation), world.live_readable);
  EXPECT_EQ(generation, 6U);
  return wish;
}

// ---- Whether a policy is read, and which ----

TEST(Steering, APolicyIsThatOfTheCollectorsFolder) {
  in_process("", [](Options &options) {
    begin(options);
    EXPECT_EQ(world.reads, 1U);
    EXPECT_EQ(world.folder, "/spool");
  });
  in_process("", [](Options &options) {
    options.own.collector = "/other and more";
    options.own.collector_length = 6;
    begin(options);
    EXPECT_EQ(world.folder, "/other");
  });
}

TEST(Steering, NoneIsReadWhereNoCollectorIsNamed) {
  for (const char *const folder : {"", "none"}) {
    in_process("", [folder](Options &options) {
      (void)setenv("RINGFENCE_COLLECTOR", folder, 1);
      world.head.live = 3;
      begin(options);
      EXPECT_EQ(world.reads, 0U);
      rf_steering_attach();
      EXPECT_EQ(world.attached, 0U);
      EXPECT_EQ(rf_steering_now.live, nullptr);
    });
  }
  in_process("", [](Options &options) {
    (void)unsetenv("RINGFENCE_COLLECTOR");
    begin(options);
    EXPECT_EQ(world.reads, 0U);
  });
  in_process("", [](Options &options) {
    (void)setenv("TEST_TARGET", "//a:test", 1); // Bazel's
    begin(options);
    EXPECT_EQ(world.reads, 0U);
  });
}

TEST(Steering, OnlyTheWordNoneIsNone) {
  for (const char *const folder : {"nonesuch", "nine"}) {
    in_process("", [folder](Options &options) {
      (void)setenv("RINGFENCE_COLLECTOR", folder, 1);
      begin(options);
      EXPECT_EQ(world.folder, folder);
    });
  }
}

TEST(Steering, TheSegmentIsThatOfTheFile) {
  for (int32_t const segment : {-1, 0, 7}) {
    in_process("", [segment](Options &options) {
      world.head.live = segment;
      begin(options);
      rf_steering_attach();
      EXPECT_EQ(world.attached, segment >= 0 ? 1U : 0U);
      EXPECT_EQ(rf_steering_now.live, segment >= 0 ? &live : nullptr);
      EXPECT_EQ(world.segment, segment);
    });
  }
}

TEST(Steering, ADamagedFileChangesNothing) {
  in_process("", [](Options &options) {
    world.readable = false;
    world.head = {1, 7, 9};
    world.rules = {rule(3, "sample_rate=5"), rule(4, "mode=guard")};
    begin(options);
    EXPECT_EQ(options.own.sample_rate, 1000U);
    EXPECT_EQ(options.own.mode, RF_MODE_SAMPLE);
    EXPECT_STREQ(rf_steering_now.rules, "");
    EXPECT_EQ(rf_steering_now.newest, 0U);
    EXPECT_FALSE(rf_steering_now.limited);
    rf_steering_attach();
    EXPECT_EQ(world.attached, 0U);
    EXPECT_EQ(rf_steering_now.live, nullptr);
  });
}

// ---- Who this process is ----

TEST(Steering, AProcessIsKnownByProgramBuildAndEnvironment) {
  in_process("", [](Options &options) {
    begin(options);
    EXPECT_STREQ(world.who.program, kProgram);
    EXPECT_STREQ(world.who.build_id, kBuildId);
    EXPECT_STREQ(world.who.version, "");
    EXPECT_STREQ(world.who.commit, "");
    EXPECT_STREQ(world.who.environment, "development");
    EXPECT_EQ(memcmp(&world.who, &rf_steering_now.who, sizeof world.who), 0);
  });
  in_process("", [](Options &options) {
    (void)setenv("RINGFENCE_VERSION", "2.1.0", 1);
    (void)setenv("RINGFENCE_COMMIT", "4f2c9a1", 1);
    (void)setenv("RINGFENCE_ENVIRONMENT", "production", 1);
    begin(options);
    EXPECT_STREQ(world.who.version, "2.1.0");
    EXPECT_STREQ(world.who.commit, "4f2c9a1");
    EXPECT_STREQ(world.who.environment, "production");
  });
  in_process("build_version=3.2.1:build_commit=abcdef0:environment=ci", [](Options &options) {
    (void)setenv("RINGFENCE_VERSION", "2.1.0", 1);
    (void)setenv("RINGFENCE_COMMIT", "4f2c9a1", 1);
    (void)setenv("RINGFENCE_ENVIRONMENT", "production", 1);
    begin(options);
    EXPECT_STREQ(world.who.version, "3.2.1");
    EXPECT_STREQ(world.who.commit, "abcdef0");
    EXPECT_STREQ(world.who.environment, "ci");
  });
}

// ---- Options at the beginning ----

TEST(Steering, RulesHoldInTheirOrderAndAreNamed) {
  in_process("", [](Options &options) {
    world.head.newest = 9;
    world.rules = {rule(3, "sample_rate=300:watch=7"), rule(5, "sample_rate=1", RF_POLICY_SWEEP),
                   rule(6, "sample_rate=2", RF_POLICY_SNAPSHOT), rule(7, "sample_rate=700:raise=4")};
    begin(options);
    EXPECT_EQ(options.own.sample_rate, 700U);
    EXPECT_EQ(options.own.watch, 7U);
    EXPECT_EQ(options.own.raise, 4U);
    EXPECT_STREQ(rf_steering_now.rules, "3,7");
    EXPECT_EQ(rf_steering_now.newest, 9U);
  });
}

TEST(Steering, TheUsersOwnOptionsWin) {
  in_process("sample_rate=50:raise=3", [](Options &options) {
    world.rules = {rule(3, "sample_rate=300:raise=5:watch=7:exitcode=9")};
    begin(options);
    EXPECT_EQ(options.own.sample_rate, 50U);
    EXPECT_EQ(options.own.raise, 3U);
    EXPECT_EQ(options.own.watch, 7U);
    EXPECT_EQ(options.own.exitcode, 9U);
    EXPECT_EQ(list(rf_steering_now.own), List({1, 0, 1, 0}));
    EXPECT_EQ(list(rf_steering_now.plain), List({50, 2000, 3, 0})); // where no rule says otherwise
    EXPECT_FALSE(rf_steering_now.limited);
  });
}

TEST(Steering, OptionsThatTheUserNamesAreKnown) {
  struct Case {
    const char *environment;
    List own;
  };
  for (Case const &c : std::vector<Case>{{"", {0, 0, 0, 0}},
                                         {"sample_rate=1", {1, 0, 0, 0}},
                                         {"watch=2", {0, 1, 0, 0}},
                                         {"raise=2", {0, 0, 1, 0}},
                                         {"snapshot_every=2", {0, 0, 0, 1}},
                                         {"sample_seed=5", {1, 1, 0, 0}}}) { // a seed picks the same at one rate only
    in_process(c.environment, [&c](Options &options) {
      begin(options);
      EXPECT_EQ(list(rf_steering_now.own), c.own) << c.environment;
    });
  }
}

TEST(Steering, ARateOfAPolicyIsLimitedInItsMode) {
  struct Case {
    const char *options;
    rf_mode mode;
    bool limited;
  };
  for (Case const &c : std::vector<Case>{{"sample_rate=999", RF_MODE_SAMPLE, true},
                                         {"sample_rate=1000", RF_MODE_SAMPLE, false},
                                         {"watch=7", RF_MODE_SAMPLE, false},
                                         {"watch=7", RF_MODE_GUARD, true},
                                         {"watch=2000", RF_MODE_GUARD, false},
                                         {"sample_rate=7", RF_MODE_GUARD, false},
                                         {"sample_rate=7:watch=7", RF_MODE_PAGE, false}}) {
    in_process("", [&c](Options &options) {
      options.plain.mode = c.mode;
      options.own.mode = c.mode;
      world.rules = {rule(1, c.options)};
      begin(options);
      EXPECT_EQ(rf_steering_now.limited, c.limited) << c.options << " in " << rf_mode_name(c.mode);
      EXPECT_EQ(list(rf_steering_now.plain), List({1000, 2000, 1, 0}));
    });
  }
}

TEST(Steering, PathsAreNoPolicys) {
  in_process("", [](Options &options) {
    options.plain.log = "mine";
    options.plain.log_length = 4;
    world.rules = {rule(1, "log=theirs-long:trace=theirs:suppressions=theirs:sample_rate=5")};
    begin(options);
    EXPECT_EQ(std::string(options.own.log, options.own.log_length), "mine");
    EXPECT_EQ(options.own.trace, nullptr);
    EXPECT_EQ(options.own.trace_length, 0U);
    EXPECT_EQ(options.own.suppressions, nullptr);
    EXPECT_EQ(options.own.sample_rate, 5U);
  });
}

// The only text of a rule that holds: a copy.
TEST(Steering, ModulesMayBeNamedByRules) {
  in_process("", [](Options &options) {
    world.rules = {rule(1, "modules=libold.so"), rule(2, "modules=liba.so,libb.so:log=x"), rule(3, "watch=5")};
    begin(options);
    EXPECT_EQ(std::string(options.own.modules, options.own.modules_length), "liba.so,libb.so");
    EXPECT_EQ(options.own.log, nullptr);
  });
  in_process("modules=libmine.so", [](Options &options) {
    world.rules = {rule(1, "modules=libold.so")};
    begin(options);
    EXPECT_EQ(std::string(options.own.modules, options.own.modules_length), "libmine.so");
  });
  in_process("", [](Options &options) {
    options.plain.modules = "libplain.so";
    options.plain.modules_length = 11;
    world.rules = {rule(1, "watch=5")};
    begin(options);
    EXPECT_EQ(options.own.modules, options.plain.modules);
    EXPECT_EQ(options.own.modules_length, 11U);
  });
}

// Only rules' texts are copied, which are short.
TEST(Steering, ALongListOfModulesOfTheProgramsOwnStays) {
  in_process("", [](Options &options) {
    std::string const own(size_t{1} << 24, 'm');
    options.plain.modules = own.data();
    options.plain.modules_length = own.size();
    world.rules = {rule(1, "watch=5")};
    begin(options);
    EXPECT_EQ(options.own.modules, own.data());
    EXPECT_EQ(options.own.modules_length, own.size());
  });
}

TEST(Steering, NoRuleAsksForHelp) {
  in_process("", [](Options &options) {
    world.rules = {rule(1, "help=1:sample_rate=5")};
    begin(options);
    EXPECT_FALSE(options.own.help);
    EXPECT_EQ(options.own.sample_rate, 5U);
  });
  in_process("help=1", [](Options &options) {
    world.rules = {rule(1, "help=0")};
    begin(options);
    EXPECT_TRUE(options.own.help);
  });
}

// ---- While it runs ----

TEST(Steering, ARuleChangesTheLiveOptionsAndTheLastThatDidIsNamed) {
  in_process("", [](Options &options) {
    world.rules = {rule(1, "sample_rate=5")};
    begin(options);
    world.live_rules = {rule(2, "sample_rate=100:watch=200"), rule(3, "raise=4:snapshot_every=30"),
                        rule(4, "sample_rate=100:exitcode=5")};
    rf_steering_wish const wish = read_wish();
    EXPECT_EQ(list(wish.options), List({100, 200, 4, 30}));
    EXPECT_EQ(wish.rule, 3U); // 4 changes nothing
    world.live_rules.clear();
    rf_steering_wish const none = read_wish();
    EXPECT_EQ(list(none.options), List({1000, 2000, 1, 0})); // as if there had been no rule
    EXPECT_EQ(none.rule, 0U);
  });
}

TEST(Steering, OptionsThatTheUserNamesStayWhileItRuns) {
  struct Case {
    const char *environment;
    List options;
  };
  for (Case const &c : std::vector<Case>{{"sample_rate=50", {50, 200, 4, 30}},
                                         {"watch=60", {100, 60, 4, 30}},
                                         {"raise=7", {100, 200, 7, 30}},
                                         {"snapshot_every=80", {100, 200, 4, 80}},
                                         {"sample_seed=5", {1000, 2000, 4, 30}}}) {
    in_process(c.environment, [&c](Options &options) {
      begin(options);
      world.live_rules = {rule(2, "sample_rate=100:watch=200:raise=4:snapshot_every=30")};
      EXPECT_EQ(list(read_wish().options), c.options) << c.environment;
    });
  }
}

TEST(Steering, ActionsAreThoseOfRulesThatCameSince) {
  in_process("", [](Options &options) {
    world.head.newest = 5;
    begin(options);
    world.live_newest = 8;
    world.live_rules = {rule(4, "", RF_POLICY_SWEEP), rule(5, "", RF_POLICY_SNAPSHOT), rule(5, "", RF_POLICY_SWEEP)};
    rf_steering_wish wish = read_wish();
    EXPECT_EQ(wish.sweep, 0U);
    EXPECT_EQ(wish.snapshot, 0U);
    EXPECT_EQ(wish.newest, 8U);
    EXPECT_EQ(rf_steering_now.newest, 5U); // not done yet
    world.live_rules = {rule(6, "", RF_POLICY_SWEEP), rule(7, "sample_rate=3", RF_POLICY_SNAPSHOT),
                        rule(8, "", RF_POLICY_SWEEP)};
    wish = read_wish();
    EXPECT_EQ(wish.sweep, 8U);
    EXPECT_EQ(wish.snapshot, 7U);
    EXPECT_EQ(list(wish.options), List({1000, 2000, 1, 0}));
    EXPECT_EQ(wish.rule, 0U);
  });
}

TEST(Steering, WhileThePolicyIsWrittenNothingIsNew) {
  in_process("", [](Options &options) {
    world.head.newest = 5;
    begin(options);
    world.live_readable = false;
    world.live_newest = 8;
    EXPECT_EQ(read_wish().newest, 5U);
  });
}

TEST(Steering, SitesAreForWhoAsks) {
  in_process("", [](Options &options) {
    begin(options);
    EXPECT_EQ(keys, List());
    (void)read_wish();
    EXPECT_EQ(keys, List({4711}));
    rf_steering_wish wish = {};
    uint32_t generation = 0;
    EXPECT_TRUE(rf_steering_read(&wish, nullptr, &generation));
    EXPECT_EQ(keys, List({4711}));
  });
}

} // namespace
