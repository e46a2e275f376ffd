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

bool rf_guarded_blocks_own(const void * /*ptr*/) {
  return false;
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

} // namespace
