// Blocks from whose pages the program has taken access rights: the store gives them back where it needs them, reads
// nothing that may not be read, and leaves faults there to the program.
#include "tests/checkers/page_store_fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace ringfence {
namespace {

class PageRights : public PageStore {
protected:
  PageRights() {
    options_.slots = 0;
    options_.quarantine = 0;
    open();
  }

  // As the program does, and the drop-in tells of it.
  void restrict_to(void *p, int protection) {
    ASSERT_EQ(mprotect(p, page_size(), protection), 0);
    ASSERT_TRUE(rf_page_store_restricted(store_, p, page_size()));
  }
};

TEST_F(PageRights, TheNextBlockInThePlaceIsWatchedAsAny) {
  unsigned char *const p = alloc(10);
  restrict_to(p, PROT_NONE);
  EXPECT_EQ(free(p), RF_OK);
  unsigned char *const again = alloc(10);
  ASSERT_EQ(again, p);
  EXPECT_FALSE(rf_page_is_restricted(rf_page_live_at(store_, again)));
  again[10] ^= 1;
  EXPECT_EQ(free(again), RF_OK);
  EXPECT_EQ(recorder_.take().size(), 1U);
}

TEST_F(PageRights, SlackThatWasDamagedBeforeIsFoundAtTheFree) {
  unsigned char *const p = alloc(10);
  p[10] ^= 1;
  restrict_to(p, PROT_NONE);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(recorder_.take().size(), 1U);
}

TEST_F(PageRights, ABlockIsResizedAllTheSame) {
  unsigned char *const p = alloc(10);
  restrict_to(p, PROT_NONE);
  EXPECT_EQ(rf_page_store_resize(store_, p, 20, &origin_), RF_OK);
  p[19] = 1;
  EXPECT_EQ(free(p), RF_OK);
}

TEST_F(PageRights, ASweepReadsNoPageThatMayNotBeRead) {
  unsigned char *const p = alloc(10);
  unsigned char *const q = alloc(10);
  p[10] ^= 1;
  q[10] ^= 1;
  restrict_to(p, PROT_NONE);
  restrict_to(q, PROT_READ | PROT_WRITE);
  EXPECT_EQ(rf_page_store_sweep(store_, 0, &origin_), 1U);
  std::vector<rf_finding> const found = recorder_.take();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].block, reinterpret_cast<uintptr_t>(q));
  EXPECT_EQ(free(q), RF_OK);
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(recorder_.take().size(), 1U) << "p's, once its page may be read";
}

TEST_F(PageRights, AFaultOfAPageThatMayBeReadIsTheProgramsOwn) {
  unsigned char *const p = alloc(10);
  restrict_to(p, PROT_READ);
  EXPECT_FALSE(rf_page_fault(reinterpret_cast<uintptr_t>(p), RF_ACCESS_WRITE, 0, nullptr));
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(recorder_.take().size(), 0U);
}

// From inside of the first page to the end of the last one: all blocks on them, and no other.
TEST_F(PageRights, AreTakenFromTheBlocksOnThePagesAlone) {
  std::vector<unsigned char *> blocks;
  for (int i = 0; i < 4; i++) {
    blocks.push_back(alloc(page_size() + 10));
  }
  std::sort(blocks.begin(), blocks.end());
  struct {
    size_t first; // where the range begins: bytes behind the second block's start
    size_t size;
    bool taken[4];
  } const ranges[] = {
      {0, 0, {false, true, false, false}},
      {0, 1, {false, true, false, false}},
      {0, static_cast<size_t>(blocks[2] - blocks[1]), {false, true, false, false}},
      {0, static_cast<size_t>(blocks[2] - blocks[1]) + 1, {false, true, true, false}},
      {2 * page_size() - 1, 1, {false, true, false, false}},
      {2 * page_size(), 1, {false, false, false, false}},
      {page_size(), static_cast<size_t>(blocks[3] - blocks[1]) - page_size(), {false, true, true, false}},
      {page_size(), static_cast<size_t>(blocks[3] - blocks[1]) - page_size() + 1, {false, true, true, true}},
  };
  for (auto const &r : ranges) {
    bool any = false;
    for (bool const taken : r.taken) {
      any = any || taken;
    }
    EXPECT_EQ(rf_page_store_restricted(store_, blocks[1] + r.first, r.size), any) << r.first << " " << r.size;
    for (size_t i = 0; i < blocks.size(); i++) {
      EXPECT_EQ(rf_page_store_is_restricted(store_, blocks[i]), r.taken[i]) << r.first << " " << r.size << " " << i;
      rf_page_store_return_rights(store_, blocks[i]);
      EXPECT_FALSE(rf_page_store_is_restricted(store_, blocks[i]));
    }
  }
  // Nearly all of the address space, of which only the pages of the store are looked at.
  EXPECT_TRUE(rf_page_store_restricted(store_, bytes(nullptr) + page_size(), SIZE_MAX - page_size()));
  for (unsigned char *const p : blocks) {
    EXPECT_TRUE(rf_page_store_is_restricted(store_, p));
    EXPECT_EQ(free(p), RF_OK);
  }
}

// Its page is nobody's, but the next block there needs it.
TEST_F(PageRights, ThoseOfABlockOfNoBytesAreGivenBackToo) {
  unsigned char *const none = alloc(0);
  restrict_to(none, PROT_NONE);
  EXPECT_EQ(free(none), RF_OK);
  unsigned char *const p = alloc(10);
  ASSERT_EQ(p, none);
  p[0] = 1;
  EXPECT_EQ(free(p), RF_OK);
}

// Another thread sweeps meanwhile, if it can.
struct Taking {
  rf_page_store *store;
  std::thread sweeping;
  std::atomic<bool> swept{false};
  bool swept_meanwhile = false;

  explicit Taking(rf_page_store *of) : store(of) {}
  static int take(void *context) {
    auto *const t = static_cast<Taking *>(context);
    t->sweeping = std::thread([t] {
      (void)rf_page_store_sweep(t->store, 0, nullptr);
      t->swept = true;
    });
    for (int i = 0; i < 20 && !t->swept; i++) {
      usleep(1000);
    }
    t->swept_meanwhile = t->swept;
    return 5;
  }
};

TEST_F(PageRights, AreTakenFromLiveBlocksWhileNobodySweeps) {
  unsigned char *const p = alloc(10);
  Taking from_live(store_);
  EXPECT_EQ(rf_page_store_unseen(store_, p, 10, Taking::take, &from_live), 5);
  from_live.sweeping.join();
  EXPECT_FALSE(from_live.swept_meanwhile);
  EXPECT_EQ(free(p), RF_OK);
  Taking from_none(store_);
  EXPECT_EQ(rf_page_store_unseen(store_, p, 10, Taking::take, &from_none), 5) << "as the store does itself";
  from_none.sweeping.join();
}

// As the system empties them for the program, or in a child.
TEST_F(PageRights, SlackOnPagesThatWereEmptiedIsNoDamage) {
  for (size_t const size : {size_t{10}, 2 * page_size() + 10}) {
    unsigned char *const p = alloc(size);
    auto const page = reinterpret_cast<uintptr_t>(p) & ~(page_size() - 1);
    size_t const all = (size / page_size() + 1) * page_size();
    EXPECT_EQ(rf_page_store_block_end(store_, p), reinterpret_cast<uintptr_t>(p) + size);
    EXPECT_EQ(rf_page_store_block_end(store_, p + size), 0U);
    EXPECT_FALSE(rf_page_store_is_restricted(store_, p));
    ASSERT_TRUE(rf_page_store_emptied(store_, p, size));
    EXPECT_TRUE(rf_page_store_is_restricted(store_, p));
    EXPECT_EQ(rf_page_store_block_end(store_, p), 0U);
    memset(reinterpret_cast<void *>(page), 0, all); // NOLINT(performance-no-int-to-ptr)
    EXPECT_EQ(rf_page_store_sweep(store_, 0, &origin_), 0U);
    rf_page_store_return_rights(store_, p);
    EXPECT_FALSE(rf_page_store_is_restricted(store_, p));
    EXPECT_EQ(rf_page_store_sweep(store_, 0, &origin_), 0U);
    p[size] ^= 1;
    EXPECT_EQ(free(p), RF_OK);
    EXPECT_EQ(recorder_.take().size(), 1U) << "slack is compared as ever";
  }
}

// Once rights were given back, a page of zeros is one that the program has overwritten.
TEST_F(PageRights, SlackIsComparedAgainOnceRightsWereGivenBack) {
  unsigned char *const p = alloc(10);
  ASSERT_TRUE(rf_page_store_emptied(store_, p, 10));
  rf_page_store_return_rights(store_, p);
  memset(p, 0, page_size());
  ASSERT_TRUE(rf_page_store_restricted(store_, p, 10));
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(recorder_.take().size(), 1U);
}

TEST_F(PageRights, SlackOnOtherPagesIsCompared) {
  unsigned char *const p = alloc(10);
  ASSERT_TRUE(rf_page_store_emptied(store_, p, 10));
  p[0] = 1;
  p[10] ^= 1;
  EXPECT_EQ(free(p), RF_OK);
  EXPECT_EQ(recorder_.take().size(), 1U);
}

} // namespace
} // namespace ringfence
