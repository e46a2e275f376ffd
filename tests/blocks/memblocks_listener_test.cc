// memblocks: what listeners hear.
#include "memblocks_fixture.h"

#include <string>
#include <vector>

struct Event {
  char what;
  void *ptr;
  size_t bytes;
  bool operator==(const Event &o) const { return what == o.what && ptr == o.ptr && bytes == o.bytes; }
};

class Recorder {
public:
  std::vector<Event> events;
  rf_memblocks_listener listener = {[](rf_memblocks *, void *ptr, size_t bytes, void *self) {
                                      static_cast<Recorder *>(self)->events.push_back({'a', ptr, bytes});
                                    },
                                    [](rf_memblocks *, void *ptr, size_t bytes, void *self) {
                                      static_cast<Recorder *>(self)->events.push_back({'f', ptr, bytes});
                                    },
                                    this, nullptr};
};

TEST(MemblocksListener, HearsEachBlockOfABatchAndEachRunOnce) {
  Pool pool(8, 16);
  Recorder r;
  rf_memblocks_listen(&pool.blocks, &r.listener);
  void *out[2];
  void *run;
  ASSERT_EQ(rf_memblocks_alloc(&pool.blocks, 2, out), RF_OK);
  ASSERT_EQ(rf_memblocks_alloc_contiguous(&pool.blocks, 3, &run), RF_OK);
  ASSERT_EQ(pool.claim(6, 2), RF_OK);
  ASSERT_EQ(rf_memblocks_free(&pool.blocks, 2, out), RF_OK);
  ASSERT_EQ(rf_memblocks_free_contiguous(&pool.blocks, run, 3), RF_OK);
  std::vector<Event> const expected = {{'a', pool.at(0), 16}, {'a', pool.at(1), 16}, {'a', pool.at(2), 48},
                                       {'a', pool.at(6), 32}, {'f', pool.at(0), 16}, {'f', pool.at(1), 16},
                                       {'f', pool.at(2), 48}};
  EXPECT_EQ(r.events, expected);
}

TEST(MemblocksListener, HearsNothingOfWhatFailed) {
  Pool pool(2);
  Recorder r;
  ASSERT_EQ(pool.claim(0), RF_OK);
  rf_memblocks_listen(&pool.blocks, &r.listener);
  void *out[3] = {pool.at(0), pool.at(1), nullptr};
  EXPECT_NE(rf_memblocks_alloc(&pool.blocks, 3, out), RF_OK);
  out[0] = pool.at(0);
  out[1] = pool.at(1);
  EXPECT_NE(rf_memblocks_free(&pool.blocks, 2, out), RF_OK);
  EXPECT_NE(pool.claim(0), RF_OK);
  EXPECT_TRUE(r.events.empty());
}

TEST(MemblocksListener, CanBeRemovedAndTheOthersStay) {
  Pool pool(2);
  Recorder first;
  Recorder second;
  Recorder stranger;
  first.listener.on_free = nullptr;
  rf_memblocks_listen(&pool.blocks, &first.listener);
  rf_memblocks_listen(&pool.blocks, &second.listener);
  rf_memblocks_unlisten(&pool.blocks, &stranger.listener);
  ASSERT_EQ(pool.claim(0), RF_OK);
  rf_memblocks_unlisten(&pool.blocks, &second.listener);
  void *block = pool.at(0);
  ASSERT_EQ(rf_memblocks_free(&pool.blocks, 1, &block), RF_OK);
  ASSERT_EQ(pool.claim(1), RF_OK);
  EXPECT_EQ(first.events.size(), 2U);
  EXPECT_EQ(second.events.size(), 1U);
}

TEST(MemblocksListener, IsToldBeforeThoseThatWereAddedEarlier) {
  Pool pool(1);
  std::string order;
  rf_memblocks_listener listeners[] = {
      {[](rf_memblocks *, void *, size_t, void *out) { *static_cast<std::string *>(out) += '0'; }, nullptr, &order, {}},
      {[](rf_memblocks *, void *, size_t, void *out) { *static_cast<std::string *>(out) += '1'; }, nullptr, &order, {}},
      {[](rf_memblocks *, void *, size_t, void *out) { *static_cast<std::string *>(out) += '2'; }, nullptr, &order, {}},
  };
  for (rf_memblocks_listener &each : listeners) {
    rf_memblocks_listen(&pool.blocks, &each);
  }
  ASSERT_EQ(pool.claim(0), RF_OK);
  EXPECT_EQ(order, "210");
}

TEST(MemblocksListener, MayCallThePool) {
  Pool pool(4);
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  rf_memblocks_share(&pool.blocks, &mutex);
  size_t blocks_seen = 0;
  rf_memblocks_listener listener = {[](rf_memblocks *blocks, void *, size_t, void *seen) {
                                      rf_stats stats;
                                      rf_memblocks_stats(blocks, &stats);
                                      *static_cast<size_t *>(seen) = stats.blocks;
                                    },
                                    nullptr, &blocks_seen, nullptr};
  rf_memblocks_listen(&pool.blocks, &listener);
  ASSERT_EQ(pool.claim(0, 3), RF_OK);
  EXPECT_EQ(blocks_seen, 3U);
  rf_memblocks_share(&pool.blocks, nullptr);
  rf_mutex_deinit(&mutex);
}

// It would lead to itself, and the next call would go round for ever.
TEST(MemblocksListener, IsInTheListOnce) {
  Pool pool(2);
  Recorder first;
  Recorder second;
  rf_memblocks_listen(&pool.blocks, &first.listener);
  rf_memblocks_listen(&pool.blocks, &second.listener);
  for (Recorder *const r : {&first, &second}) {
    rf_memblocks_listen(&pool.blocks, &r->listener);
  }
  ASSERT_EQ(first.listener.next, nullptr);
  ASSERT_EQ(pool.claim(0), RF_OK);
  EXPECT_EQ(first.events.size(), 1U);
  EXPECT_EQ(second.events.size(), 1U);
  rf_memblocks_unlisten(&pool.blocks, &second.listener);
  ASSERT_EQ(pool.claim(1), RF_OK);
  EXPECT_EQ(first.events.size(), 2U);
  EXPECT_EQ(second.events.size(), 1U);
}

// The end of a pool may be that of its mutex, which a later call must not lock.
TEST(MemblocksShare, LastsUntilTheEndOfThePool) {
  Pool pool(2);
  rf_mutex mutex;
  ASSERT_EQ(rf_mutex_init(&mutex), RF_OK);
  rf_memblocks_share(&pool.blocks, &mutex);
  rf_memblocks_deinit(&pool.blocks);
  rf_mutex_deinit(&mutex);
  void *block = nullptr;
  EXPECT_EQ(rf_memblocks_alloc(&pool.blocks, 1, &block), RF_ERR_NO_MEMORY);
}

// The end of a pool may be that of its listeners' memory, which a later call must not read.
TEST(MemblocksListener, IsForgottenAtTheEndOfThePool) {
  Pool pool(2);
  Recorder r;
  rf_memblocks_listen(&pool.blocks, &r.listener);
  rf_memblocks_deinit(&pool.blocks);
  EXPECT_EQ(pool.blocks.listeners, nullptr);
}
