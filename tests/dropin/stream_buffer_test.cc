// Streams whose buffer was freed (checkers/dropin/process/stream_buffer_glibc.c), with the freed blocks and the C
// library's list being this test's: what is looked at, and that each stream is left to other threads as it was.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/heap/span.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/process/stream_buffer.h"
#include "checkers/dropin/process/stream_list.h"
#include "checkers/dropin/runtime/state.h"

#include "checkers/page/page_store.h"
}
#undef _Static_assert

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

namespace {

struct World {
  const void *freed = nullptr; // no stream is there any more
  std::vector<std::string> looked_at;
  unsigned questions = 0;
  unsigned locked = 0; // the list of streams
  const void *on_pages = nullptr;
  const void *refused = nullptr; // the system may not write here
  size_t refused_size = 0;
};

World world;

} // namespace

extern "C" {

rf_process_state rf_process;
rf_forward_state rf_forward;
rf_guarded_blocks_state rf_guarded_blocks;
rf_span_leaf *rf_span_root[RF_SPAN_MAP_ENTRIES];

bool rf_malloc_impl_is_freed(const void *ptr) {
  world.questions++;
  return ptr == world.freed;
}

bool rf_malloc_impl_report_stale(const void *start, size_t size, rf_access access, const rf_origin *origin) {
  EXPECT_EQ(access, RF_ACCESS_READ);
  EXPECT_NE(origin, nullptr);
  world.looked_at.emplace_back(static_cast<const char *>(start), size);
  errno = EIO;
  return true;
}

bool rf_guarded_blocks_own(const void *ptr) {
  return ptr != nullptr && ptr == world.on_pages;
}

bool __wrap_rf_page_store_report_transfer(const rf_page_store * /*store*/, const void *start, size_t look, size_t size,
                                          rf_access access, const rf_origin *origin) {
  EXPECT_EQ(look, 1U) << "behind the first byte the system goes on with less";
  EXPECT_EQ(access, RF_ACCESS_WRITE);
  EXPECT_NE(origin, nullptr);
  world.refused = start;
  world.refused_size = size;
  errno = EIO;
  return true;
}

bool rf_stream_list_lock() {
  world.locked++;
  return true;
}

void rf_stream_list_unlock() {
  world.locked--;
}

} // extern "C"

namespace {

const char kWaiting[] = "waits to be written";

class StreamBuffer : public testing::TestWithParam<bool> {
protected:
  StreamBuffer() {
    world = World();
    rf_process.options.mode = RF_MODE_GUARD;
    EXPECT_NE(stream_, nullptr);
    std::fputs(kWaiting, stream_);
  }
  ~StreamBuffer() override { std::fclose(stream_); }

  // This stream, or all.
  void look() { rf_stream_buffer_look(GetParam() ? nullptr : stream_, nullptr); }

  static bool was_looked_at() { return std::count(world.looked_at.begin(), world.looked_at.end(), kWaiting) == 1; }

  FILE *const stream_ = std::tmpfile();
};

TEST_P(StreamBuffer, OtherThreadsMayUseTheStreamAfterwards) {
  look();
  EXPECT_TRUE(was_looked_at());
  EXPECT_EQ(world.locked, 0U);
  std::thread([this] {
    ASSERT_EQ(ftrylockfile(stream_), 0) << "a call for the stream would wait for ever";
    funlockfile(stream_);
  }).join();
}

TEST_P(StreamBuffer, AStreamThatAnotherThreadUsesIsPassedOver) {
  flockfile(stream_);
  std::thread([this] { look(); }).join();
  funlockfile(stream_);
  EXPECT_FALSE(was_looked_at());
}

TEST_P(StreamBuffer, ErrnoStays) {
  errno = ERANGE;
  look();
  EXPECT_EQ(errno, ERANGE);
  EXPECT_TRUE(was_looked_at());
}

TEST_P(StreamBuffer, ModeOffAsksNothing) {
  rf_process.options.mode = RF_MODE_OFF;
  look();
  EXPECT_TRUE(world.looked_at.empty());
  EXPECT_EQ(world.questions, 0U);
}

TEST_P(StreamBuffer, AStreamThatIsFreedItselfIsNotReadFrom) {
  world.freed = stream_;
  look();
  EXPECT_FALSE(was_looked_at());
}

INSTANTIATE_TEST_SUITE_P(All, StreamBuffer, testing::Bool());

// A stream that cannot be read from, with a buffer on pages of its own.
class StreamBufferRefused : public testing::Test {
protected:
  StreamBufferRefused() {
    world = World();
    world.on_pages = buffer_;
    std::setvbuf(stream_, buffer_, _IOFBF, sizeof buffer_);
    EXPECT_EQ(std::fgetc(stream_), EOF);
    EXPECT_NE(std::ferror(stream_), 0);
  }
  ~StreamBufferRefused() override { std::fclose(stream_); }

  void look(int error) {
    errno = error;
    rf_stream_buffer_refused(stream_, &origin_);
    EXPECT_EQ(errno, error);
  }

  rf_origin origin_ = {nullptr, 0, nullptr};
  char buffer_[512] = "";
  FILE *const stream_ = std::fopen("/", "r");
};

TEST_F(StreamBufferRefused, IsLookedAtWhole) {
  look(EFAULT);
  EXPECT_EQ(world.refused, buffer_);
  EXPECT_EQ(world.refused_size, sizeof buffer_);
}

TEST_F(StreamBufferRefused, ByAnotherErrorIsNotLookedAt) {
  look(EISDIR);
  EXPECT_EQ(world.refused, nullptr);
}

TEST_F(StreamBufferRefused, OfAStreamWithoutErrorIsNotLookedAt) {
  std::clearerr(stream_);
  look(EFAULT);
  EXPECT_EQ(world.refused, nullptr);
}

TEST_F(StreamBufferRefused, ElsewhereThanOnPagesIsNotLookedAt) {
  world.on_pages = nullptr;
  look(EFAULT);
  EXPECT_EQ(world.refused, nullptr);
}

TEST_F(StreamBufferRefused, OfAStreamThatIsFreedItselfIsNotReadFrom) {
  world.freed = stream_;
  look(EFAULT);
  EXPECT_EQ(world.refused, nullptr);
}

} // namespace
