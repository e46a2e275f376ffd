// AWTK's allocator for debugging: which blocks there are, and who asked for them.
#include "awtk_fixture.h"
#include "awtk_numbers.h"

#include "tkc/mem.h"
#include "tkc/mem_allocator_debug.h"
#include "tkc/mem_allocator_simple.h"
#include "tkc/mem_allocator_std.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace ringfence_test {
namespace {

// A block whose record says that it is the first is the first, or there is damage.
TEST_F(Awtk, DebugTellsALinkThatLeadsNowhere) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  auto *const older = static_cast<char *>(alloc(a, 100));
  void *const newer = alloc(a, 100);
  auto *const words = reinterpret_cast<uintptr_t *>(older - (sizeof(void *) == 8 ? 48 : 32)); // next, previous
  uintptr_t const before = words[1];
  words[1] = 0;
  EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr));
  mem_allocator_free(a, older);
  EXPECT_EQ(RF_ERR_CORRUPT, fault());
  words[1] = before;
  EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
  mem_allocator_free(a, older);
  mem_allocator_free(a, newer);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, DebugRefusesABlockOfAnotherDebug) {
  mem_allocator_simple_t simple[2];
  mem_allocator_debug_t debug[2];
  mem_allocator_t *a[2];
  for (int i = 0; i < 2; i++) {
    a[i] = mem_allocator_debug_init(&debug[i], mem_allocator_simple_init(&simple[i], buffer + 8192 * i, 8192));
  }
  void *const p = alloc(a[0], 100);
  mem_allocator_free(a[1], p);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  EXPECT_EQ(nullptr, realloc_to(a[1], p, 50));
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  mem_allocator_free(a[0], p);
  for (mem_allocator_t *const each : a) {
    mem_allocator_destroy(each);
  }
}

// The macros of code without sites.
TEST_F(Awtk, NumbersOfAKindAreClearedAndTheirProductDoesNotWrap) {
  expect_numbers(buffer, sizeof buffer);
}

// All that is below a block is told, and what could not be had is counted.
TEST_F(Awtk, DebugCountsWhatItTakesAndWhatItDoesNotGet) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  EXPECT_EQ(nullptr, alloc(a, 300 * 1024));
  rf_stats stats;
  rf_stats_get(rf_awtk_allocator(a), &stats);
  EXPECT_EQ(1U, stats.failures);
  void *const p = rf_aligned_alloc(rf_awtk_allocator(a), 512, 100);
  ASSERT_NE(nullptr, p);
  static const unsigned char *start;
  auto const below = [](const rf_block *block, void *) {
    start = block->used ? static_cast<const unsigned char *>(block->ptr) : start;
    return true;
  };
  EXPECT_EQ(RF_OK, rf_walk(rf_awtk_allocator(&simple.allocator), below, nullptr));
  auto const seen = [](const rf_block *block, void *) {
    EXPECT_EQ(static_cast<size_t>(static_cast<const unsigned char *>(block->ptr) - start), block->overhead);
    return true;
  };
  EXPECT_EQ(RF_OK, rf_walk(rf_awtk_allocator(a), seen, nullptr));
  mem_allocator_free(a, p);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, DebugListsEachBlockWithWhoAskedForIt) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  void *const p = mem_allocator_alloc(a, 13, "load_image", 42);
  void *const q = mem_allocator_alloc(a, 5000, "load_font", 7);
  mem_allocator_free(a, mem_allocator_alloc(a, 99, "load_text", 8));
  EXPECT_EQ(RET_OK, mem_allocator_dump(a));
  EXPECT_NE(std::string::npos, output.find(":42 in load_image"));
  EXPECT_NE(std::string::npos, output.find(":7 in load_font"));
  EXPECT_EQ(std::string::npos, output.find("load_text"));
  EXPECT_NE(std::string::npos, output.find("5013 "));
  mem_allocator_free(a, p);
  mem_allocator_free(a, q);
  output.clear();
  mem_allocator_destroy(a);
  EXPECT_EQ("", output);
}

TEST_F(Awtk, WhatIsLiveWhenDebugIsDestroyedIsListedAsLeaked) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  (void)mem_allocator_alloc(a, 13, "load_image", 42);
  mem_allocator_destroy(a);
  EXPECT_EQ(0U, output.find("leaked: "));
  EXPECT_NE(std::string::npos, output.find(":42 in load_image"));
}

TEST_F(Awtk, DebugForgetsNoBlockHoweverManyThereAre) {
  mem_allocator_std_t std_allocator;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a = mem_allocator_debug_init(&debug, mem_allocator_std_init(&std_allocator));
  std::vector<void *> blocks;
  for (uint32_t i = 0; i < 20000; i++) {
    blocks.push_back(mem_allocator_alloc(a, i % 50, "many", i % 500));
  }
  rf_stats stats;
  rf_stats_get(rf_awtk_allocator(a), &stats);
  EXPECT_EQ(20000U, stats.blocks);
  EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
  size_t seen = 0;
  rf_walk(
      rf_awtk_allocator(a),
      [](const rf_block *, void *count) {
        ++*static_cast<size_t *>(count);
        return true;
      },
      &seen);
  EXPECT_EQ(20000U, seen);
  for (void *const p : blocks) {
    mem_allocator_free(a, p);
  }
  EXPECT_EQ(0U, std_allocator.used_nr);
  mem_allocator_destroy(a);
}

TEST_F(Awtk, DebugRefusesWhatItDidNotHandOutAndTellsOverwrittenRecords) {
  std::memset(buffer, 0, sizeof buffer); // no records of earlier tests
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  char *const p = static_cast<char *>(alloc(a, 100));
  mem_allocator_free(a, p + 1);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  mem_allocator_free(a, p + 16);
  EXPECT_EQ(RF_ERR_BAD_POINTER, fault());
  char *const at = p - (sizeof(void *) == 8 ? 1 : 9); // the last byte of the seal: on 32 bit, filler follows it
  char const kept = *at;
  for (int bit = 0; bit < 8; bit++) {
    *at = static_cast<char>(kept ^ 1 << bit);
    EXPECT_EQ(RF_ERR_CORRUPT, rf_check(rf_awtk_allocator(a), nullptr));
  }
  *at = kept;
  EXPECT_EQ(RF_OK, rf_check(rf_awtk_allocator(a), nullptr));
  mem_allocator_free(a, p);
  EXPECT_EQ(RF_OK, fault());
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, rf_free(rf_awtk_allocator(a), p));
  EXPECT_EQ(RF_ERR_NOT_ALLOCATED, fault());
  mem_allocator_destroy(a);
}

TEST_F(Awtk, DebugKeepsContentsAndAlignment) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  rf_allocator *const a =
      rf_awtk_allocator(mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer)));
  char *p = static_cast<char *>(rf_aligned_alloc(a, 256, 100));
  EXPECT_TRUE(rf_is_aligned(p, 256));
  memset(p, 7, 100);
  p = static_cast<char *>(rf_realloc(a, p, 3000));
  EXPECT_EQ(7, p[99]);
  p = static_cast<char *>(rf_realloc(a, p, 20));
  EXPECT_EQ(7, p[19]);
  EXPECT_EQ(RF_OK, rf_free(a, p));
  EXPECT_EQ(0U, simple.info.used_bytes);
  EXPECT_EQ(nullptr, rf_alloc(a, RF_SIZE_LIMIT));
  mem_allocator_destroy(&debug.allocator);
}

// Beside the block lies another one: a block that begins behind a gap grows by as much as it says.
TEST_F(Awtk, DebugGrowsAlignedBlocksInPlace) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  rf_allocator *const a =
      rf_awtk_allocator(mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer)));
  for (size_t const align : {64, 256, 1024}) {
    char *const p = static_cast<char *>(rf_aligned_alloc(a, align, 100));
    void *const between = rf_alloc(a, 400);
    void *const behind = rf_alloc(a, 400);
    EXPECT_EQ(RF_OK, rf_free(a, between));
    ASSERT_EQ(RF_OK, rf_resize_at(a, p, 300, nullptr));
    memset(p, 7, 300);
    EXPECT_EQ(RF_OK, rf_check(a, nullptr));
    rf_allocator *const below = rf_inner(rf_inner(a));
    rf_block found = {};
    (void)rf_walk(
        below,
        [](const rf_block *block, void *context) {
          auto *const last = static_cast<rf_block *>(context);
          bool const holds = block->used && block->ptr <= last->ptr;
          last->size = holds ? RF_ADDRESS(block->ptr) + block->size : last->size;
          return holds || !block->used;
        },
        (found.ptr = p, &found));
    EXPECT_GE(found.size, RF_ADDRESS(p) + 300) << align;
    EXPECT_EQ(RF_OK, rf_free(a, p));
    EXPECT_EQ(RF_OK, rf_free(a, behind));
  }
  EXPECT_EQ(0U, simple.info.used_bytes);
  mem_allocator_destroy(&debug.allocator);
}

TEST_F(Awtk, DebugTellsFunctionsOfEqualLinesApartAndKeepsWhoAskedFirst) {
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  static const char *const names[] = {"load_image", "load_font", "load_text"};
  void *blocks[3];
  for (size_t i = 0; i < 3; i++) {
    blocks[i] = mem_allocator_alloc(a, 10, names[i], 42);
    EXPECT_EQ(blocks[i], mem_allocator_realloc(a, blocks[i], 8, nullptr, 0)); // nobody says who asks
  }
  (void)mem_allocator_dump(a);
  for (const char *const name : names) {
    EXPECT_NE(std::string::npos, output.find(name)) << name << "\n" << output;
  }
  for (void *const each : blocks) {
    mem_allocator_free(a, each);
  }
  mem_allocator_destroy(a);
}

// So many that some come to the same place of the table of callers.
TEST_F(Awtk, DebugKnowsEachOfManyFunctionsThatAskOnEqualLines) {
  constexpr size_t kFunctions = 1000;
  static char names[kFunctions][8];
  mem_allocator_simple_t simple;
  mem_allocator_debug_t debug;
  mem_allocator_t *const a =
      mem_allocator_debug_init(&debug, mem_allocator_simple_init(&simple, buffer, sizeof buffer));
  std::map<const void *, const char *> asked;
  for (auto &name : names) {
    asked[mem_allocator_alloc(a, 8, name, 42)] = name;
  }
  ASSERT_EQ(kFunctions, asked.size());
  (void)rf_walk(
      rf_awtk_allocator(a),
      [](const rf_block *block, void *context) {
        auto *const all = static_cast<std::map<const void *, const char *> *>(context);
        EXPECT_EQ((*all)[block->ptr], block->site != nullptr ? block->site->function : nullptr);
        return true;
      },
      &asked);
  for (auto const &each : asked) {
    mem_allocator_free(a, const_cast<void *>(each.first));
  }
  mem_allocator_destroy(a);
}

} // namespace
} // namespace ringfence_test
