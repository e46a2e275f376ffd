// The share of the processor time that pages may take (checkers/dropin/malloc/page_time.c), to the nanosecond: both
// clocks are this test's own.
extern "C" {
#include "checkers/dropin/malloc/page_time.h"
}

#include "tests/dropin/alone.h"

#include <cerrno>
#include <ctime>

namespace {

using ringfence_test::alone;

constexpr uint64_t kSaved = 20000000; // may be spent before there is a share of anything
constexpr uint64_t kLook = 20000;
constexpr uint64_t kMost = 100000;

uint64_t now_ns = 5000000000;
uint64_t used_ns;
unsigned looks;
bool has_processor_clock = true;

} // namespace

// The linker puts these in front of those of the port and of the C library.
extern "C" {
uint64_t __wrap_rf_port_now_ns();
int __wrap_clock_gettime(clockid_t clock, timespec *out);

uint64_t __wrap_rf_port_now_ns() {
  return now_ns;
}

int __wrap_clock_gettime(clockid_t clock, timespec *out) {
  EXPECT_EQ(clock, CLOCK_PROCESS_CPUTIME_ID);
  looks++;
  out->tv_sec = static_cast<time_t>(used_ns / 1000000000);
  out->tv_nsec = static_cast<long>(used_ns % 1000000000);
  errno = has_processor_clock ? errno : 4711;
  return has_processor_clock ? 0 : -1;
}
}

namespace {

void work(uint64_t ns) {
  uint64_t const entered = rf_page_time_enter();
  now_ns += ns;
  rf_page_time_leave(entered);
}

// Up to a multiple of 2 ns.
void spend(uint64_t ns) {
  for (; ns > 2 * kMost; ns -= 2 * kMost) {
    work(kMost);
  }
  work(ns / 2);
}

TEST(DropinPageTime, AShareOfTheProcessorTimeComesToWhatIsSaved) {
  alone([] {
    rf_page_time_begin(10);
    EXPECT_TRUE(rf_page_time_is_limited());
    spend(kSaved - 2);
    EXPECT_TRUE(rf_page_time_left());
    EXPECT_EQ(looks, 0U);
    work(1);
    used_ns = 990;
    EXPECT_TRUE(rf_page_time_left()); // 90 more: of whole hundreds
    EXPECT_EQ(looks, 1U);
    work(44);
    EXPECT_TRUE(rf_page_time_left());
    EXPECT_EQ(looks, 1U); // known from the look before
    work(1);
    now_ns += kLook;
    EXPECT_FALSE(rf_page_time_left());
    used_ns = uint64_t{3} * 1000000000 + 999;
    now_ns += kLook - 1;
    EXPECT_FALSE(rf_page_time_left()); // too early for a look
    EXPECT_EQ(looks, 2U);
    now_ns++;
    EXPECT_TRUE(rf_page_time_left());
    EXPECT_EQ(looks, 3U);
    spend(300000000 - 2); // of three seconds and 900 ns
    EXPECT_TRUE(rf_page_time_left());
    work(1);
    now_ns += kLook;
    EXPECT_FALSE(rf_page_time_left());
  });
}

TEST(DropinPageTime, WorkThatTakesLongMayHaveWaited) {
  alone([] {
    rf_page_time_begin(1);
    spend(kSaved - 4 * kMost);
    work(kMost + 1);
    work(kMost - 1);
    EXPECT_TRUE(rf_page_time_left()); // 2 ns
    work(1);
    EXPECT_FALSE(rf_page_time_left());
  });
}

TEST(DropinPageTime, WithoutALimitNothingIsMeasured) {
  alone([] {
    rf_page_time_begin(100);
    EXPECT_FALSE(rf_page_time_is_limited());
    EXPECT_EQ(rf_page_time_enter(), 0U);
    spend(2 * kSaved);
    EXPECT_TRUE(rf_page_time_left());
    rf_page_time_begin(99);
    EXPECT_TRUE(rf_page_time_is_limited());
  });
}

TEST(DropinPageTime, OfAProcessThatForbidsItselfCallsIsTheClocks) {
  alone([] {
    rf_page_time_begin(10);
    rf_page_time_settle();
    now_ns += 1000;
    work(kMost);
    spend(kSaved - 2 * kMost);
    uint64_t const passed = now_ns - 5000000000;
    EXPECT_TRUE(rf_page_time_left());
    EXPECT_EQ(looks, 0U);
    spend(passed / 100 * 10 - 2);
    EXPECT_TRUE(rf_page_time_left());
  });
}

TEST(DropinPageTime, WithoutAClockOfTheProcessItIsTheOthers) {
  alone([] {
    has_processor_clock = false;
    rf_page_time_begin(10);
    spend(kSaved);
    now_ns = 5000000000 + 1000000;
    errno = 77;
    EXPECT_TRUE(rf_page_time_left()); // a tenth of a millisecond more
    EXPECT_EQ(errno, 77);
    spend(100000);
    now_ns = 5000000000 + 1000000;
    EXPECT_FALSE(rf_page_time_left());
  });
}

TEST(DropinPageTime, AChildBeginsAnew) {
  alone([] {
    rf_page_time_begin(10);
    used_ns = 10000000;
    spend(kSaved);
    EXPECT_TRUE(rf_page_time_left()); // a millisecond more
    spend(1000000);
    now_ns += 1000000000;
    rf_page_time_forked();
    used_ns = 0;
    alone([] {
      spend(kSaved);
      EXPECT_FALSE(rf_page_time_left()); // there is no share yet
    });
    spend(kSaved - 2);
    EXPECT_TRUE(rf_page_time_left());
    rf_page_time_settle();
    work(1);
    now_ns += kLook;
    EXPECT_TRUE(rf_page_time_left()); // by the time since the fork
    uint64_t const then = now_ns;
    spend((kSaved / 2 + kLook) / 100 * 10);
    now_ns = then;
    EXPECT_FALSE(rf_page_time_left());
  });
}

} // namespace
