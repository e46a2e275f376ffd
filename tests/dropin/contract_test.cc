// Programs that exercise the whole of malloc's contract run as well as ever, and nothing is reported.
#include "tests/dropin/run.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace ringfence_test {
namespace {

// A 32-bit library cannot go into the 64-bit programs that 32-bit ones start, and the loader says so.
void expect_silent(const Result &result) {
  if (sizeof(void *) == 8) {
    EXPECT_EQ(result.err, "");
  }
  EXPECT_EQ(result.findings.size(), 0U);
}

void expect_fine(const Result &result) {
  EXPECT_EQ(result.out, "ok\n");
  EXPECT_EQ(result.status, 0);
  expect_silent(result);
}

void expect_fine_preloaded(const std::string &name, const std::vector<std::string> &arguments = {}) {
  std::vector<std::string> words = {program(name)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  expect_fine(run(words));
}

void expect_fine_linked(const std::string &name) {
  How how;
  how.preload = false;
  expect_fine(run({program(name)}, how));
}

TEST(Dropin, KeepsMallocsContract) {
  expect_fine_preloaded("contract");
}

TEST(Dropin, CountsFreedBlocksThatWaitAsNeitherUsedNorFree) {
  expect_fine_preloaded("contract", {"held_back"});
}

TEST(Dropin, KeepsMallocsContractWhenLinkedIn) {
  expect_fine_linked("contract_linked");
}

TEST(Dropin, KeepsMallocsContractInAStaticProgram) {
  expect_fine_linked("contract_static");
}

TEST(Dropin, KeepsMallocsContractUnchecked) {
  expect_fine(run({program("contract")}, with("mode=off:heap=own")));
}

TEST(Dropin, KeepsMallocsContractWithoutQuarantineStacksOrFills) {
  expect_fine(run({program("contract")}, with("quarantine=0:stack_depth=0:fill=0:fill_alloc=0:move_below=0")));
}

// The library looks at them first: the system fails where it cannot read them.
TEST(Dropin, CallsWithPointersThatLeadNowhereFail) {
  for (const char *const mode : {"guard", "page", "sample", "off"}) {
    SCOPED_TRACE(mode);
    expect_fine(run({program("refused")}, with(std::string("mode=") + mode)));
  }
}

TEST(Dropin, ServesThreadsThatFreeEachOthersBlocksEndAndFork) {
  expect_fine_preloaded("threads");
}

TEST(Dropin, LetsAProcessEndWhileThreadsAreInsideMalloc) {
  expect_fine_preloaded("threads", {"leave"});
}

TEST(Dropin, ServesThreadsOfAStaticProgram) {
  expect_fine_linked("threads_static");
}

TEST(Dropin, ServesSignalHandlers) {
  expect_fine_preloaded("handlers");
}

TEST(Dropin, ServesSignalHandlersOfAStaticProgram) {
  expect_fine_linked("handlers_static");
}

TEST(Dropin, LosesNoFreeOfAHandlerThatInterruptedIt) {
  expect_fine_preloaded("deferred_frees");
}

TEST(Dropin, LosesNoFreeOfAHandlerThatInterruptedItInAStaticProgram) {
  expect_fine_linked("deferred_frees_static");
}

TEST(Dropin, FindsTheSecondOfTwoFreesAtTheSameMoment) {
  expect_fine_preloaded("frees_at_once");
}

TEST(Dropin, StartsChildrenInAllWays) {
  expect_fine_preloaded("children");
}

TEST(Dropin, HasAllFormsOfOperatorNewAndDelete) {
  expect_fine_preloaded("operators");
}

TEST(Dropin, HasAllFormsOfOperatorNewAndDeleteWhenLinkedIn) {
  expect_fine_linked("operators_linked");
}

// The program asks for two, in new_handlers.
TEST(Dropin, TellsOfAlignmentsThatOperatorNewCannotHave) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=sample"}) {
    Result const result = run({program("operators")}, with(std::string(mode) + ":rejected=1:halt=0"));
    EXPECT_EQ(std::count_if(result.findings.begin(), result.findings.end(),
                            [](const Json &finding) {
                              return finding["bug"].text == "invalid-allocation-alignment" &&
                                     finding["argument"].number == 24;
                            }),
              2)
        << mode;
  }
}

TEST(Dropin, ThrowsBadAllocInAStaticProgramThatHasNoOtherCodeForIt) {
  expect_fine_linked("out_of_memory_static");
}

TEST(Dropin, GoesByTheOperatorsThatAProgramReplaces) {
  expect_fine_preloaded("replaced");
}

TEST(Dropin, GoesByTheOperatorsThatAProgramReplacesWhenLinkedIn) {
  expect_fine_linked("replaced_linked");
}

// The operators of arrays alone.
TEST(Dropin, GoesByTheArrayOperatorsThatAProgramReplaces) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page", "mode=sample"}) {
    SCOPED_TRACE(mode);
    expect_fine(run({program("replaced_arrays")}, with(mode)));
  }
}

TEST(Dropin, GoesByTheArrayOperatorsThatAProgramReplacesWhenLinkedIn) {
  expect_fine_linked("replaced_arrays_linked");
}

// The runtime comes with the library, after ours was loaded.
TEST(Dropin, ThrowsBadAllocAndCallsTheNewHandlerInACxxLibraryOfACProgram) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=page", "mode=sample"}) {
    SCOPED_TRACE(mode);
    expect_fine(run({program("plugins"), program("libcxx_plugin.so"), "cxx"}, with(mode)));
  }
}

TEST(Dropin, TakesWhatAReplacedNewMadeWithAnyDelete) {
  expect_fine_preloaded("replaced_new");
}

TEST(Dropin, TakesWhatAReplacedNewMadeWithAnyDeleteWhenLinkedIn) {
  expect_fine_linked("replaced_new_linked");
}

TEST(Dropin, ServesLibrariesThatAreLoadedAndUnloaded) {
  expect_fine_preloaded("plugins", {program("libplugin.so")});
}

TEST(Dropin, LeavesLibrariesTheirOwnSymbolsFirstWhereAskedTo) {
  Result const result = run({program("plugins"), program("libplugin.so"), "deep"}, with("leaks=0:deepbind=1"));
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

TEST(Dropin, StandsBehindAMallocThatWrapsIt) {
  Result const good = run({program("wraps")}, with("summary=1"));
  EXPECT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(good.out, "wrapped\n");
  EXPECT_TRUE(good.findings.empty());
  EXPECT_GE(good.last("summary")["allocations"].number, 1);
  Result const bad = run({program("wraps"), "bad"});
  EXPECT_EQ(bad.status, 99) << bad.err;
  EXPECT_EQ(bad.findings.size(), 1U);
}

// Blocks of one malloc never reach the other's free: strdup and operator new go by the program's malloc.
TEST(Dropin, LeavesAProgramsOwnMallocAlone) {
  for (const char *const name : {"own_malloc", "own_malloc_new"}) {
    Result const bare = run_bare({program(name)});
    ASSERT_EQ(bare.status, 0) << bare.out;
    for (const char *const mode : {"mode=off", "mode=guard", "mode=page", "mode=sample"}) {
      Result const result = run({program(name)}, with(mode));
      EXPECT_EQ(result.status, 0) << name << ' ' << mode << ": " << result.out << result.err;
      EXPECT_EQ(result.out, bare.out) << mode;
      EXPECT_TRUE(result.findings.empty()) << mode;
    }
  }
}

TEST(Dropin, WorksInASmallAddressSpace) {
  How how;
  how.address_space = static_cast<size_t>(64) << 20;
  Result const result = run({program("memory_limits")}, how);
  EXPECT_NE(result.out.find("ok\n"), std::string::npos) << result.out;
  EXPECT_EQ(result.status, 0);
  expect_silent(result);
}

// The space of watched blocks is taken with the first of them, which by these seeds is the first of all.
TEST(Dropin, ServesInAVerySmallAddressSpaceWhicheverBlockIsWatched) {
  for (const char *const seed : {"5", "21", "44", "54"}) {
    for (size_t const limit : {12, 15, 17}) {
      How how = with(std::string("mode=guard:leaks=0:sample_seed=") + seed);
      how.address_space = limit << 20;
      Result const result = run({program("memory_limits"), "once"}, how);
      EXPECT_EQ(result.status, 0) << seed << " " << limit << ": " << result.out;
    }
  }
}

TEST(Dropin, WorksWithLittleWritableMemory) {
  for (const char *const mode : {"mode=off", "mode=guard", "mode=sample"}) {
    How how = with(mode);
    how.data = static_cast<size_t>(20) << 20;
    Result const result = run({program("memory_limits"), "once"}, how);
    EXPECT_EQ(result.status, 0) << mode << result.out;
    expect_silent(result);
  }
}

// A page for each would be 16 MiB, and the freed ones' as many again.
TEST(Dropin, LeavesTheProgramMostOfALimitOfMemory) {
  for (const size_t limit : {size_t{20} << 20, size_t{24} << 20}) {
    How how = with("mode=page");
    how.data = limit;
    Result const result = run({program("memory_limits"), "small_ones"}, how);
    EXPECT_EQ(result.out, "ok\n");
    EXPECT_EQ(result.status, 0);
    expect_silent(result);
  }
}

} // namespace
} // namespace ringfence_test
