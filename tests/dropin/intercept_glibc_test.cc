// Functions that glibc alone has (checkers/dropin/process/intercept_glibc.c): each reaches the one behind as it was
// called, and the memory that explains a failure is looked at. The functions behind, and who looks, are this test's
// own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/address_findings.h"
#include "checkers/dropin/process/intercept_files.h"
#include "checkers/dropin/process/intercept_transfer.h"
#include "checkers/dropin/process/stream_buffer.h"
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, __SOCKADDR_ARG from, socklen_t *length);
size_t __fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *stream);
size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t n, FILE *stream);
bool __wrap_rf_host_readable(const void *start, size_t size);
}
#undef _Static_assert

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>
#include <type_traits>
#include <unistd.h>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

struct World {
  Calls calls;
  ssize_t result = -1;
  int error = EFAULT;
  bool uses = true; // the stream was not closed
};

World world;
bool records; // else the C library's own answers
char buffer[64];
sockaddr_storage from;
socklen_t from_length = 28;
const iovec list[2] = {{buffer, 10}, {buffer + 10, 20}};
char the_store;

template <typename Number> std::enable_if_t<std::is_integral_v<Number>, std::string> text_of(Number number) {
  return std::to_string(number);
}
std::string text_of(const char *text) {
  return text;
}
std::string text_of(const void *p) {
  auto const offset = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(buffer);
  return p == list                ? "list"
         : p == &from             ? "from"
         : p == &from_length      ? "length"
         : p == stdin             ? "stdin"
         : p == nullptr           ? "null"
         : offset < sizeof buffer ? "buffer+" + std::to_string(offset)
                                  : "other";
}

void put(std::string *) {}

template <typename First, typename... Rest> void put(std::string *text, First first, Rest... rest) {
  *text += " " + text_of(first);
  put(text, rest...);
}

template <typename... Arguments> void call(const char *name, Arguments... arguments) {
  std::string text = name;
  put(&text, arguments...);
  world.calls.push_back(text);
}

ssize_t answer() {
  errno = world.error;
  return world.result;
}

int (*real_fflush)(FILE *);

int their_fflush(FILE *stream) {
  if (!records) {
    return real_fflush(stream);
  }
  call("fflush", static_cast<void *>(stream));
  return static_cast<int>(answer());
}
int their_fflush_unlocked(FILE *stream) {
  call("fflush_unlocked", static_cast<void *>(stream));
  return static_cast<int>(answer());
}
FILE *their_freopen64(const char *filename, const char *modes, FILE *stream) {
  call("freopen64", filename, modes, static_cast<void *>(stream));
  return stderr;
}
ssize_t their_pread64(int fd, void *buf, size_t n, off64_t at) {
  call("pread64", fd, buf, n, at);
  return answer();
}
ssize_t their_pwrite64(int fd, const void *buf, size_t n, off64_t at) {
  call("pwrite64", fd, buf, n, at);
  return answer();
}
ssize_t their_preadv64(int fd, const iovec *pieces, int count, off64_t at) {
  call("preadv64", fd, static_cast<const void *>(pieces), count, at);
  return answer();
}
ssize_t their_pwritev64(int fd, const iovec *pieces, int count, off64_t at) {
  call("pwritev64", fd, static_cast<const void *>(pieces), count, at);
  return answer();
}
#define THEIR_WITH_FLAGS(name)                                                                                         \
  ssize_t their_##name(int fd, const iovec *pieces, int count, off64_t at, int flags) {                                \
    call(#name, fd, static_cast<const void *>(pieces), count, at, flags);                                              \
    return answer();                                                                                                   \
  }
THEIR_WITH_FLAGS(preadv2)
THEIR_WITH_FLAGS(pwritev2)
THEIR_WITH_FLAGS(preadv64v2)
THEIR_WITH_FLAGS(pwritev64v2)
ssize_t their_read_chk(int fd, void *buf, size_t n, size_t room) {
  call("__read_chk", fd, buf, n, room);
  return answer();
}
ssize_t their_pread_chk(int fd, void *buf, size_t n, off_t at, size_t room) {
  call("__pread_chk", fd, buf, n, at, room);
  return answer();
}
ssize_t their_pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t room) {
  call("__pread64_chk", fd, buf, n, at, room);
  return answer();
}
ssize_t their_recv_chk(int fd, void *buf, size_t n, size_t room, int flags) {
  call("__recv_chk", fd, buf, n, room, flags);
  return answer();
}
ssize_t their_recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, sockaddr *who, socklen_t *length) {
  call("__recvfrom_chk", fd, buf, n, room, flags, static_cast<void *>(who), static_cast<void *>(length));
  return answer();
}
size_t their_fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *stream) {
  call("__fread_chk", buf, room, size, n, static_cast<void *>(stream));
  return static_cast<size_t>(answer());
}
size_t their_fread_unlocked_chk(void *buf, size_t room, size_t size, size_t n, FILE *stream) {
  call("__fread_unlocked_chk", buf, room, size, n, static_cast<void *>(stream));
  return static_cast<size_t>(answer());
}

struct Theirs {
  const char *name;
  void *function;
};

#define THEIR(name, function)                                                                                          \
  { name, reinterpret_cast<void *>(function) }
const Theirs kTheirs[] = {
    THEIR("fflush", their_fflush),         THEIR("fflush_unlocked", their_fflush_unlocked),
    THEIR("freopen64", their_freopen64),   THEIR("pread64", their_pread64),
    THEIR("pwrite64", their_pwrite64),     THEIR("preadv64", their_preadv64),
    THEIR("pwritev64", their_pwritev64),   THEIR("__read_chk", their_read_chk),
    THEIR("__pread_chk", their_pread_chk), THEIR("__pread64_chk", their_pread64_chk),
    THEIR("__recv_chk", their_recv_chk),   THEIR("__recvfrom_chk", their_recvfrom_chk),
    THEIR("__fread_chk", their_fread_chk), THEIR("__fread_unlocked_chk", their_fread_unlocked_chk),
    THEIR("preadv2", their_preadv2),       THEIR("pwritev2", their_pwritev2),
    THEIR("preadv64v2", their_preadv64v2), THEIR("pwritev64v2", their_pwritev64v2),
};

const char *name_of(rf_access access) {
  return access == RF_ACCESS_WRITE ? "write" : "read";
}

} // namespace

extern "C" {

rf_guarded_blocks_state rf_guarded_blocks;

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  for (const Theirs &each : kTheirs) {
    if (std::strcmp(name, each.name) == 0) {
      if (each.function == reinterpret_cast<void *>(their_fflush)) {
        real_fflush = reinterpret_cast<int (*)(FILE *)>(__real_dlsym(handle, name));
      }
      return each.function;
    }
  }
  return __real_dlsym(handle, name);
}

void rf_stream_buffer_look(FILE *stream, const rf_origin *origin) {
  if (records) {
    EXPECT_NE(origin->caller, 0U);
    call("look at", static_cast<void *>(stream));
  }
}
void rf_stream_buffer_refused(FILE *stream, const rf_origin *) {
  call("refused", static_cast<void *>(stream));
}
void rf_intercept_reopening(FILE *stream, const rf_origin *) {
  call("reopening", static_cast<void *>(stream));
}
FILE *rf_intercept_reopened(FILE *stream) {
  call(stream == stderr ? "reopened stderr" : "reopened");
  return stdout;
}
void rf_report_stopped_write(const void *to, size_t size, size_t room, const rf_origin *origin) {
  EXPECT_NE(origin->caller, 0U);
  call("stopped", to, size, room);
}
bool rf_process_uses(const void *, const rf_origin *) {
  return world.uses;
}
bool __wrap_rf_host_readable(const void *, size_t) {
  return true;
}

void rf_transfer_look(const void *start, size_t size, ssize_t result, rf_access access, const rf_origin *) {
  call(name_of(access), start, size, result);
}
void rf_transfer_look_list(const iovec *pieces, int count, ssize_t result, rf_access access, const rf_origin *) {
  call(name_of(access), static_cast<const void *>(pieces), count, result);
}
void rf_transfer_look_pieces(const rf_transfer_piece *pieces, size_t count, const rf_origin *) {
  for (size_t i = 0; i < count; i++) {
    EXPECT_FALSE(pieces[i].is_string);
    call(name_of(pieces[i].access), pieces[i].start, pieces[i].size);
  }
}
}

namespace ringfence_test {
namespace {

class InterceptGlibc : public testing::Test {
protected:
  InterceptGlibc() {
    world = World();
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  }

  static Calls calls_of(const std::function<void()> &act) {
    world.calls.clear();
    records = true;
    act();
    records = false;
    return world.calls;
  }
};

// The first call of the process: nobody has looked for the functions behind.
TEST_F(InterceptGlibc, WhatAStreamIsAboutToWriteOutIsLookedAtFirst) {
  int result = 0;
  EXPECT_EQ(calls_of([&] { result = fflush_unlocked(stdin); }), (Calls{"look at stdin", "fflush_unlocked stdin"}));
  EXPECT_EQ(result, -1);
  EXPECT_EQ(calls_of([&] { result = fflush(nullptr); }), (Calls{"look at null", "fflush null"}));
  EXPECT_EQ(result, -1);
}

TEST_F(InterceptGlibc, AStreamThatIsOpenedAnewIsLookedAtAndMayBeStandardError) {
  FILE *result = nullptr;
  EXPECT_EQ(calls_of([&] { result = freopen64("file", "r+", stdin); }),
            (Calls{"reopening stdin", "freopen64 file r+ stdin", "reopened stderr"}));
  EXPECT_EQ(result, stdout);
}

// Each is called with numbers that differ.
TEST_F(InterceptGlibc, ACallThatFailsHasItsMemoryLookedAt) {
  struct {
    std::function<void()> act;
    const char *call;
    const char *look;
  } const cases[] = {
      {[] { (void)pread64(3, buffer, 11, 12); }, "pread64 3 buffer+0 11 12", "write buffer+0 11 -1"},
      {[] { (void)pwrite64(3, buffer, 11, 12); }, "pwrite64 3 buffer+0 11 12", "read buffer+0 11 -1"},
      {[] { (void)__read_chk(3, buffer, 11, 13); }, "__read_chk 3 buffer+0 11 13", "write buffer+0 11 -1"},
      {[] { (void)__pread_chk(3, buffer, 11, 12, 13); }, "__pread_chk 3 buffer+0 11 12 13", "write buffer+0 11 -1"},
      {[] { (void)__pread64_chk(3, buffer, 11, 12, 13); }, "__pread64_chk 3 buffer+0 11 12 13", "write buffer+0 11 -1"},
      {[] { (void)__recv_chk(3, buffer, 11, 13, 14); }, "__recv_chk 3 buffer+0 11 13 14", "write buffer+0 11 -1"},
      {[] { (void)preadv64(3, list, 2, 12); }, "preadv64 3 list 2 12", "write list 2 -1"},
      {[] { (void)pwritev64(3, list, 2, 12); }, "pwritev64 3 list 2 12", "read list 2 -1"},
      {[] { (void)preadv2(3, list, 2, 12, 13); }, "preadv2 3 list 2 12 13", "write list 2 -1"},
      {[] { (void)pwritev2(3, list, 2, 12, 13); }, "pwritev2 3 list 2 12 13", "read list 2 -1"},
      {[] { (void)preadv64v2(3, list, 2, 12, 13); }, "preadv64v2 3 list 2 12 13", "write list 2 -1"},
      {[] { (void)pwritev64v2(3, list, 2, 12, 13); }, "pwritev64v2 3 list 2 12 13", "read list 2 -1"},
  };
  for (auto const &each : cases) {
    EXPECT_EQ(calls_of(each.act), (Calls{each.call, each.look}));
    rf_guarded_blocks.store = nullptr;
    EXPECT_EQ(calls_of(each.act), Calls{each.call}) << "there is no memory that is closed";
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&the_store);
  }
}

// The C library, which is asked next, aborts.
TEST_F(InterceptGlibc, AReadThatDoesNotFitIsReportedFirst) {
  struct {
    std::function<void()> act;
    const char *report;
    const char *call;
  } const cases[] = {
      {[] { (void)__read_chk(3, buffer, 14, 13); }, "stopped buffer+0 14 13", "__read_chk 3 buffer+0 14 13"},
      {[] { (void)__pread_chk(3, buffer, 14, 12, 13); }, "stopped buffer+0 14 13", "__pread_chk 3 buffer+0 14 12 13"},
      {[] { (void)__pread64_chk(3, buffer, 14, 12, 13); }, "stopped buffer+0 14 13",
       "__pread64_chk 3 buffer+0 14 12 13"},
      {[] { (void)__recv_chk(3, buffer, 14, 13, 12); }, "stopped buffer+0 14 13", "__recv_chk 3 buffer+0 14 13 12"},
      {[] { (void)__recvfrom_chk(3, buffer, 14, 13, 12, reinterpret_cast<sockaddr *>(&from), &from_length); },
       "stopped buffer+0 14 13", "__recvfrom_chk 3 buffer+0 14 13 12 from length"},
      {[] { (void)__fread_chk(buffer, 34, 5, 7, stdin); }, "stopped buffer+0 35 34",
       "__fread_chk buffer+0 34 5 7 stdin"},
      {[] { (void)__fread_unlocked_chk(buffer, 34, 5, 7, stdin); }, "stopped buffer+0 35 34",
       "__fread_unlocked_chk buffer+0 34 5 7 stdin"},
  };
  for (void *const store : {static_cast<void *>(nullptr), static_cast<void *>(&the_store)}) {
    rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(store);
    for (auto const &each : cases) {
      Calls calls = calls_of(each.act);
      ASSERT_GE(calls.size(), 2U);
      calls.resize(2);
      EXPECT_EQ(calls, (Calls{each.report, each.call}));
    }
  }
  Calls const wraps = calls_of([] { (void)__fread_chk(buffer, 34, SIZE_MAX, 2, stdin); });
  ASSERT_FALSE(wraps.empty());
  EXPECT_EQ(wraps[0], "stopped buffer+0 " + std::to_string(SIZE_MAX) + " 34");
}

TEST_F(InterceptGlibc, OfAMessageTheSenderIsLookedAtToo) {
  auto const act = [] {
    (void)__recvfrom_chk(3, buffer, 11, 13, 14, reinterpret_cast<sockaddr *>(&from), &from_length);
  };
  std::string const call = "__recvfrom_chk 3 buffer+0 11 13 14 from length";
  EXPECT_EQ(calls_of(act), (Calls{call, "write buffer+0 11", "write length 4", "write from 28"}));
  world.result = 4;
  EXPECT_EQ(calls_of(act), (Calls{call, "write buffer+0 11 4"})) << "a short one";
  world.result = 11;
  EXPECT_EQ(calls_of(act), Calls{call});
}

TEST_F(InterceptGlibc, AStreamThatHadAnErrorHasItsMemoryLookedAt) {
  struct {
    std::function<void()> act;
    const char *call;
  } const cases[] = {
      {[] { (void)__fread_chk(buffer, 36, 5, 7, stdin); }, "__fread_chk buffer+0 36 5 7 stdin"},
      {[] { (void)__fread_unlocked_chk(buffer, 36, 5, 7, stdin); }, "__fread_unlocked_chk buffer+0 36 5 7 stdin"},
  };
  stdin->_flags |= 0x20; // its error
  for (auto const &each : cases) {
    world = World();
    EXPECT_EQ(calls_of(each.act), (Calls{each.call, "write buffer+0 35 -1", "refused stdin"}));
    world.result = 7;
    EXPECT_EQ(calls_of(each.act), Calls{each.call}) << "all was read";
    world.result = 3;
    world.error = EIO;
    EXPECT_EQ(calls_of(each.act), Calls{each.call}) << "another error";
    world.error = EFAULT;
    world.uses = false;
    EXPECT_EQ(calls_of(each.act), Calls{each.call}) << "a stream that was closed moves nothing";
  }
  clearerr(stdin);
  world = World();
  EXPECT_EQ(calls_of(cases[0].act), Calls{cases[0].call}) << "an end, and no error";
}

} // namespace
} // namespace ringfence_test
