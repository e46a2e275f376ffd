// Options of the process (checkers/dropin/runtime/state.c): what holds before any are read, who has the last word,
// modes that cannot be, and texts that are the process's own afterwards. Who reads them, and the system, are this
// test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/checked/mode_options.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/os/memory_tags.h"
unsigned __wrap_rf_options_load_program(rf_options *options, const rf_sink *warnings);
unsigned __wrap_rf_options_parse(rf_options *options, const char *text, const char *source, const rf_sink *warnings);
const char *__wrap_rf_host_environment(void);
uintptr_t __wrap_rf_host_secret(void);
void __wrap_rf_port_log(const char *text, size_t size);
char *__wrap_secure_getenv(const char *name);
pid_t __wrap_getpid(void);
bool __wrap_rf_memory_tags_begin(bool late);
const char *__wrap_rf_memory_tags_why_not(void);
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

struct World {
  Calls calls;
  std::function<void(rf_options *)> program = [](rf_options *) {};
  std::function<void(rf_options *)> environment = [](rf_options *) {};
  std::function<void(rf_options *)> policy = [](rf_options *) {};
  rf_options plain = {}; // what a policy begins with
  uintptr_t secret = 0;
  bool is_bazel_test = false;
  bool tags = false;
  bool late = false;
  const char *why_not = nullptr;
  std::string log;
};

World world;

void call(const char *what) {
  world.calls.emplace_back(what);
}

} // namespace

extern "C" {

unsigned __wrap_rf_options_load_program(rf_options *options, const rf_sink *warnings) {
  call("program");
  warnings->write(warnings->context, "W\n", 2);
  world.program(options);
  return 0;
}

unsigned __wrap_rf_options_parse(rf_options *options, const char *text, const char *source, const rf_sink *) {
  call("environment");
  EXPECT_STREQ(text, "the environment's");
  EXPECT_STREQ(source, "RINGFENCE_OPTIONS");
  world.environment(options);
  return 0;
}

const char *__wrap_rf_host_environment() {
  return "the environment's";
}

void rf_steering_begin(rf_options *options, const rf_options *plain) {
  call("policy");
  world.plain = *plain;
  world.policy(options);
}

uintptr_t __wrap_rf_host_secret() {
  return world.secret;
}

void __wrap_rf_port_log(const char *text, size_t size) {
  world.log.append(text, size);
}

char *__wrap_secure_getenv(const char *name) {
  static char yes[] = "//a:test";
  return world.is_bazel_test && std::strcmp(name, "TEST_TARGET") == 0 ? yes : nullptr;
}

pid_t __wrap_getpid() {
  return 4711;
}

bool __wrap_rf_memory_tags_begin(bool late) {
  call("tags");
  world.late = late;
  return world.tags;
}

const char *__wrap_rf_memory_tags_why_not() {
  return world.why_not;
}
}

namespace ringfence_test {
namespace {

const rf_options &options() {
  return rf_process.options;
}

void in_a_process(const std::function<void()> &test) {
  world = World();
  alone(test);
}

TEST(ProcessOptions, TheProgramHasThemFirstThenTheEnvironmentAndAPolicy) {
  in_a_process([] {
    world.program = [](rf_options *o) { o->max_findings = 3; };
    world.environment = [](rf_options *o) {
      EXPECT_EQ(o->max_findings, 3U);
      o->max_findings = 4;
    };
    world.policy = [](rf_options *o) {
      EXPECT_EQ(o->max_findings, 4U);
      o->max_findings = 5;
    };
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(world.calls, (Calls{"program", "environment", "policy"}));
    EXPECT_EQ(world.plain.max_findings, 3U) << "the program's wish, without the environment's";
    EXPECT_EQ(options().max_findings, 5U);
    EXPECT_EQ(world.log, "W\n") << "warnings go to standard error";
    EXPECT_FALSE(rf_process_read_options()) << "once";
    EXPECT_EQ(world.calls.size(), 3U);
  });
}

TEST(ProcessOptions, AreThoseOfTheDropIn) {
  in_a_process([] {
    rf_options plain;
    rf_options_default(&plain);
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(options().mode, RF_MODE_GUARD);
    EXPECT_EQ(options().stack_depth, 12U);
    EXPECT_EQ(options().quarantine, size_t{4} << 20);
    EXPECT_EQ(options().watch, 2000U);
    EXPECT_EQ(options().max_findings, plain.max_findings);
  });
}

TEST(ProcessOptions, ATestWatchesNoBlocksByLot) {
  in_a_process([] {
    world.is_bazel_test = true;
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(options().watch, 0U);
  });
}

TEST(ProcessOptions, AreReadWhenTheEnvironmentIsThere) {
  in_a_process([] {
    char **const there = environ;
    environ = nullptr;
    EXPECT_FALSE(rf_process_read_options());
    EXPECT_EQ(world.calls, Calls());
    EXPECT_EQ(options().mode, RF_MODE_GUARD);
    EXPECT_EQ(options().stack_depth, 12U) << "the defaults hold";
    environ = there;
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(world.calls.size(), 3U);
  });
}

// ---- Modes ----

TEST(ProcessOptions, ModeAsanIsNotForProcesses) {
  in_a_process([] {
    world.environment = [](rf_options *o) { o->mode = RF_MODE_ASAN; };
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(options().mode, RF_MODE_GUARD);
    EXPECT_EQ(world.log, "W\nringfence: mode asan is for a program's own allocators: AddressSanitizer has its own "
                         "malloc; using mode guard\n");
  });
}

TEST(ProcessOptions, ModeMteIsGuardWhereThereAreNoTags) {
  for (const char *const why : {static_cast<const char *>(nullptr), "no such processor"}) {
    in_a_process([why] {
      world.why_not = why;
      world.environment = [](rf_options *o) {
        o->mode = RF_MODE_MTE;
        o->tags_late = true;
      };
      EXPECT_TRUE(rf_process_read_options());
      EXPECT_EQ(options().mode, RF_MODE_GUARD);
      EXPECT_EQ(world.calls.back(), "tags");
      EXPECT_TRUE(world.late);
      EXPECT_EQ(world.log, std::string("W\nringfence: mode mte is not available (") +
                               (why != nullptr ? why : "the system refuses to compare tags") + "); using mode guard\n");
    });
  }
}

TEST(ProcessOptions, ModeMteStaysWhereThereAreTags) {
  in_a_process([] {
    world.tags = true;
    world.environment = [](rf_options *o) { o->mode = RF_MODE_MTE; };
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(options().mode, RF_MODE_MTE);
    EXPECT_FALSE(world.late);
    EXPECT_EQ(world.log, "W\n");
  });
}

TEST(ProcessOptions, OtherModesStayAndAskForNoTags) {
  for (rf_mode const mode : {RF_MODE_OFF, RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE}) {
    in_a_process([mode] {
      world.environment = [mode](rf_options *o) { o->mode = mode; };
      EXPECT_TRUE(rf_process_read_options());
      EXPECT_EQ(options().mode, mode);
      EXPECT_EQ(world.calls.size(), 3U);
      EXPECT_EQ(world.log, "W\n");
    });
  }
}

// It tells the same for all blocks of a process, and asks for no tags in vain.
TEST(ProcessOptions, OneProcessInSoManyIsChecked) {
  for (uint32_t const many : {0U, 1U, 2U, 3U}) {
    for (uintptr_t const secret : {0U, 1U, 2U, 3U, 6U}) {
      in_a_process([many, secret] {
        static uint32_t one_in;
        one_in = many;
        world.secret = secret;
        world.environment = [](rf_options *o) {
          o->mode = RF_MODE_MTE;
          o->sample_processes = one_in;
        };
        EXPECT_TRUE(rf_process_read_options());
        bool const checked = many < 2 || secret % many == 0;
        EXPECT_EQ(options().mode, checked ? RF_MODE_GUARD : RF_MODE_OFF) << many << ", " << secret;
        EXPECT_EQ(world.calls.size(), checked ? 4U : 3U);
      });
    }
  }
}

// ---- Paths ----

TEST(ProcessOptions, PathsAreCopiedAsTheEnvironmentIsTheProgramsOwn) {
  in_a_process([] {
    static char text[] = "/log/trace/sites!!";
    world.environment = [](rf_options *o) {
      o->log = text;
      o->log_length = 4;
      o->trace = text + 4;
      o->trace_length = 6;
      o->watch_sites = text + 10;
      o->watch_sites_length = 8;
    };
    EXPECT_TRUE(rf_process_read_options());
    std::memset(text, '-', sizeof text - 1);
    EXPECT_EQ(std::string(options().log, options().log_length), "/log");
    EXPECT_EQ(std::string(options().trace, options().trace_length), "/trace");
    EXPECT_EQ(std::string(options().watch_sites), "/sites!!") << "and nothing behind it";
  });
}

std::string path(const char *at, size_t length) {
  return std::string(at, length);
}

// A daemon goes to the root folder, and its findings where they were to go.
TEST(ProcessOptions, PathsAreThoseOfTheFolderInWhichTheProcessBegan) {
  std::string name = testing::TempDir() + "options.XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  char *const real = realpath(name.c_str(), nullptr);
  std::string const in = real;
  std::free(real);
  in_a_process([&in] {
    ASSERT_EQ(chdir(in.c_str()), 0);
    world.environment = [](rf_options *o) {
      o->log = "log.%p:";
      o->log_length = 6;
      o->trace = "traces/t";
      o->trace_length = 8;
      o->watch_sites = "sites";
      o->watch_sites_length = 5;
    };
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(path(options().log, options().log_length), in + "/log.%p");
    EXPECT_EQ(path(options().trace, options().trace_length), in + "/traces/t");
    EXPECT_EQ(path(options().watch_sites, options().watch_sites_length), in + "/sites");
    EXPECT_STREQ(options().watch_sites, (in + "/sites").c_str());
  });
}

TEST(ProcessOptions, PathsInTheRootFolderBeginWithIt) {
  in_a_process([] {
    ASSERT_EQ(chdir("/"), 0);
    world.environment = [](rf_options *o) {
      o->log = "log";
      o->log_length = 3;
    };
    EXPECT_TRUE(rf_process_read_options());
    EXPECT_EQ(path(options().log, options().log_length), "/log");
  });
}

// A folder that has no place beside the path, or would be taken for a part of it, is left out.
TEST(ProcessOptions, APathStaysRelativeWhereItsFolderCannotBeKept) {
  std::string name = testing::TempDir() + "options%p.XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  for (bool const is_long : {false, true}) {
    in_a_process([&] {
      static std::string log;
      log = is_long ? std::string(511, 'x') : "log";
      ASSERT_EQ(chdir(is_long ? "/tmp" : name.c_str()), 0);
      world.environment = [](rf_options *o) {
        o->log = log.data();
        o->log_length = log.size();
      };
      EXPECT_TRUE(rf_process_read_options());
      EXPECT_NE(options().log, log.data());
      EXPECT_EQ(path(options().log, options().log_length), log);
    });
  }
}

TEST(ProcessOptions, APathTooLongToBeCopiedIsTheEnvironments) {
  for (size_t const length : {size_t{511}, size_t{512}, size_t{600}}) {
    in_a_process([length] {
      static char text[1000];
      std::memset(text, 'x', sizeof text);
      world.environment = [length](rf_options *o) {
        o->log = text;
        o->log_length = length;
      };
      EXPECT_TRUE(rf_process_read_options());
      EXPECT_EQ(options().log == text, length >= 512) << length;
      EXPECT_EQ(options().trace, nullptr);
    });
  }
}

// ---- Facts ----

TEST(ProcessOptions, WhoMayNotAskIsTakenForTheProcess) {
  in_a_process([] {
    rf_process.id = 77;
    EXPECT_EQ(rf_process_now(), 4711);
    rf_forbid(RF_CALL_GETPID);
    EXPECT_EQ(rf_process_now(), 77);
    EXPECT_FALSE(rf_process_has_ended());
    rf_process.ended = true;
    EXPECT_TRUE(rf_process_has_ended());
  });
}

} // namespace
} // namespace ringfence_test
