// Tests that gtest_test runs as programs of their own: most of them are meant to fail.
#include <ringfence/gtest.h>

#include <ringfence/checked.h>
#include <ringfence/tlsf.h>

#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

namespace {

ringfence::TestListener &listener = ringfence::TestListener::install();

// A heap that each test has for itself.
class OwnHeap : public testing::Test {
protected:
  OwnHeap() {
    rf_options_default(&options_.settings);
    options_.settings.mode = RF_MODE_GUARD;
    options_.reporter = rf_reporter_default();
    rf_tlsf_init(&heap_, arena_, sizeof arena_);
    a_ = rf_checked_init(&checked_, &heap_.base, &options_);
  }
  ~OwnHeap() override { rf_checked_deinit(&checked_); }

  alignas(64) unsigned char arena_[16 * 1024] = {};
  rf_tlsf heap_;
  rf_checked checked_;
  rf_checked_options options_ = {};
  rf_allocator *a_;
};

TEST_F(OwnHeap, Good) {
  char *const p = static_cast<char *>(rf_alloc(a_, 13));
  std::memset(p, 1, 13);
  rf_free(a_, p);
}

TEST_F(OwnHeap, Overflow) {
  char *const p = static_cast<char *>(rf_alloc(a_, 13));
  p[13] = 1;
  rf_free(a_, p);
}

TEST_F(OwnHeap, Leak) {
  rf_alloc(a_, 77);
}

TEST_F(OwnHeap, DoubleFreeAndMore) {
  void *const p = rf_alloc(a_, 13);
  rf_free(a_, p);
  rf_free(a_, p);
  rf_free(a_, arena_ + 100);
}

TEST_F(OwnHeap, Many) {
  void *const p = rf_alloc(a_, 13);
  rf_free(a_, p);
  for (int i = 0; i < 300; i++) {
    rf_free(a_, p);
  }
}

void die_of_a_finding(rf_allocator *a) {
  void *const p = rf_alloc(a, 13);
  rf_free(a, p);
  rf_free(a, p);
  std::_Exit(3);
}

TEST_F(OwnHeap, DeathTestsSeeTheEndOfTheProcess) {
  EXPECT_EXIT(die_of_a_finding(a_), testing::ExitedWithCode(99), "double-free");
}

// A finding while no test runs, and one of a test after it.
class Between : public OwnHeap {
protected:
  static void SetUpTestSuite() {
    alignas(64) static unsigned char arena[16 * 1024];
    rf_tlsf heap;
    rf_guard guard;
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.reporter = listener.reporter();
    rf_tlsf_init(&heap, arena, sizeof arena);
    rf_guard_init(&guard, &heap.base, &options);
    static_cast<char *>(rf_alloc(&guard.base, 21))[21] = 1;
    rf_deinit(&guard.base);
  }
};

TEST_F(Between, Silent) {}

TEST_F(Between, Overflow) {
  rf_guard guard;
  rf_guard_options options;
  rf_guard_options_default(&options);
  options.reporter = listener.reporter();
  rf_guard_init(&guard, a_, &options);
  char *const p = static_cast<char *>(rf_alloc(&guard.base, 13));
  p[13] = 1;
  rf_free(&guard.base, p);
  guard.base.ops->deinit(&guard.base);
}

// A heap that outlives the tests.
class SharedHeap : public testing::Test {
protected:
  static void SetUpTestSuite() {
    rf_guard_options options;
    rf_guard_options_default(&options);
    options.reporter = listener.reporter();
    options.leaks_at_deinit = false;
    rf_tlsf_init(&heap_, arena_, sizeof arena_);
    rf_guard_init(&guard_, &heap_.base, &options);
    kept_ = rf_alloc(&guard_.base, 5);
    listener.watch(&guard_);
  }
  static void TearDownTestSuite() {
    listener.forget(&guard_);
    rf_deinit(&guard_.base);
  }

  alignas(64) static unsigned char arena_[16 * 1024];
  static rf_tlsf heap_;
  static rf_guard guard_;
  static void *kept_;
};

alignas(64) unsigned char SharedHeap::arena_[16 * 1024];
rf_tlsf SharedHeap::heap_;
rf_guard SharedHeap::guard_;
void *SharedHeap::kept_;

TEST_F(SharedHeap, GoodBefore) {
  rf_free(&guard_.base, rf_alloc(&guard_.base, 10));
}

TEST_F(SharedHeap, ForgetsAnother) {
  rf_tlsf heap;
  alignas(64) unsigned char arena[4096];
  rf_guard another;
  rf_tlsf_init(&heap, arena, sizeof arena);
  rf_guard_init(&another, &heap.base, nullptr);
  listener.watch(&another);
  listener.forget(&another);
  rf_deinit(&another.base);
}

TEST_F(SharedHeap, Leak) {
  rf_alloc(&guard_.base, 78);
}

TEST_F(SharedHeap, Damage) {
  static_cast<char *>(kept_)[5] = 1;
}

TEST_F(SharedHeap, GoodAfter) {
  rf_free(&guard_.base, rf_alloc(&guard_.base, 10));
}

// The process's own malloc: findings only under the drop-in.
char *volatile sink;

__attribute__((noinline)) void lose() {
  sink = static_cast<char *>(std::malloc(79));
  sink[0] = 1;
  sink = nullptr;
}

__attribute__((noinline)) void overwrite_the_stack() {
  volatile char junk[4096];
  for (size_t i = 0; i < sizeof junk; i++) {
    junk[i] = 0;
  }
}

TEST(Malloc, Good) {
  sink = static_cast<char *>(std::malloc(10));
  std::free(sink);
}

TEST(Malloc, Overflow) {
  sink = static_cast<char *>(std::malloc(24));
  char *volatile p = sink;
  p[24] = 1;
  std::free(p);
}

TEST(Malloc, Leak) {
  lose();
  overwrite_the_stack();
}

TEST(Malloc, GoodAfter) {
  sink = static_cast<char *>(std::malloc(10));
  std::free(sink);
}

TEST(ManyOfMalloc, DoubleFrees) {
  void *volatile p = std::malloc(24);
  std::free(p);
  for (int i = 0; i < 300; i++) {
    std::free(p);
  }
}

} // namespace
