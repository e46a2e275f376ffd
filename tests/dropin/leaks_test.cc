// A block that nothing points to is a leak, wherever it was lost; one that something points to is none, wherever it is.
#include "tests/dropin/run.h"

extern "C" {
#include "checkers/dropin/os/module.h"
}

#include <algorithm>
#include <dlfcn.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace ringfence_test {
namespace {

struct Lost {
  const char *name;       // in programs/leaks.c
  long long direct;       // blocks that nothing points to
  long long indirect;     // blocks that only these keep
  long long bytes_64_bit; // of all of them; 0: not told
};

void PrintTo(const Lost &lost, std::ostream *out) {
  *out << lost.name;
}

const Lost kLost[] = {
    {"one", 1, 0, 33},
    {"many_of_one_origin", 10, 0, 200},
    {"a_tree", 1, 3, 160},
    {"a_ring", 1, 1, 80},
    {"noted_in_a_freed_block", 1, 0, 33},
    {"overwritten", 1, 0, 33},
    {"pointed_to_behind_its_end", 1, 0, 100},
    {"pointed_to_behind_its_odd_end", 1, 0, 33},
    {"by_realloc", 1, 0, 500},
    {"by_the_c_library", 2, 0, 0},
    {"in_an_ended_thread", 1, 0, 33},
    {"after_the_first_thread", 1, 0, 33},
#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__i386__)) // elsewhere ended threads' stacks are not known
    {"in_the_first_frame_of_an_ended_thread", 1, 0, 33},
    {"in_an_ended_thread_s_storage", 1, 0, 33},
    {"as_the_result_of_an_ended_thread", 1, 0, 33},
    {"as_the_argument_of_an_ended_thread", 1, 0, 33},
    {"as_the_argument_of_an_ended_thread_below_another", 1, 0, 33},
    {"as_the_argument_of_a_detached_thread", 1, 0, 33},
#endif
    {"on_stacks_of_waiting_threads", 2, 0, 66},
};

const char *const kKept[] = {
    "kept_global",
    "kept_after_the_first_thread",
    "kept_thread_local",
    "kept_chain",
    "kept_by_an_interior_pointer",
    "kept_in_mapped_memory",
    "kept_in_memory_that_was_a_stack",
    "kept_in_read_only_memory",
    "kept_in_closed_memory",
    "kept_in_shared_memory_at_another_address",
    "kept_in_shared_memory_of_the_parent",
    "kept_by_a_tagged_pointer",
    "kept_in_a_big_sparse_block",
    "kept_in_code_made_at_run_time",
    "kept_in_code_across_two_pieces",
    "kept_in_code_at_the_last_byte_of_a_piece",
    "kept_in_code_across_two_lookups",
    "kept_in_code_where_the_kernel_copies_nothing",
    "kept_by_a_key",
    "kept_on_a_thread_s_stack",
    "kept_as_the_argument_of_a_thread",
    "kept_as_the_result_of_an_ended_thread",
    "kept_on_a_stack_that_is_used_again",
    "kept_in_a_thread_s_register",
    "kept_as_the_signal_stack",
    "kept_as_a_thread_s_signal_stack",
    "kept_by_epoll",
    "kept_by_a_timer",
    "kept_in_a_pipe",
    "kept_in_a_socket",
    "kept_beside_a_closed_page",
    "kept_beside_a_closed_page_of_a_big_block",
    "kept_beside_a_closed_page_of_a_sparse_block",
    "kept_by_the_c_library",
};

struct Sum {
  long long direct = 0;
  long long indirect = 0;
  long long bytes = 0;
};

Sum sum_of(const std::vector<Json> &findings) {
  Sum sum;
  for (const Json &finding : findings) {
    EXPECT_EQ(finding["bug"].text, "memory-leak");
    bool const direct = finding["detail"].text == "nothing points to it";
    (direct ? sum.direct : sum.indirect) += finding["blocks"].number;
    sum.bytes += finding["size"].number;
  }
  return sum;
}

void expect_lost(const Result &result, const Lost &lost) {
  Sum const sum = sum_of(result.findings);
  EXPECT_EQ(result.status, 99) << result.err;
  EXPECT_EQ(sum.direct, lost.direct);
  EXPECT_EQ(sum.indirect, lost.indirect);
  if (lost.bytes_64_bit != 0 && sizeof(void *) == 8) {
    EXPECT_EQ(sum.bytes, lost.bytes_64_bit);
  }
}

class LostBlock : public testing::TestWithParam<Lost> {};

INSTANTIATE_TEST_SUITE_P(Each, LostBlock, testing::ValuesIn(kLost),
                         [](const testing::TestParamInfo<Lost> &it) { return std::string(it.param.name); });

TEST_P(LostBlock, IsReportedWhenMainReturns) {
  expect_lost(run({program("leaks"), GetParam().name}), GetParam());
}

TEST_P(LostBlock, IsReportedWhenTheProgramCallsExit) {
  expect_lost(run({program("leaks"), GetParam().name, "exit"}), GetParam());
}

TEST_P(LostBlock, IsReportedInProgramsThatAreLinkedWithTheDropin) {
  How how;
  how.preload = false;
  expect_lost(run({program("leaks_linked"), GetParam().name}, how), GetParam());
  expect_lost(run({program("leaks_static"), GetParam().name}, how), GetParam());
}

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__i386__))
// A thread's stack has 2 MiB then.
TEST(Leaks, OfEndedThreadsAreFoundWhereStacksHaveNoLimit) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_STACK, &limit), 0);
  if (limit.rlim_max != RLIM_INFINITY) {
    GTEST_SKIP() << "the limit cannot be lifted";
  }
  for (const char *const name :
       {"as_the_argument_of_an_ended_thread", "as_the_argument_of_an_ended_thread_below_another"}) {
    Result const result = run({"/bin/sh", "-c", "ulimit -s unlimited; exec \"$@\"", "sh", program("leaks"), name});
    EXPECT_EQ(sum_of(result.findings).direct, 1) << name << result.err;
  }
}
#endif

class KeptBlock : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Each, KeptBlock, testing::ValuesIn(kKept),
                         [](const testing::TestParamInfo<const char *> &it) { return std::string(it.param); });

void expect_kept(const Result &result) {
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.findings.size(), 0U);
  EXPECT_EQ(result.last("summary")["leaks_checked"].kind, Json::kTrue);
}

TEST_P(KeptBlock, IsNotReported) {
  How how;
  how.options = "summary=1";
  expect_kept(run({program("leaks"), GetParam()}, how));
  expect_kept(run({program("leaks"), GetParam(), "exit"}, how));
  how.preload = false;
  expect_kept(run({program("leaks_static"), GetParam()}, how));
}

// The calls are looked at by the library alone.
TEST(Leaks, AreNoneOfBlocksThatWereHandedToTheSystem) {
  for (const char *const name : {"kept_by_a_signal", "kept_by_a_thread_s_signal", "kept_in_a_queue"}) {
    for (const char *const mode : {"mode=guard:summary=1", "mode=page:summary=1"}) {
      SCOPED_TRACE(name);
      expect_kept(run({program("leaks"), name}, with(mode)));
    }
  }
}

TEST(Leaks, AreNoneOfBlocksThatAClosedPageHolds) {
  for (const char *const mode : {"mode=guard", "mode=page", "mode=guard:watch=1"}) {
    EXPECT_EQ(run({program("vault")}, with(mode)).findings.size(), 0U) << mode;
    Result const lost = run({program("vault"), "lost"}, with(mode));
    ASSERT_EQ(lost.findings.size(), 1U) << mode;
    EXPECT_EQ(lost.findings[0]["size"].number, 80) << mode;
  }
}

// The program has but the address behind the number of elements, which is the block's end.
TEST(Leaks, AreNoneOfArraysWithoutElements) {
  for (const char *const mode : {"mode=guard:watch=0", "mode=page", "mode=page:align=1", "mode=guard:watch=1"}) {
    for (const char *const name : {"plain", "wide", "wider", "many"}) {
      Result const kept = run({program("empty_arrays"), name}, with(mode));
      EXPECT_EQ(kept.status, 0) << mode << " " << name << kept.err;
      EXPECT_EQ(kept.findings.size(), 0U) << mode << " " << name;
    }
    for (const char *const name : {"lost", "end_of_elements", "end_of_numbers", "end_of_zeros"}) {
      EXPECT_EQ(sum_of(run({program("empty_arrays"), name}, with(mode)).findings).direct, 1) << mode << " " << name;
    }
  }
}

// A thread that runs on has blocks in its registers, and moves them meanwhile.
TEST(Leaks, AreNotLookedForWhereThereIsNoRoomForTheSignalThatStopsThreads) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_SIGPENDING, &before), 0);
  rlimit const none = {0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_SIGPENDING, &none), 0);
  Result const result = run({program("leaks"), "kept_in_a_thread_s_register"}, with("summary=1"));
  Result const alone = run({program("leaks"), "one"}, with("summary=1"));
  ASSERT_EQ(setrlimit(RLIMIT_SIGPENDING, &before), 0);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.findings.size(), 0U);
  EXPECT_EQ(result.last("summary")["leaks_checked"].kind, Json::kFalse);
  EXPECT_EQ(result.last("summary")["leaks_unchecked_because"].text,
            "the system has no room for the signal that stops a thread (ulimit -i)");
  EXPECT_EQ(alone.findings.size(), 1U) << "there is nobody to stop";
}

TEST(Leaks, AreFoundOnDemand) {
  Result const lost = run({program("leaks"), "one", "demand"}, with("halt=0"));
  EXPECT_EQ(lost.out, "1\n");
  EXPECT_EQ(lost.findings.size(), 1U);
  EXPECT_EQ(run({program("leaks"), "kept_chain", "demand"}).out, "0\n");
}

TEST(Leaks, AreNotLookedForAtAbruptEnds) {
  Result const result = run({program("leaks"), "one", "_exit"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.findings.size(), 0U);
}

TEST(Leaks, OfOneOriginAreOneFinding) {
  Result const result = run({program("leaks"), "many_of_one_origin"});
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0]["blocks"].number, 10);
  EXPECT_EQ(result.findings[0]["size"].number, 200);
}

TEST(Leaks, AreNotReportedWhereTheOptionsSaySo) {
  Result const result = run({program("leaks"), "one"}, with("leaks=0"));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.findings.size(), 0U);
  Result const asked = run({program("leaks"), "one", "demand"}, with("leaks=0"));
  EXPECT_EQ(asked.out, "0\n");
  EXPECT_EQ(asked.findings.size(), 0U);
}

// A block that only the drop-in has a note of is the program's no more.
TEST(Leaks, AreFoundThoughTheLibraryHasTheirAddress) {
  expect_lost(run({program("leaks"), "noted_by_the_library"}), {"noted_by_the_library", 1, 0, 33});
}

TEST(Leaks, WhatIsReachableIsListedWhenAskedFor) {
  Result const result = run({program("leaks"), "kept_global"}, with("leaks=reachable"));
  bool listed = false;
  for (const Json &finding : result.findings) {
    listed = listed || (finding["size"].number == 33 && finding["detail"].text == "still reachable");
  }
  EXPECT_TRUE(listed);
}

// Stripped programs leave memory behind that nobody can name a line for.
TEST(Leaks, OfCodeWithoutNamesAreCountedNotReported) {
  Result const result = run({program("leaks_stripped"), "one"}, with("summary=1"));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.findings.size(), 0U);
  EXPECT_EQ(result.last("summary")["unlisted_leaked_blocks"].number, 1);
  EXPECT_EQ(result.last("summary")["unlisted_leaked_bytes"].number, 33);
  Result const all = run({program("leaks_stripped"), "one"}, with("leaks=all"));
  EXPECT_EQ(all.status, 99);
  EXPECT_EQ(all.findings.size(), 1U);
}

TEST(Leaks, AModuleIsTheUsersOutsideTheSystemsFolders) {
  for (const char *const path : {"/home/u/a", "/opt/x/lib.so", "/tmp/a", "/usr/local/bin/a", "/usr/local/lib/libx.so",
                                 "/usr/src/app/a", "/library/a", "/libs/a.so", "/usrx/a", "", "[vdso]"}) {
    EXPECT_TRUE(rf_module_is_users(path)) << path;
  }
  for (const char *const path :
       {"/usr/bin/a", "/usr/lib/jvm/java/lib/server/libjvm.so", "/usr/lib/x86_64-linux-gnu/libz.so.1", "/lib/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2", "/bin/sh", "/usr/localx/a"}) {
    EXPECT_FALSE(rf_module_is_users(path)) << path;
  }
}

// Its libraries have symbol tables.
TEST(Leaks, OfJavaAreCountedNotReported) {
  std::string const java = find_in_path("java");
  if (java.empty() || sizeof(void *) == 4) {
    GTEST_SKIP() << "needs java of 64 bits";
  }
  Result const result = run({java, "-version"}, with("summary=1"));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(result.findings.empty());
  EXPECT_EQ(result.last("summary")["leaks_checked"].kind, Json::kTrue);
}

// Memory that the C library asked for on a program's behalf is the program's.
TEST(Leaks, AreTracedThroughTheCLibrary) {
  Result const result = run({program("leaks"), "by_the_c_library"});
  for (const Json &finding : result.findings) {
    bool named = false;
    for (const Json &frame : finding["allocated"]["frames"].items) {
      named = named || frame["module"].text == program("leaks");
    }
    EXPECT_TRUE(named);
  }
}

// libstdc++ is built without frame pointers; so is this program.
TEST(Leaks, OfTheCxxLibraryAreTracedToTheProgramsCall) {
  Result const result = run({program("strings")});
  ASSERT_EQ(result.findings.size(), 1U) << result.err;
  const std::vector<Json> &frames = result.findings[0]["allocated"]["frames"].items;
  ASSERT_GE(frames.size(), 2U);
  EXPECT_NE(frames[0]["module"].text.find("libstdc++"), std::string::npos);
  bool reached = false;
  for (const Json &frame : frames) {
    reached = reached || frame["module"].text == program("strings");
  }
  EXPECT_TRUE(reached);
}

bool leads_through(const Json &finding, const std::string &module) {
  const std::vector<Json> &frames = finding["allocated"]["frames"].items;
  return std::any_of(frames.begin(), frames.end(), [&](const Json &frame) { return frame["module"].text == module; });
}

// No frame pointers there; the one frame that differs is the caller's caller.
TEST(Leaks, ThroughAWrapperOfMallocAreToldApart) {
  for (const char *const name : {"xmalloc", "xmalloc_linked", "xmalloc_static"}) {
    How how;
    how.preload = std::string(name) == "xmalloc";
    Result const result = run({program(name)}, how);
    EXPECT_EQ(result.findings.size(), 2U) << name << result.err;
  }
}

// Facts about a library's code do not hold for the next library in its place.
TEST(Leaks, InALibraryInThePlaceOfAnotherHaveItsStacks) {
  std::vector<std::string> arguments = {program("shapes")};
  for (int i = 0; i < 6; i++) {
    arguments.push_back(program(i % 2 == 0 ? "libshape1000.so" : "libshape2000.so"));
  }
  Result const result = run(arguments);
  ASSERT_FALSE(result.findings.empty()) << result.err;
  size_t blocks = 0;
  for (const Json &finding : result.findings) {
    EXPECT_TRUE(leads_through(finding, program("shapes")));
    blocks += static_cast<size_t>(finding["blocks"].number);
  }
  EXPECT_EQ(blocks, 6U);
  EXPECT_EQ(result.out.find(result.out.substr(0, result.out.find('\n')), 1) != std::string::npos, true)
      << "they are not in one place: " << result.out;
}

// Their code is gone when they are found.
TEST(Leaks, InALibraryThatWasUnloadedHaveTheirPlacesInIt) {
  Result const result = run({program("plugins"), program("libplugin.so"), "leak"});
  EXPECT_EQ(result.status, 99) << result.err;
  ASSERT_EQ(result.findings.size(), 2U);
  std::string offsets[2];
  for (size_t i = 0; i < 2; i++) {
    const Json &frame = result.findings[i]["allocated"]["frames"].items.at(0);
    EXPECT_NE(frame["module"].text.find("libplugin.so"), std::string::npos) << frame["module"].text;
    offsets[i] = frame["offset"].text;
  }
  EXPECT_NE(offsets[0], offsets[1]);
}

#if defined(DLFO_STRUCT_HAS_EH_DBASE)

// Whether it has names cannot be told any more.
TEST(Leaks, InALibraryWhoseFileWasDeletedAreTold) {
  std::string const copy = testing::TempDir() + "/deleted_plugin.so";
  std::ofstream(copy, std::ios::binary) << std::ifstream(program("libplugin.so"), std::ios::binary).rdbuf();
  Result const result = run({program("plugins"), copy, "deleted"});
  EXPECT_EQ(result.status, 99) << result.err;
  ASSERT_EQ(result.findings.size(), 1U);
  const Json &frame = result.findings[0]["allocated"]["frames"].items.at(0);
  EXPECT_NE(frame["module"].text.find("deleted_plugin.so"), std::string::npos) << frame["module"].text;
}

#endif

// A library of LD_AUDIT sees all calls between modules, the drop-in's own as well. The loader keeps a table of each
// module's calls, which it never frees.
TEST(Leaks, OfTheProgramAloneAreToldWhereALibraryAuditsIt) {
  How how;
  how.environment = {{"LD_AUDIT", program("libaudit.so")}};
  for (const char *const mode : {"mode=guard", "mode=page", "mode=sample:sample_rate=1"}) {
    how.options = mode;
    Result const fine = run({program("memory_limits"), "once_elsewhere"}, how);
    EXPECT_EQ(fine.status, 0) << mode << fine.err;
    EXPECT_TRUE(fine.findings.empty()) << mode;
  }
  how.options = "mode=guard";
  Result const result = run({program("plugins"), program("libplugin.so"), "leak"}, how);
  EXPECT_EQ(result.status, 99) << result.err;
  ASSERT_EQ(result.findings.size(), 2U);
  for (const Json &finding : result.findings) {
    EXPECT_TRUE(leads_through(finding, program("libplugin.so")));
  }
}

TEST(Leaks, DirectOnesComeFirst) {
  Result const result = run({program("leaks"), "a_tree"});
  ASSERT_GE(result.findings.size(), 2U);
  for (size_t i = 0; i < result.findings.size(); i++) {
    EXPECT_EQ(result.findings[i]["detail"].text == "nothing points to it", i == 0) << i;
  }
}

TEST(Leaks, OfEachPathAreToldApartTheLargestFirst) {
  Result const result = run({program("leaks"), "by_many_paths"}, with("max_findings=1000"));
  EXPECT_EQ(result.findings.size(), 256U);
  for (size_t i = 0; i < result.findings.size(); i++) {
    EXPECT_EQ(result.findings[i]["blocks"].number, 1) << i;
    EXPECT_EQ(result.findings[i]["size"].number, static_cast<long long>(355 - i));
  }
}

} // namespace
} // namespace ringfence_test
