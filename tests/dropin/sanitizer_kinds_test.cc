// The programs that are taken for a sanitizer's (checkers/dropin/process/sanitizer_check.c): by the name of a runtime,
// or by functions of the C library's that it stands in for, both of them. RF_TEST_KIND says what is linked in.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/process/sanitizer_check.h"
}
#undef _Static_assert

#include <cstdarg>
#include <ctime>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RF_TEST_ASAN 1
#define RF_TEST_TSAN 2
#define RF_TEST_OWN_CLOCK 3
#define RF_TEST_OWN_WRITEV 4

namespace {

std::string said;
int tries; // to read the program's arguments, which is refused

} // namespace

extern "C" {

bool rf_malloc_is_replaced() {
  return true;
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  (void)va_arg(list, long);
  const char *const text = va_arg(list, const char *);
  size_t const size = va_arg(list, size_t);
  va_end(list);
  if (number == SYS_write) {
    said.append(text, size);
  }
  tries += number == SYS_openat ? 1 : 0;
  return -1;
}

#if RF_TEST_KIND == RF_TEST_ASAN
void __asan_init() {}
#elif RF_TEST_KIND == RF_TEST_TSAN
void __tsan_init() {}
#endif

#if RF_TEST_KIND != RF_TEST_OWN_WRITEV
int __wrap_clock_gettime(clockid_t, timespec *) {
  return -1;
}
#endif
#if RF_TEST_KIND != RF_TEST_OWN_CLOCK
ssize_t __wrap_process_vm_writev(pid_t, const iovec *, unsigned long, const iovec *, unsigned long, unsigned long) {
  return -1;
}
#endif
}

namespace ringfence_test {
namespace {

#if RF_TEST_KIND == RF_TEST_ASAN

TEST(SanitizerKinds, OfAddressSanitizerIsSaidAndItStartsTheProgramAnewItself) {
  EXPECT_FALSE(rf_sanitizer_leave());
  EXPECT_EQ(tries, 0);
  EXPECT_STREQ(rf_sanitizer_name(), "AddressSanitizer");
  EXPECT_EQ(said, "");
  EXPECT_STREQ(rf_sanitizer_check(), "AddressSanitizer");
  EXPECT_EQ(said, "ringfence: this program is built with AddressSanitizer, which has a malloc of its own: it is not "
                  "checked by Ringfence\n");
}

#elif RF_TEST_KIND == RF_TEST_TSAN

TEST(SanitizerKinds, OfThreadSanitizerIsLeftAloneThoughItCannotBeStartedAnew) {
  EXPECT_TRUE(rf_sanitizer_leave());
  EXPECT_EQ(tries, 1);
  EXPECT_EQ(said, "ringfence: this program is built with ThreadSanitizer, which has a malloc of its own: it is not "
                  "checked by Ringfence\n");
  EXPECT_EQ(rf_sanitizer_check(), nullptr);
}

#else

TEST(SanitizerKinds, OneFunctionOfTheProgramsOwnIsNoRuntime) {
  EXPECT_FALSE(rf_sanitizer_leave());
  EXPECT_EQ(tries, 0);
  EXPECT_EQ(rf_sanitizer_check(), nullptr);
  EXPECT_EQ(said, "");
}

#endif

} // namespace
} // namespace ringfence_test
