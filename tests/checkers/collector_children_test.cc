// Processes that a checked process began: what each tells the collector of itself, and nothing of its parent's.
#include "checkers/checked/mode_options.h"
#include "checkers/os/seen_sites.h"
#include "tests/checkers/collector_fixture.h"

namespace ringfence {
namespace {

// A program with checked allocators of its own, which ends by exit, as its child does.
TEST(CollectorOfAProgram, IsToldByEachProcessOfTheSitesThatItHasSeenItself) {
  std::string const folder = new_folder();
  pid_t const child = fork();
  if (child == 0) {
    rf_options options;
    rf_options_default(&options);
    options.mode = RF_MODE_GUARD;
    options.collector = folder.c_str();
    options.collector_length = folder.size();
    rf_options_collect_run(&options);
    uintptr_t const here = reinterpret_cast<uintptr_t>(&rf_collector_end);
    rf_seen_sites_add(here + 1, false);
    rf_seen_sites_add(here + 2, false);
    pid_t const grandchild = fork();
    if (grandchild == 0) {
      rf_seen_sites_add(here + 2, false);
      rf_seen_sites_add(here + 3, false);
      exit(0);
    }
    int status = 1;
    waitpid(grandchild, &status, 0);
    rf_seen_sites_add(here + 4, false);
    exit(status);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::string const text = text_of(folder);
  size_t const first_end = text.find('\n') + 1; // the child's child ends first
  EXPECT_EQ(times(text.substr(0, first_end), "\"sites\":1,\"watched\":[]"), 1U) << text;
  EXPECT_EQ(times(text.substr(first_end), "\"sites\":3,\"watched\":[]"), 1U) << text;
  std::filesystem::remove_all(folder);
}

TEST(CollectorOfAChild, TellsOfNoneOfItsParentsLosses) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    refused_appends = 1;
    put(0x1000);
    return forked(
        [](const std::string &own) {
          put(0x2000);
          return has(text_of(own), "\"dropped\":0");
        },
        folder);
  });
}

TEST(CollectorOfAChild, CountsFindingsOfItsOwn) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    put(0x1000);
    put(0x2000);
    return forked(
        [](const std::string &own) {
          std::string const before = text_of(own);
          put(0x1000);
          return rf_collector_end(nullptr) && has(since(own, before), "\"findings\":1,");
        },
        folder);
  });
}

// Its parent's records are no measure of what it has yet to tell.
TEST(CollectorOfAChild, TellsAtItsEndWhatItOnlyCounted) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    for (uintptr_t caller = 1; caller <= 5; caller++) {
      put(caller << 12);
    }
    return forked(
        [](const std::string &own) {
          std::string const before = text_of(own);
          for (int i = 0; i < 3; i++) {
            put(0x1000);
          }
          bool const told = rf_collector_end(nullptr);
          std::string const text = since(own, before);
          return told && times(text, "\"count\":1,") + times(text, "\"count\":1}") == 3;
        },
        folder);
  });
}

TEST(CollectorOfAChild, TellsWhereItsParentWasTelling) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    static bool told;
    static std::string where;
    where = folder;
    during_append = [] {
      told = forked(
          [](const std::string &own) {
            put(0x2000);
            return has(text_of(own), "\"record\":\"finding\"");
          },
          where);
    };
    put(0x1000);
    return told;
  });
}

// Its memory is a copy of the parent's, who tells of what is in it.
bool in_a_child_that_nobody_tells(bool (*test)(const std::string &folder), const std::string &folder) {
  return in_child([&] { return test(folder); });
}

TEST(CollectorOfAnUntoldChild, TakesNoStepOfItsParents) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    return in_a_child_that_nobody_tells(
        [](const std::string &own) {
          rf_collector_step(7, "done");
          return text_of(own).empty();
        },
        folder);
  });
}

TEST(CollectorOfAnUntoldChild, TellsNoneOfItsParentsCounts) {
  with_collector(1, RF_COLLECTOR_AUTO, [](const std::string &folder) {
    for (int i = 0; i < 3; i++) { // the third is only counted
      put(0x1000);
    }
    return in_a_child_that_nobody_tells(
        [](const std::string &own) {
          std::string const before = text_of(own);
          return rf_collector_end(nullptr) && has(since(own, before), "\"record\":\"summary\"") &&
                 !has(since(own, before), "\"record\":\"repeat\"");
        },
        folder);
  });
}

} // namespace
} // namespace ringfence
