// Snapshots of what is live, by call site, and their differences.
#include <ringfence/snapshot.h>

#include "tests/checkers/guard_fixture.h"
#include "tests/checkers/json_value.h"
#include "tests/checkers/sample_finding.h"
#include "tests/checkers/unwinder_path.h"

#include <ringfence/lock.h>
#include <ringfence/port.h>
#include <ringfence/tlsf.h>

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <vector>

namespace ringfence {
namespace {

class Snapshot : public testing::Test {
protected:
  Snapshot() {
    rf_tlsf_init(&heap_, arena_.data(), arena_.size());
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.leaks_at_deinit = false;
    rf_guard_init(&guard_, &heap_.base, &options);
    rf_snapshot_init(&before_, "before", before_sites_.data(), before_sites_.size());
    rf_snapshot_init(&after_, "after", after_sites_.data(), after_sites_.size());
  }
  ~Snapshot() override { rf_deinit(&guard_.base); }

  void *here(size_t size) { return rf_alloc(&guard_.base, size); }
  void *there(size_t size) { return rf_alloc(&guard_.base, size); }

  rf_status take(rf_snapshot &s) { return rf_snapshot_take(&s, &guard_.base, &guard_); }
  std::vector<rf_snapshot_delta> deltas(const rf_snapshot *before = nullptr) {
    std::vector<rf_snapshot_delta> all;
    rf_snapshot_delta one;
    for (size_t cursor = 0; rf_snapshot_next(&after_, before, &cursor, &one);) {
      all.push_back(one);
    }
    return all;
  }
  std::string text(const rf_snapshot *before = nullptr) {
    TextSink out;
    rf_snapshot_text(&after_, before, nullptr, out.sink());
    return out.text();
  }
  Json json(const rf_snapshot *before = nullptr) {
    TextSink out;
    Json value;
    rf_snapshot_json(&after_, before, 42, nullptr, out.sink());
    EXPECT_TRUE(Json::parse(out.text(), value)) << out.text();
    return value;
  }

  alignas(64) std::array<unsigned char, 64 * 1024> arena_ = {};
  rf_tlsf heap_;
  rf_guard guard_;
  std::array<rf_snapshot_site, 16> before_sites_;
  std::array<rf_snapshot_site, 16> after_sites_;
  rf_snapshot before_;
  rf_snapshot after_;
};

TEST_F(Snapshot, OfNothingIsEmpty) {
  EXPECT_EQ(take(after_), RF_OK);
  EXPECT_EQ(after_.blocks, 0U);
  EXPECT_EQ(after_.bytes, 0U);
  EXPECT_TRUE(deltas().empty());
  EXPECT_EQ(text(), "ringfence: snapshot \"after\" of tlsf: 0 blocks, 0 bytes live\n");
}

TEST_F(Snapshot, CountsLiveBlocksByCallSite) {
  here(10);
  here(20);
  there(100);
  rf_free(&guard_.base, there(7)); // in the quarantine: not live
  EXPECT_EQ(take(after_), RF_OK);
  EXPECT_EQ(after_.blocks, 3U);
  EXPECT_EQ(after_.bytes, 130U);
  EXPECT_EQ(after_.count, 2U);
  std::vector<rf_snapshot_delta> const all = deltas();
  ASSERT_EQ(all.size(), 2U);
  const rf_snapshot_delta &of_here = all[0].blocks == 2 ? all[0] : all[1];
  EXPECT_EQ(of_here.blocks, 2);
  EXPECT_EQ(of_here.bytes, 30);
  ASSERT_NE(of_here.allocated->site, nullptr);
  EXPECT_STREQ(of_here.allocated->site->function, "here");
}

TEST_F(Snapshot, TakenAnewForgetsWhatWasBefore) {
  void *const p = here(10);
  take(after_);
  rf_free(&guard_.base, p);
  take(after_);
  EXPECT_EQ(after_.blocks, 0U);
  EXPECT_EQ(after_.count, 0U);
}

TEST_F(Snapshot, TheDifferenceIsWhatWasAllocatedSinceAndNotFreed) {
  here(10);
  void *const freed = there(50);
  take(before_);
  here(11);
  here(12);
  rf_free(&guard_.base, freed);
  rf_free(&guard_.base, here(99));
  take(after_);
  std::vector<rf_snapshot_delta> const all = deltas(&before_);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_STREQ(all[0].allocated->site->function, "here");
  EXPECT_EQ(all[0].blocks, 2);
  EXPECT_EQ(all[0].bytes, 23);
  EXPECT_STREQ(all[1].allocated->site->function, "there");
  EXPECT_EQ(all[1].blocks, -1);
  EXPECT_EQ(all[1].bytes, -50);
}

TEST_F(Snapshot, WhatDidNotChangeIsNoDifference) {
  here(10);
  take(before_);
  take(after_);
  EXPECT_TRUE(deltas(&before_).empty());
  EXPECT_EQ(text(&before_), "ringfence: from \"before\" to \"after\" of tlsf: 0 blocks, 0 bytes\n");
}

TEST_F(Snapshot, WhatFindsNoRoomIsCounted) {
  rf_snapshot_init(&after_, "after", after_sites_.data(), 1);
  here(10);
  here(10);
  there(100);
  take(after_);
  EXPECT_EQ(after_.blocks, 3U);
  EXPECT_EQ(after_.bytes, 120U);
  EXPECT_EQ(after_.count, 1U);
  EXPECT_EQ(deltas().size(), 1U);
  EXPECT_EQ(after_.omitted_blocks + static_cast<size_t>(deltas()[0].blocks), 3U);
  EXPECT_EQ(after_.omitted_bytes + static_cast<size_t>(deltas()[0].bytes), 120U);
  EXPECT_NE(text().find(" blocks of call sites that did not fit\n"), std::string::npos);
  for (size_t const capacity : {5, 0}) {
    rf_snapshot_init(&after_, "after", nullptr, capacity);
    take(after_);
    EXPECT_EQ(after_.omitted_blocks, 3U);
    EXPECT_EQ(after_.omitted_bytes, 120U);
  }
  EXPECT_EQ(json()["omitted_blocks"].number, 3);
}

TEST_F(Snapshot, WhatFoundNoRoomInEitherIsCountedInTheDifference) {
  rf_snapshot_init(&before_, "before", nullptr, 0);
  rf_snapshot_init(&after_, "after", nullptr, 0);
  here(10);
  take(before_);
  there(100);
  take(after_);
  EXPECT_EQ(json(&before_)["omitted_blocks"].number, 3);
}

TEST_F(Snapshot, ASiteWithOtherBytesInAsManyBlocksIsADifference) {
  void *const p = here(10);
  take(before_);
  rf_free(&guard_.base, p);
  here(30);
  take(after_);
  std::vector<rf_snapshot_delta> const all = deltas(&before_);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].blocks, 0);
  EXPECT_EQ(all[0].bytes, 20);
}

TEST_F(Snapshot, ASiteWithAsManyBytesInOtherBlocksIsADifference) {
  void *const p = here(20);
  take(before_);
  rf_free(&guard_.base, p);
  here(10);
  here(10);
  take(after_);
  std::vector<rf_snapshot_delta> const all = deltas(&before_);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].blocks, 1);
  EXPECT_EQ(all[0].bytes, 0);
}

// The table has one slot, in which both would be looked for.
TEST_F(Snapshot, AStackThatBeginsAsAnotherIsAnotherPlace) {
  rf_trace place = {};
  place.frames[0] = 0x1000;
  place.frames[1] = 0x2000;
  rf_snapshot_init(&after_, "after", after_sites_.data(), 1);
  place.depth = 1;
  rf_snapshot_add(&after_, &place, 10);
  place.depth = 2;
  rf_snapshot_add(&after_, &place, 20);
  EXPECT_EQ(after_.omitted_blocks, 1U);
  EXPECT_EQ(after_.omitted_bytes, 20U);
}

TEST_F(Snapshot, WhatWasInItsMemoryIsNotCounted) {
  std::memset(static_cast<void *>(after_sites_.data()), 0xFF, sizeof after_sites_);
  rf_snapshot_init(&after_, "after", after_sites_.data(), after_sites_.size());
  rf_trace place = {};
  place.depth = 1;
  place.frames[0] = 0x1000;
  rf_snapshot_add(&after_, &place, 10);
  std::vector<rf_snapshot_delta> const all = deltas();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].bytes, 10);
  EXPECT_EQ(all[0].blocks, 1);
}

TEST_F(Snapshot, HasTheTimeAtWhichItWasTaken) {
  uint64_t const begin = rf_port_now_ns();
  ASSERT_EQ(take(after_), RF_OK);
  EXPECT_GE(after_.time_ns, begin);
  EXPECT_LE(after_.time_ns, rf_port_now_ns());
}

TEST_F(Snapshot, WithoutAGuardHasTheSitesThatTheWalkTells) {
  unsigned const line = __LINE__ + 1;
  void *const p = rf_alloc(&guard_.base, 10);
  ASSERT_EQ(rf_snapshot_take(&after_, &guard_.base, nullptr), RF_OK);
  std::vector<rf_snapshot_delta> const all = deltas();
  ASSERT_EQ(all.size(), 1U);
  ASSERT_NE(all[0].allocated->site, nullptr);
  EXPECT_EQ(all[0].allocated->site->line, line);
  rf_free(&guard_.base, p);
}

TEST_F(Snapshot, AFrameWithoutANameIsANumber) {
  rf_symbolizer const symbolizer = {[](void *, uintptr_t, unsigned, rf_frame_name *out) {
                                      *out = {};
                                      return true;
                                    },
                                    nullptr};
  rf_trace place = {};
  place.depth = 1;
  place.frames[0] = 0x1234;
  rf_snapshot_add(&after_, &place, 10);
  TextSink out;
  rf_snapshot_text(&after_, nullptr, &symbolizer, out.sink());
  EXPECT_NE(out.text().find("0x1234"), std::string::npos) << out.text();
}

TEST_F(Snapshot, GoesThroughALock) {
  rf_lock lock;
  rf_lock_init(&lock, &guard_.base);
  here(10);
  EXPECT_EQ(rf_snapshot_take(&after_, &lock.base, &guard_), RF_OK);
  EXPECT_EQ(after_.blocks, 1U);
  EXPECT_STREQ(deltas()[0].allocated->site->function, "here");
  rf_deinit(&lock.base);
}

TEST_F(Snapshot, WithoutAGuardTheWalkTellsWhatItKnows) {
  rf_alloc(&heap_.base, 100);
  EXPECT_EQ(rf_snapshot_take(&after_, &heap_.base, nullptr), RF_OK);
  EXPECT_EQ(after_.blocks, 1U);
  EXPECT_GE(after_.bytes, 100U);
  EXPECT_STREQ(after_.allocator, "tlsf");
}

TEST_F(Snapshot, TextListsTheLargestFirst) {
  here(10);
  there(100);
  take(after_);
  std::string const listed = text();
  size_t const large = listed.find("         100        1 there ");
  size_t const small = listed.find("          10        1 here ");
  EXPECT_NE(large, std::string::npos) << listed;
  EXPECT_NE(small, std::string::npos) << listed;
  EXPECT_LT(large, small);
  EXPECT_EQ(listed.find("and more"), std::string::npos);
}

TEST_F(Snapshot, TextEndsAfterSomeRows) {
  std::array<rf_snapshot_site, 64> many;
  rf_snapshot_init(&after_, "after", many.data(), many.size());
  for (uintptr_t i = 1; i <= RF_SNAPSHOT_ROWS + 1; i++) {
    rf_trace place = {};
    place.depth = 1;
    place.frames[0] = i;
    rf_snapshot_add(&after_, &place, 100);
    bool const says_more = text().find("  and more call sites with fewer bytes\n") != std::string::npos;
    EXPECT_EQ(says_more, i > RF_SNAPSHOT_ROWS) << i;
  }
  std::string const listed = text();
  EXPECT_EQ(std::count(listed.begin(), listed.end(), '\n'), 20 + 3);
}

// As many libraries as are loaded at once, and one more.
TEST_F(Snapshot, TextHasTheNamesOfMoreModulesThanAreKeptAtOnce) {
  std::string folder = "/tmp/snapshot_XXXXXX"; // short: the paths of all that are kept at once have 2 KiB
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::array<rf_snapshot_site, 64> many;
  rf_snapshot_init(&after_, "after", many.data(), many.size());
  std::vector<void *> libraries;
  for (int i = 0; i < 17; i++) {
    std::string const copy = folder + "/" + std::to_string(i) + ".so";
    ASSERT_TRUE(std::filesystem::copy_file(unwinder_path(), copy));
    libraries.push_back(dlopen(copy.c_str(), RTLD_NOW));
    ASSERT_NE(libraries.back(), nullptr) << dlerror();
    rf_trace place = {};
    place.depth = 1;
    place.frames[0] = reinterpret_cast<uintptr_t>(dlsym(libraries.back(), "_Unwind_Backtrace")) + 1;
    rf_snapshot_add(&after_, &place, 100);
  }
  rf_report_options options;
  rf_report_options_default(&options);
  rf_log_reporter reporter;
  rf_log_reporter_init(&reporter, &options);
  testing::internal::CaptureStderr();
  EXPECT_TRUE(rf_log_reporter_snapshot(&reporter, &after_, nullptr));
  std::string const told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(told.find("0x"), std::string::npos) << told;
  for (void *const library : libraries) {
    dlclose(library);
  }
  std::filesystem::remove_all(folder);
}

// Else a reader takes a second one for the first, sent again.
TEST_F(Snapshot, EachInTheSerialFormHasANumberOfItsOwn) {
  rf_report_options options;
  rf_report_options_default(&options);
  options.format = RF_FORMAT_SERIAL;
  rf_log_reporter reporter;
  rf_log_reporter_init(&reporter, &options);
  here(10);
  take(after_);
  std::set<std::string> numbers;
  for (int i = 0; i < 3; i++) {
    testing::internal::CaptureStderr();
    EXPECT_TRUE(rf_log_reporter_snapshot(&reporter, &after_, nullptr));
    std::string const lines = testing::internal::GetCapturedStderr();
    ASSERT_EQ(lines.rfind("#RF:0100", 0), 0U) << lines;
    numbers.insert(lines.substr(8, 4));
  }
  EXPECT_EQ(numbers.size(), 3U);
}

TEST_F(Snapshot, JsonIsALineWithASiteForEachRow) {
  here(10);
  take(before_);
  here(15);
  take(after_);
  Json const whole = json();
  EXPECT_EQ(whole["type"].text, "snapshot");
  EXPECT_EQ(whole["version"].number, 1);
  EXPECT_EQ(whole["pid"].number, 42);
  EXPECT_EQ(whole["name"].text, "after");
  EXPECT_EQ(whole["since"].kind, Json::kNothing);
  EXPECT_EQ(whole["allocator"].text, "tlsf");
  EXPECT_EQ(whole["blocks"].number, 2);
  EXPECT_EQ(whole["bytes"].number, 25);
  ASSERT_EQ(whole["sites"].items.size(), 1U);
  EXPECT_EQ(whole["sites"].items[0]["blocks"].number, 2);
  EXPECT_EQ(whole["sites"].items[0]["allocated"]["site"]["function"].text, "here");
  Json const since = json(&before_);
  EXPECT_EQ(since["since"].text, "before");
  EXPECT_EQ(since["bytes"].number, 15);
  EXPECT_EQ(since["sites"].items[0]["blocks"].number, 1);
}

} // namespace
} // namespace ringfence
