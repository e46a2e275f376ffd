// The beginning and the end of the process over musl (checkers/dropin/process/start_musl.c): the order of its handlers
// and of its destructor, what is flushed, and the status. All that it calls, and the system, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/process/start.h"
#include "checkers/dropin/process/stream_list.h"
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

int told = -1;   // where calls are written; -1: nowhere
int status = -1; // of the end
void (*at_quick_exit_handler)();

void call(const std::string &what) {
  if (told != -1) {
    EXPECT_EQ(write(told, (what + ";").c_str(), what.size() + 1), static_cast<ssize_t>(what.size() + 1));
  }
}

} // namespace

extern "C" {

void rf_libc_init() {
  call("libc");
}
bool rf_stream_list_lock() {
  call("lock of streams");
  return true;
}
int rf_process_end(rf_process_ending ending, int given) {
  call((ending == RF_ENDING_EXIT     ? "end "
        : ending == RF_ENDING_ABRUPT ? "abrupt end "
                                     : "another ") +
       std::to_string(given));
  return status;
}
int __real_fflush(FILE *stream);
int __wrap_fflush(FILE *stream) {
  if (stream == nullptr) {
    call("flush");
  }
  return __real_fflush(stream);
}
int __wrap_at_quick_exit(void (*function)()) {
  call("at quick exit");
  at_quick_exit_handler = function;
  return 0;
}
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  int const code = va_arg(list, int);
  va_end(list);
  call((number == SYS_exit_group ? "exit of all " : "system ") + std::to_string(code));
  _exit(code);
}
}

namespace ringfence_test {
namespace {

// The calls of a process, and its status.
std::string calls_of(const std::function<void()> &act, int *code) {
  int ends[2];
  char text[1000];
  ssize_t length = 0;
  EXPECT_EQ(pipe(ends), 0);
  pid_t const child = fork();
  if (child == 0) {
    told = ends[1];
    act();
    exit(3);
  }
  close(ends[1]);
  std::string all;
  while ((length = read(ends[0], text, sizeof text)) > 0) {
    all.append(text, static_cast<size_t>(length));
  }
  close(ends[0]);
  int result = 0;
  EXPECT_EQ(waitpid(child, &result, 0), child);
  *code = WIFEXITED(result) ? WEXITSTATUS(result) : -1;
  return all;
}

const std::string kBegin = "libc;at quick exit;";

TEST(StartMusl, TheEndComesInADestructorBehindAllHandlers) {
  int code = 0;
  EXPECT_EQ(calls_of(rf_start_of_libc, &code), kBegin + "lock of streams;end -1;");
  EXPECT_EQ(code, 3);
}

TEST(StartMusl, AnotherStatusEndsTheProcessThereWithItsStreamsFlushed) {
  int code = 0;
  auto const act = [] {
    status = 0;
    rf_start_of_libc();
  };
  EXPECT_EQ(calls_of(act, &code), kBegin + "lock of streams;end -1;flush;exit of all 0;");
  EXPECT_EQ(code, 0);
}

TEST(StartMusl, AProcessThatWasLeftToASanitizerEndsAsItIs) {
  int code = 0;
  EXPECT_EQ(calls_of([] { status = 23; }, &code), "");
  EXPECT_EQ(code, 3);
}

TEST(StartMusl, AQuickExitIsAbruptAndFlushesNothing) {
  int code = 0;
  auto const act = [] {
    rf_start_of_libc();
    at_quick_exit_handler();
    status = 24;
    at_quick_exit_handler();
  };
  EXPECT_EQ(calls_of(act, &code), kBegin + "abrupt end -1;abrupt end -1;exit of all 24;");
  EXPECT_EQ(code, 24);
}

} // namespace
} // namespace ringfence_test
