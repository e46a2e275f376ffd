#include "tools/ringfence/model/merge.h"

#include "tools/ringfence/model/frame_view.h"

#include <deque>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

class Merge : public testing::Test {
protected:
  ~Merge() override { rf_bump_arena_free(&arena_); }

  // A double free in process `pid`, its stack innermost first.
  rf_record &add(uint32_t pid, const std::vector<std::pair<const char *, uint64_t>> &stack) {
    all_.emplace_back();
    rf_record &record = all_.back();
    record.times = 1;
    record.processes = 1;
    frames_.emplace_back(stack.size());
    for (size_t i = 0; i < stack.size(); i++) {
      frames_.back()[i].module = stack[i].first;
      frames_.back()[i].offset = stack[i].second;
      frames_.back()[i].address = stack[i].second + pid * 0x100000; // as if each were loaded elsewhere
    }
    record.finding.bug = RF_BUG_DOUBLE_FREE;
    record.finding.allocator = "malloc";
    record.finding.process = pid;
    record.found = {frames_.back().data(), static_cast<unsigned>(stack.size()), 0};
    list_.push_back(&record);
    return record;
  }

  size_t merge() { return rf_merge(list_.data(), list_.size()); }

  std::vector<rf_record *> list_;

private:
  rf_bump_arena arena_ = {nullptr};
  std::deque<rf_record> all_;
  std::deque<std::vector<rf_frame>> frames_;
};

TEST_F(Merge, NothingStaysNothing) {
  EXPECT_EQ(merge(), 0u);
}

TEST_F(Merge, CountsTheSamePlaceOnce) {
  add(1, {{"p", 0x10}});
  add(1, {{"p", 0x10}});
  add(2, {{"p", 0x10}});
  ASSERT_EQ(merge(), 1u);
  EXPECT_EQ(list_[0]->times, 3u);
  EXPECT_EQ(list_[0]->processes, 2u);
}

// A board that was reset while it told of a finding tells of it again.
TEST_F(Merge, ShowsTheFindingOfWhichMostArrived) {
  add(1, {{"p", 0x10}}).lost = 2;
  add(1, {{"p", 0x10}}).finding.sequence = 7;
  add(1, {{"p", 0x10}}).lost = 1;
  add(2, {{"p", 0x10}});
  ASSERT_EQ(merge(), 1u);
  EXPECT_EQ(list_[0]->lost, 0u);
  EXPECT_EQ(list_[0]->finding.sequence, 7u);
  EXPECT_EQ(list_[0]->times, 4u);
  EXPECT_EQ(list_[0]->processes, 2u);
}

TEST_F(Merge, CountsTheProcessesOfEachPlace) {
  for (const uint64_t offset : {0x10, 0x20}) {
    for (const uint32_t pid : {1U, 2U, 1U}) {
      add(pid, {{"p", offset}});
    }
  }
  ASSERT_EQ(merge(), 2u);
  EXPECT_EQ(list_[0]->processes, 2u);
  EXPECT_EQ(list_[1]->processes, 2u);
}

// Each container has a process 1.
TEST_F(Merge, CountsProcessesOfOneNumberInEachFile) {
  for (const char *const input : {"one", "one", "other"}) {
    add(1, {{"p", 0x10}}).input = input;
  }
  ASSERT_EQ(merge(), 1u);
  EXPECT_EQ(list_[0]->times, 3u);
  EXPECT_EQ(list_[0]->processes, 2u);
}

// Such a record names one of its processes.
TEST_F(Merge, CountsTheProcessesOfWhatWasMergedBefore) {
  for (const uint32_t pid : {1U, 1U, 2U}) {
    rf_record &record = add(pid, {{"p", 0x10}});
    record.times = 5;
    record.processes = 3;
  }
  ASSERT_EQ(merge(), 1u);
  EXPECT_EQ(list_[0]->times, 15u);
  EXPECT_EQ(list_[0]->processes, 8u) << "all but the one that is there twice";
}

TEST_F(Merge, KeepsTheOrderAndTheFirstOfEach) {
  rf_record &a = add(1, {{"p", 0x99}});
  rf_record &b = add(1, {{"p", 0x10}});
  add(1, {{"p", 0x99}});
  ASSERT_EQ(merge(), 2u);
  EXPECT_EQ(list_[0], &a);
  EXPECT_EQ(list_[1], &b);
  EXPECT_EQ(list_[0]->times, 2u);
}

// Runs of a hunt are the same program again: what each met is not added up.
TEST_F(Merge, OfSeveralRunsTheMostCounts) {
  for (unsigned const times : {2U, 5U, 3U}) {
    rf_record &record = add(times, {{"p", 0x10}});
    record.run_number = times;
    record.times = times;
  }
  ASSERT_EQ(merge(), 1U);
  EXPECT_EQ(list_[0]->times, 5U);
}

TEST_F(Merge, OfSeveralRunsTheFirstThatFoundTheAccessIsKept) {
  rf_record *const records[] = {&add(1, {{"p", 0x10}}), &add(2, {{"p", 0x10}}), &add(3, {{"p", 0x10}})};
  for (unsigned i = 0; i < 3; i++) {
    records[i]->run_number = i + 1;
    records[i]->finding.at_access = i != 0;
  }
  ASSERT_EQ(merge(), 1U);
  EXPECT_EQ(list_[0], records[1]);
}

// A run has a record each time that it meets the place.
TEST_F(Merge, OfSeveralRunsTheOneThatMetItMostOftenCounts) {
  for (unsigned const run : {1U, 1U, 2U, 2U, 2U, 3U}) {
    rf_record &record = add(run, {{"p", 0x10}});
    record.run_number = run;
    record.finding.at_access = run != 1;
  }
  ASSERT_EQ(merge(), 1U);
  EXPECT_EQ(list_[0]->run_number, 2U) << "the first at the instruction";
  EXPECT_EQ(list_[0]->times, 3U);
  EXPECT_EQ(list_[0]->processes, 1U);
}

TEST_F(Merge, TellsModulesKindsAndAllocatorsApart) {
  add(1, {{"p", 0x10}});
  add(1, {{"q", 0x10}});
  add(1, {{"p", 0x10}}).finding.bug = RF_BUG_BAD_FREE;
  add(1, {{"p", 0x10}}).finding.allocator = "tlsf";
  EXPECT_EQ(merge(), 4u);
}

TEST_F(Merge, PassesOverWhatIsNoCodeOfAModule) {
  add(1, {{"p", 1}, {nullptr, 0x70001000}, {"p", 3}});
  add(1, {{"p", 1}, {nullptr, 0x70002000}, {"p", 3}});
  add(1, {{nullptr, 0x70003000}, {"p", 3}}); // code made at run time
  add(1, {{nullptr, 0x70004000}, {"p", 3}});
  add(1, {{"/usr/lib/libc.so.6", 9}, {nullptr, 0x70003000}, {"p", 4}}); // such code behind the C library's
  add(1, {{"/usr/lib/libc.so.6", 9}, {nullptr, 0x70004000}, {"p", 4}});
  EXPECT_EQ(merge(), 5u);
}

TEST_F(Merge, LooksAtFiveFrames) {
  add(1, {{"p", 1}, {"p", 2}, {"p", 3}, {"p", 4}, {"p", 5}, {"p", 6}});
  add(1, {{"p", 1}, {"p", 2}, {"p", 3}, {"p", 4}, {"p", 5}, {"p", 7}});
  add(1, {{"p", 1}, {"p", 2}, {"p", 3}, {"p", 4}, {"p", 8}, {"p", 6}});
  EXPECT_EQ(merge(), 2u);
}

TEST_F(Merge, WhereAllFramesAreTheRuntimesTheyCount) {
  for (const uint64_t offset : {0x10, 0x20, 0x10}) {
    add(1, {{"/usr/lib/libc.so.6", offset}, {"/usr/lib/libc.so.6", 0x30}});
  }
  ASSERT_EQ(merge(), 2u);
  EXPECT_EQ(list_[0]->times, 2u);
  EXPECT_EQ(list_[1]->times, 1u);
}

// One that the five frames do not tell apart, as behind a recursion, or behind functions that do not count.
TEST_F(Merge, BugsOfTwoFingerprintsAreTwo) {
  for (const char *const fingerprint : {"a", "b", "a"}) {
    add(1, {{"p", 0x10}}).fingerprint = fingerprint;
  }
  ASSERT_EQ(merge(), 2u);
  EXPECT_EQ(list_[0]->times, 2u);
}

TEST_F(Merge, TwoCallsOnOneLineAreOnePlace) {
  rf_source line = {"load", "load.c", 7};
  for (uint64_t const offset : {0x10, 0x20}) {
    add(1, {{"p", offset}});
  }
  for (rf_record *const r : list_) {
    r->found.frames[0].sources = &line;
    r->found.frames[0].source_count = 1;
  }
  ASSERT_EQ(merge(), 1u);
  EXPECT_EQ(list_[0]->times, 2u);
}

TEST_F(Merge, OneLineInlinedIntoTwoFunctionsIsTwoPlaces) {
  rf_source here[] = {{"xmalloc", "x.h", 7}, {"load", "load.c", 9}};
  rf_source there[] = {{"xmalloc", "x.h", 7}, {"save", "save.c", 9}};
  rf_frame &one = add(1, {{"p", 0x10}}).found.frames[0];
  rf_frame &other = add(1, {{"p", 0x20}}).found.frames[0];
  one.sources = here;
  other.sources = there;
  one.source_count = other.source_count = 2;
  EXPECT_EQ(merge(), 2u);
}

// Neighbouring parts of two stacks that would be one text if they were written without what is between them.
TEST_F(Merge, WherePartsOfAStackBeginMatters) {
  add(1, {{"p", 1}, {"1q", 2}});
  add(1, {{"p", 11}, {"q", 2}});
  rf_source const one[] = {{"f", "a", 1}, {"2g", "b", 3}};
  rf_source const other[] = {{"f", "a", 12}, {"g", "b", 3}};
  for (const rf_source *const sources : {one, other}) {
    rf_frame &frame = add(1, {{"p", 0x10}}).found.frames[0];
    frame.sources = const_cast<rf_source *>(sources);
    frame.source_count = 2;
  }
  EXPECT_EQ(merge(), 4u);
}

TEST_F(Merge, WhereTheSecondStackBeginsMatters) {
  rf_frame frames[3] = {};
  for (unsigned i = 0; i < 3; i++) {
    frames[i].module = "p";
    frames[i].offset = i + 1;
  }
  for (unsigned const cut : {1U, 2U}) {
    rf_record &record = add(1, {});
    record.finding.bug = RF_BUG_USE_AFTER_FREE;
    record.found = {frames, cut, 0};
    record.allocated = {frames + cut, 3 - cut, 0};
  }
  EXPECT_EQ(merge(), 2u);
}

TEST_F(Merge, HalfKnownLinesAreNone) {
  rf_source half[] = {{nullptr, "a.c", 7}, {"f", nullptr, 7}, {"f", "a.c", 0}};
  for (rf_source &source : half) {
    for (uint64_t const offset : {1, 2}) {
      rf_frame &frame = add(1, {{source.function, offset}}).found.frames[0];
      frame.module = "p";
      frame.offset = offset + 10 * static_cast<uint64_t>(&source - half);
      frame.sources = &source;
      frame.source_count = 1;
    }
  }
  EXPECT_EQ(merge(), 6u) << "told apart by their offsets";
}

TEST_F(Merge, LeaksOfOnePlaceAddUp) {
  for (size_t const size : {100, 20}) {
    rf_finding &f = add(1, {}).finding;
    f.bug = RF_BUG_LEAK;
    f.size = size;
    f.blocks = 2;
  }
  ASSERT_EQ(merge(), 1u);
  EXPECT_EQ(list_[0]->finding.size, 120u);
  EXPECT_EQ(list_[0]->finding.blocks, 4u);
}

// The text of the one is not true of the other.
TEST_F(Merge, DirectAndIndirectLeaksOfOnePlaceAreTwo) {
  for (const char *const detail : {"nothing points to it", "only leaked blocks point to it", "nothing points to it"}) {
    rf_finding &f = add(1, {}).finding;
    f.bug = RF_BUG_LEAK;
    f.detail = detail;
    f.size = 8;
    f.blocks = 1;
  }
  ASSERT_EQ(merge(), 2u);
  EXPECT_EQ(list_[0]->finding.blocks, 2u);
  EXPECT_EQ(list_[1]->finding.blocks, 1u);
}

TEST_F(Merge, LooksThroughAllocatorAndLibc) {
  add(1, {{"/lib/libc.so.6", 7}, {"/opt/libringfence.so", 8}, {"p", 1}});
  add(1, {{"/lib/libc.so.6", 9}, {"p", 1}});
  EXPECT_EQ(merge(), 1u);
}

TEST_F(Merge, DamageIsTheSameWhereTheBlocksComeFromTheSamePlace) {
  rf_record &first = add(1, {{"p", 1}});
  rf_record &second = add(1, {{"p", 2}});
  rf_record &third = add(1, {{"p", 1}});
  rf_frame here = {};
  rf_frame there = {};
  here.module = there.module = "p";
  here.offset = 0x50;
  there.offset = 0x60;
  for (rf_record *const r : list_) {
    r->finding.bug = RF_BUG_BUFFER_OVERFLOW;
    r->finding.allocated.depth = 1;
  }
  first.allocated = {&here, 1, 0};
  second.allocated = {&here, 1, 0};
  third.allocated = {&there, 1, 0};
  ASSERT_EQ(merge(), 2u);
  EXPECT_EQ(list_[0]->times, 2u);
}

TEST_F(Merge, CallSitesAreThePlaceWhereThereAreNoStacks) {
  const rf_site a = {"a.c", "f", 1};
  const rf_site b = {"a.c", "f", 2};
  add(1, {}).finding.found.site = &a;
  add(1, {}).finding.found.site = &b;
  add(1, {}).finding.found.site = &a;
  EXPECT_EQ(merge(), 2u);
}

TEST(RuntimeFrame, IsKnownByFunctionToo) {
  rf_source source = {nullptr, nullptr, 0};
  rf_frame frame = {};
  frame.module = "/bin/static-program";
  frame.sources = &source;
  frame.source_count = 1;
  for (const char *const name : {"malloc", "free", "operator new(unsigned long)", "operator delete[](void*)",
                                 "__interceptor_free", "__asan_memcpy"}) {
    source.function = name;
    EXPECT_TRUE(rf_is_runtime_frame(&frame)) << name;
  }
  for (const char *const name : {"main", "free_list", "mallocate", "my_malloc"}) {
    source.function = name;
    EXPECT_FALSE(rf_is_runtime_frame(&frame)) << name;
  }
}

TEST(RuntimeFrame, IsWhatTheHeadersOfTheCxxLibraryLeftInTheProgram) {
  rf_source sources[] = {
      {"std::__new_allocator<int>::allocate(unsigned long, void const*)", "/usr/include/c++/12/bits/new_allocator.h",
       137},
      {"std::vector<int>::push_back(int&&)", "/usr/include/c++/12/bits/stl_vector.h", 1294},
      {"fill(std::vector<int>&)", "/home/me/fill.cc", 7},
  };
  rf_frame frame = {};
  frame.module = "/home/me/program";
  frame.sources = sources;
  frame.source_count = 2;
  EXPECT_TRUE(rf_is_runtime_frame(&frame));
  frame.source_count = 3;
  EXPECT_FALSE(rf_is_runtime_frame(&frame)) << "inlined into the program's own function";
}

// The function that names the place of a finding whose stack has these calls, in one frame or in a frame each.
std::string place_of(std::vector<rf_source> calls, bool inlined) {
  std::vector<rf_frame> frames(inlined ? 1 : calls.size());
  for (size_t i = 0; i < frames.size(); i++) {
    frames[i].module = "/home/me/program";
    frames[i].sources = &calls[i];
    frames[i].source_count = inlined ? calls.size() : 1;
  }
  rf_record record = {};
  record.allocated.frames = frames.data();
  record.allocated.count = static_cast<unsigned>(frames.size());
  rf_bump_arena arena = {};
  rf_stack_view const view = rf_stack_view_of(&arena, &record, RF_STACK_ALLOCATED);
  std::string const place = rf_frame_view_text(&arena, rf_stack_view_top(&view), nullptr);
  rf_bump_arena_free(&arena);
  return place;
}

TEST(Place, IsInTheProgramNotInAHeaderOfTheSystemsThatItsCodeIsFrom) {
  rf_source const own = {"load", "/home/me/load.c", 7};
  rf_source const others[] = {
      {"memcpy", "/usr/include/x86_64-linux-gnu/bits/string_fortified.h", 29},
      {"std::__new_allocator<int>::allocate(unsigned long, void const*)", "/usr/include/c++/12/bits/new_allocator.h",
       137},
      {"std::vector<int>::push_back", "/opt/llvm/include/c++/v1/vector", 1294},
      {"alloc::vec::from_elem", "/rustc/59807616e1fa/library/alloc/src/vec/mod.rs", 3651},
      {"hashbrown::raw::RawTable<T,A>::reserve", "/rust/deps/hashbrown-0.16.1/src/raw/mod.rs", 962},
      {"alloc::alloc::alloc", "/usr/src/rustc-1.63.0/library/alloc/src/alloc.rs", 95},
      {"core::mem::drop", "/home/me/.rustup/x/lib/rustlib/src/rust/library/core/src/mem/mod.rs", 975},
      {"_mm_store_ps", "/usr/lib/gcc/x86_64-linux-gnu/12/include/xmmintrin.h", 960},
  };
  for (const rf_source &other : others) {
    EXPECT_EQ(place_of({other, own}, true), "load /home/me/load.c:7") << other.function;
    EXPECT_EQ(place_of({other, own}, false), "load /home/me/load.c:7") << other.function;
  }
  for (const char *const file : {"/usr/local/include/mine.h", "/usr/src/mine/mine.c", "mine.h"}) {
    rf_source const inner = {"inner", file, 3};
    EXPECT_EQ(place_of({inner, own}, true), std::string("inner ") + file + ":3");
  }
}

TEST(Place, IsNotInAFunctionOfRustsLibraryThatHasNoLines) {
  const char *const library[] = {"alloc::raw_vec::RawVec<T,A>::grow_one", "<alloc::vec::Vec<u8>>::push",
                                 "hashbrown::raw::RawTable<T,A>::reserve_rehash", "__rustc::__rust_alloc"};
  const char *const others[] = {"alloc::get", "core::get", "a::alloc::vec::get", "alloc_alloc"};
  const auto top = [](const char *inner, bool looked_up) {
    rf_source symbol = {inner, nullptr, 0};
    rf_frame frames[2] = {};
    frames[0].function = looked_up ? nullptr : inner;
    frames[0].sources = &symbol;
    frames[0].source_count = looked_up ? 1 : 0;
    frames[1].function = "app::main";
    frames[0].module = frames[1].module = "/home/me/program";
    rf_record record = {};
    record.allocated.frames = frames;
    record.allocated.count = 2;
    rf_bump_arena arena = {};
    rf_stack_view const view = rf_stack_view_of(&arena, &record, RF_STACK_ALLOCATED);
    std::string const name = rf_stack_view_top(&view)->function;
    rf_bump_arena_free(&arena);
    return name;
  };
  for (const char *const function : library) {
    EXPECT_EQ(top(function, false), "app::main") << function;
    EXPECT_EQ(top(function, true), "app::main") << function;
  }
  for (const char *const function : others) {
    EXPECT_EQ(top(function, false), function);
    EXPECT_EQ(top(function, true), function);
  }
}

TEST(Place, IsTheCallSiteThatTheAllocatorKnows) {
  rf_site const site = {"/home/me/load.c", "load", 7};
  rf_frame frames[2] = {};
  frames[0].module = "/lib/libc.so.6";
  frames[0].function = "malloc";
  frames[1].module = "/home/me/program";
  frames[1].function = "main";
  rf_record record = {};
  record.allocated.frames = frames;
  record.allocated.count = 2;
  record.finding.allocated.site = &site;
  rf_bump_arena arena = {};
  rf_stack_view const view = rf_stack_view_of(&arena, &record, RF_STACK_ALLOCATED);
  ASSERT_EQ(view.count, 2U);
  EXPECT_FALSE(view.list[0].runtime);
  EXPECT_EQ(rf_stack_view_top(&view), &view.list[0]);
  EXPECT_STREQ(rf_frame_view_text(&arena, &view.list[0], nullptr), "load /home/me/load.c:7");
  rf_bump_arena_free(&arena);
}

TEST(Place, IsInAHeaderOfTheSystemsWhereNothingElseIsKnown) {
  rf_source const header = {"memcpy", "/usr/include/bits/string_fortified.h", 29};
  rf_source const nameless = {"load", nullptr, 0};
  EXPECT_EQ(place_of({header}, true), "memcpy /usr/include/bits/string_fortified.h:29");
  EXPECT_EQ(place_of({nameless, header}, false), "memcpy /usr/include/bits/string_fortified.h:29");
}

} // namespace
