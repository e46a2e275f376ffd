// pool: walks, and its advice about the counts of blocks.
#include "tests/decorators/pool_fixture.h"

#include <string>
#include <vector>

#include "tests/core/text_sink.h"

namespace ringfence_test {
namespace {

bool collect(const rf_block *block, void *context) {
  static_cast<std::vector<rf_block> *>(context)->push_back(*block);
  return true;
}

TEST_F(Pool, WalksPoolsAndInnerInAddressOrder) {
  void *const small = rf_alloc(a, 9);
  void *const large = rf_alloc(a, 700);
  std::vector<rf_block> blocks;
  ASSERT_EQ(RF_OK, rf_walk(a, collect, &blocks));
  size_t used = 0;
  size_t bytes = 0;
  for (size_t i = 0; i < blocks.size(); i++) {
    if (i > 0) {
      EXPECT_LT(blocks[i - 1].ptr, blocks[i].ptr);
    }
    if (blocks[i].used) {
      used++;
      bytes += blocks[i].size;
    }
  }
  EXPECT_EQ(2u, used);
  EXPECT_EQ(709u, bytes);
  EXPECT_EQ(RF_OK, rf_free(a, small));
  EXPECT_EQ(RF_OK, rf_free(a, large));
}

TEST_F(Pool, AdvisesTheCountsWithWhichNothingWouldHaveSpilled) {
  void *p[4];
  for (void *&q : p) {
    q = rf_alloc(a, 16);
  }
  for (void *q : p) {
    rf_free(a, q);
  }
  rf_free(a, rf_alloc(a, 32));
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  rf_pool_advise(&pool, &sink);
  EXPECT_EQ("     bytes    blocks      peak  requests    spills     hit %   call for\n"
            "        16         2         2         4         2        50         4\n"
            "        32         2         2         1         0       100         1\n"
            "static const rf_pool_class classes[] = {{16, 4}, {32, 1}};\n",
            text);
}

// A visitor may stop before the pool's own memory, in it and behind it: none of what follows is shown.
TEST_F(Pool, ItsBlocksAndWhatIsBesideThemAreAllOfItsMemory) {
  struct Sum {
    const rf_pool *pool;
    size_t bytes;
  } sum = {&pool, 0};
  void *const p = rf_alloc(a, 10);
  EXPECT_EQ(RF_OK, rf_walk(
                       a,
                       [](const rf_block *b, void *context) {
                         auto *const s = static_cast<Sum *>(context);
                         auto const offset = static_cast<unsigned char *>(b->ptr) - s->pool->memory;
                         bool const inside = offset >= 0 && static_cast<size_t>(offset) < s->pool->memory_size;
                         s->bytes += inside ? b->size + b->overhead : 0;
                         return true;
                       },
                       &sum));
  EXPECT_EQ(pool.memory_size, sum.bytes);
  EXPECT_EQ(RF_OK, rf_free(a, p));
}

TEST_F(Pool, AWalkThatIsStoppedShowsNoMore) {
  alignas(16) static unsigned char bytes[4096];
  rf_tlsf below;
  rf_pool late;
  rf_pool_class const classes[] = {{16, 2}};
  rf_pool_options const options = {classes, 1, nullptr, 0};
  ASSERT_EQ(rf_tlsf_init(&below, bytes, sizeof bytes), RF_OK);
  void *const before = rf_alloc(&below.base, 100);
  ASSERT_EQ(rf_pool_init(&late, &below.base, &options), RF_OK);
  void *const behind = rf_alloc(&below.base, 100);
  struct Stopped {
    size_t left;
    std::vector<const void *> shown;
  };
  auto const walk = [&late](size_t most) {
    Stopped s = {most, {}};
    EXPECT_EQ(rf_walk(
                  &late.base,
                  [](const rf_block *block, void *context) {
                    auto *const stopped = static_cast<Stopped *>(context);
                    stopped->shown.push_back(block->ptr);
                    return --stopped->left != 0;
                  },
                  &s),
              RF_OK);
    return s.shown;
  };
  std::vector<const void *> const all = walk(100);
  EXPECT_EQ(all[0], before);
  EXPECT_EQ(all[3], behind);
  for (size_t most = 1; most <= all.size(); most++) {
    EXPECT_EQ(walk(most), std::vector<const void *>(all.begin(), all.begin() + static_cast<ptrdiff_t>(most))) << most;
  }
  rf_deinit(&late.base);
}

// Hits of so many requests, in whole per cent that are not rounded up: 100 means each of them.
TEST_F(Pool, AdviceRoundsNoMissAway) {
  rf_tlsf below;
  alignas(16) static unsigned char bytes[8192];
  rf_pool own;
  rf_pool_class const classes[] = {{16, 199}, {32, 10}};
  rf_pool_options const options = {classes, 2, nullptr, 0};
  ASSERT_EQ(rf_tlsf_init(&below, bytes, sizeof bytes), RF_OK);
  ASSERT_EQ(rf_pool_init(&own, &below.base, &options), RF_OK);
  for (int i = 0; i < 200; i++) {
    ASSERT_NE(rf_alloc(&own.base, 16), nullptr);
  }
  std::string text;
  rf_sink const sink = ringfence::sink_to(&text);
  rf_pool_advise(&own, &sink);
  EXPECT_NE(text.find("        16       199       199       200         1        99       200\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("        32        10         1         0         0       100         0\n"), std::string::npos)
      << "of no requests none was missed: " << text;
}

} // namespace
} // namespace ringfence_test
