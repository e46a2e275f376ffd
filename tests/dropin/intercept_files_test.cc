// Calls on descriptors and streams that the library stands in for (intercept_files.c, intercept_descriptors.c in
// checkers/dropin/process): what reaches the system, what is standard error from then on, and that the descriptor of
// the page store stays. The functions behind, and the system, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/process/intercept_files.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/dropin/process/stream_buffer.h"
#include "checkers/dropin/runtime/output.h"
int close_range(unsigned first, unsigned last, int flags) noexcept; // not every C library has these two
void closefrom(int first) noexcept;
}
#undef _Static_assert
#include "tests/dropin/calls.h"

#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

using ringfence_test::call;
using ringfence_test::Calls;
using ringfence_test::RecordsCalls;

namespace {

struct World {
  bool on = false; // calls are noted, and go no further
  int kept = 0;    // the descriptor of the page store
  long limit = 3;
  bool has_close_range = true;
  long result = 5;
  bool closes = true; // streams
  FILE *reopened = nullptr;
};

World world;

int note(const char *name, const std::vector<int64_t> &arguments) {
  std::string text = name;
  for (int64_t const each : arguments) {
    text += " " + std::to_string(each);
  }
  call(text);
  return static_cast<int>(world.result);
}

int their_close(int fd) {
  return note("close", {fd});
}
int their_fclose(FILE *) {
  return note("fclose", {});
}
FILE *their_freopen(const char *name, const char *modes, FILE *) {
  note((std::string("freopen ") + name + " " + modes).c_str(), {});
  return world.reopened;
}
int their_chroot(const char *path) {
  return note((std::string("chroot ") + path).c_str(), {});
}
int their_setuid(uid_t a) {
  return note("setuid", {a});
}
int their_seteuid(uid_t a) {
  return note("seteuid", {a});
}
int their_setreuid(uid_t a, uid_t b) {
  return note("setreuid", {a, b});
}
int their_setresuid(uid_t a, uid_t b, uid_t c) {
  return note("setresuid", {a, b, c});
}
int their_unshare(int flags) {
  return note("unshare", {flags});
}

template <typename F> void *address_of(F *function) {
  return reinterpret_cast<void *>(function);
}

} // namespace

extern "C" {

long __real_syscall(long number, ...);
void *__real_dlsym(void *handle, const char *name);
long __real_sysconf(int name);

void *__wrap_dlsym(void *handle, const char *name) {
  struct {
    const char *name;
    void *function;
  } const theirs[] = {
      {"close", address_of(their_close)},       {"fclose", address_of(their_fclose)},
      {"freopen", address_of(their_freopen)},   {"chroot", address_of(their_chroot)},
      {"setuid", address_of(their_setuid)},     {"seteuid", address_of(their_seteuid)},
      {"setreuid", address_of(their_setreuid)}, {"setresuid", address_of(their_setresuid)},
      {"unshare", address_of(their_unshare)},
  };
  for (auto const &each : theirs) {
    if (std::strcmp(name, each.name) == 0) {
      return each.function;
    }
  }
  return __real_dlsym(handle, name);
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  if (!world.on) {
    long a[6];
    for (long &each : a) {
      each = va_arg(list, long);
    }
    va_end(list);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  int const a = va_arg(list, int);
  long result = 0;
  if (number == SYS_dup) {
    result = note("dup", {a});
  } else if (number == SYS_dup2) {
    result = note("dup2", {a, va_arg(list, int)});
  } else if (number == SYS_dup3) {
    int const b = va_arg(list, int);
    result = note("dup3", {a, b, va_arg(list, int)});
  } else if (number == SYS_close_range) {
    auto const last = va_arg(list, unsigned);
    note("close_range", {static_cast<long>(static_cast<unsigned>(a)), static_cast<long>(last), va_arg(list, int)});
    result = world.has_close_range ? 0 : -1;
  } else {
    ADD_FAILURE() << "call " << number;
  }
  va_end(list);
  return result;
}

long __wrap_sysconf(int name) {
  return name == _SC_OPEN_MAX ? world.limit : __real_sysconf(name);
}

int __wrap_rf_page_store_kept_descriptor() {
  return world.kept;
}
void __wrap_rf_page_store_settle() {
  call("settle");
}

void rf_output_set_standard_error() {
  call("standard error");
}
void rf_output_keep_log() {
  call("keep log");
}
bool rf_process_closes(FILE *, const rf_origin *origin) {
  EXPECT_NE(origin->caller, 0U);
  call("closes");
  return world.closes;
}
void rf_stream_buffer_look(FILE *, const rf_origin *origin) {
  EXPECT_NE(origin->caller, 0U);
  call("look");
}
}

namespace ringfence_test {
namespace {

class InterceptFiles : public RecordsCalls {
protected:
  InterceptFiles() { world = World(); }

  // The calls that `act` makes. Only meanwhile are the functions below this test's.
  static Calls calls_of(const std::function<void()> &act) {
    world.on = true;
    Calls const made = ringfence_test::calls_of(act);
    world.on = false;
    return made;
  }
};

// ---- Standard error ----

TEST_F(InterceptFiles, ACopyToTheNumberOfStandardErrorIsStandardError) {
  int result = 0;
  for (long const number : {2, 5, -1}) {
    world.result = number;
    Calls const after = number == 2 ? Calls{"standard error"} : Calls();
    auto const with = [&](const std::string &call) {
      Calls all{call};
      all.insert(all.end(), after.begin(), after.end());
      return all;
    };
    EXPECT_EQ(calls_of([&] { result = dup(7); }), with("dup 7"));
    EXPECT_EQ(result, number);
    EXPECT_EQ(calls_of([&] { result = dup2(7, 2); }), with("dup2 7 2"));
    EXPECT_EQ(result, number);
    EXPECT_EQ(calls_of([&] { result = dup3(7, 2, O_CLOEXEC); }), with("dup3 7 2 " + std::to_string(O_CLOEXEC)));
    EXPECT_EQ(result, number);
  }
}

TEST_F(InterceptFiles, ADescriptorThatIsCopiedToItselfStays) {
  int result = 0;
  EXPECT_EQ(calls_of([&] { result = dup2(2, 2); }), Calls()) << "nothing is put there";
  EXPECT_EQ(result, 2);
  EXPECT_EQ(calls_of([&] { result = dup2(999, 999); }), Calls());
  EXPECT_EQ(result, -1);
}

TEST_F(InterceptFiles, AFileThatIsOpenedAnewMayBeStandardError) {
  FILE *result = nullptr;
  Calls const all = {"look", "freopen name w"};
  world.reopened = stdout;
  EXPECT_EQ(calls_of([&] { result = freopen("name", "w", stdout); }), all);
  EXPECT_EQ(result, stdout);
  world.reopened = nullptr;
  EXPECT_EQ(calls_of([&] { result = freopen("name", "w", stderr); }), all);
  EXPECT_EQ(result, nullptr);
  world.reopened = stderr;
  EXPECT_EQ(calls_of([&] { result = freopen("name", "w", stderr); }),
            (Calls{"look", "freopen name w", "standard error"}));
  EXPECT_EQ(calls_of([] { rf_intercept_reopening(nullptr, nullptr); }), Calls());
}

TEST_F(InterceptFiles, AStreamIsClosedUnlessItWasBefore) {
  int result = 0;
  EXPECT_EQ(calls_of([&] { result = fclose(stdin); }), (Calls{"closes", "fclose"}));
  EXPECT_EQ(result, 5);
  world.closes = false;
  EXPECT_EQ(calls_of([&] { result = fclose(stdin); }), Calls{"closes"});
  EXPECT_EQ(result, EOF);
}

// ---- Rights ----

TEST_F(InterceptFiles, TheLogIsKeptBeforeTheRightToOpenItGoes) {
  int result = 0;
  auto const kept = [](const std::string &call) { return Calls{"keep log", call}; };
  EXPECT_EQ(calls_of([&] { result = chroot("/x"); }), kept("chroot /x"));
  EXPECT_EQ(result, 5);
  EXPECT_EQ(calls_of([&] { result = setuid(11); }), kept("setuid 11"));
  EXPECT_EQ(calls_of([&] { result = seteuid(11); }), kept("seteuid 11"));
  EXPECT_EQ(calls_of([&] { result = setreuid(11, 12); }), kept("setreuid 11 12"));
  EXPECT_EQ(calls_of([&] { result = setresuid(11, 12, 13); }), kept("setresuid 11 12 13"));
  EXPECT_EQ(calls_of([&] { result = unshare(14); }), kept("unshare 14"));
}

// ---- The descriptor of the page store ----

TEST_F(InterceptFiles, TheStoresDescriptorCannotBeClosed) {
  int result = 0;
  world.kept = 1000;
  errno = 0;
  EXPECT_EQ(calls_of([&] { result = close(1000); }), Calls());
  EXPECT_EQ(result, -1);
  EXPECT_EQ(errno, EBADF) << "as if it were not there";
  rf_intercept_descriptors_init();
  EXPECT_EQ(calls_of([&] { result = close(999); }), Calls{"close 999"});
  EXPECT_EQ(result, 5);
}

TEST_F(InterceptFiles, TheStoreGivesUpADescriptorWhoseNumberTheProgramTakes) {
  world.kept = 1000;
  EXPECT_EQ(calls_of([] { (void)dup2(7, 1000); }), (Calls{"settle", "dup2 7 1000"}));
  EXPECT_EQ(calls_of([] { (void)dup3(7, 1000, 0); }), (Calls{"settle", "dup3 7 1000 0"}));
  EXPECT_EQ(calls_of([] { (void)dup2(7, 999); }), Calls{"dup2 7 999"});
  EXPECT_EQ(calls_of([] { (void)dup3(7, 999, 0); }), Calls{"dup3 7 999 0"});
}

TEST_F(InterceptFiles, ARangeIsClosedAroundTheStoresDescriptor) {
  int const flags = 4;
  struct {
    unsigned first;
    unsigned last;
    Calls calls;
  } const rows[] = {
      {3, 999, {"close_range 3 999 4"}},
      {3, 1000, {"close_range 3 999 4"}},
      {3, 1001, {"close_range 3 999 4", "close_range 1001 1001 4"}},
      {1000, 1000, {}},
      {1000, 2000, {"close_range 1001 2000 4"}},
      {1001, 2000, {"close_range 1001 2000 4"}},
      {3, UINT_MAX, {"close_range 3 999 4", "close_range 1001 4294967295 4"}},
  };
  world.kept = 1000;
  for (auto const &row : rows) {
    int result = 7;
    EXPECT_EQ(calls_of([&] { result = close_range(row.first, row.last, flags); }), row.calls)
        << row.first << " " << row.last;
    EXPECT_EQ(result, 0);
  }
  world.kept = 3;
  EXPECT_EQ(calls_of([] { (void)close_range(3, 9, 0); }), Calls{"close_range 4 9 0"});
  world.kept = 0;
  EXPECT_EQ(calls_of([] { (void)close_range(0, 9, 0); }), Calls{"close_range 0 9 0"});
  world.kept = 1000;
  world.has_close_range = false;
  int result = 0;
  EXPECT_EQ(calls_of([&] { result = close_range(3, 2000, 0); }), Calls{"close_range 3 999 0"});
  EXPECT_EQ(result, -1);
}

TEST_F(InterceptFiles, AllFromANumberOnAreClosed) {
  world.kept = 1000;
  EXPECT_EQ(calls_of([] { closefrom(3); }), (Calls{"close_range 3 999 0", "close_range 1001 4294967295 0"}));
  EXPECT_EQ(calls_of([] { closefrom(-3); }), (Calls{"close_range 0 999 0", "close_range 1001 4294967295 0"}));
  rf_intercept_descriptors_init();
  world.kept = 0;
  world.has_close_range = false;
  world.limit = 6;
  EXPECT_EQ(calls_of([] { closefrom(3); }), (Calls{"close_range 3 4294967295 0", "close 3", "close 4", "close 5"}))
      << "on an old kernel";
}

} // namespace
} // namespace ringfence_test
