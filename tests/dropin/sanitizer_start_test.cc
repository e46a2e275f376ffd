// Programs with a sanitizer's runtime that is a library (checkers/dropin/process/sanitizer_check.c): they are started
// anew without the drop-in, with their arguments and all else of their environment. The system, and the name of the
// library, are this test's own.
#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/malloc_impl.h"
#include "checkers/dropin/process/sanitizer_check.h"
const char *__asan_default_options(void);
}
#undef _Static_assert

#include "tests/dropin/alone.h"

#include <cstdarg>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

namespace {

using Strings = std::vector<std::string>;

struct World {
  std::string cmdline = std::string("program\0-v\0\0last\0", 17);
  std::string environ = std::string("A=1\0LD_PRELOAD=/lib/libringfence.so\0B=2\0", 40);
  std::string said;
  int starts = 0;
  Strings arguments;
  Strings environment;
  std::string path;
  const char *library = "/usr/lib/libringfence.so";
  bool knows_library = true;
  long most = 7;           // bytes of one read
  std::string refused;     // a file
  bool fails_late = false; // the second read
  bool replaced = false;
  int open = 0;           // descriptors
  bool inherited = false; // one may be the next program's
};

World world;
const std::string *file;
size_t at;
int reads;

long open_file(const char *path, int flags) {
  reads = 0;
  at = 0;
  world.inherited = world.inherited || (flags & O_CLOEXEC) == 0;
  if (path == world.refused) {
    return -1;
  }
  file = std::strcmp(path, "/proc/self/cmdline") == 0   ? &world.cmdline
         : std::strcmp(path, "/proc/self/environ") == 0 ? &world.environ
                                                        : nullptr;
  world.open += file != nullptr ? 1 : 0;
  return file != nullptr ? 50 : -1;
}

long read_file(char *out, size_t room) {
  if (++reads == 2 && world.fails_late) {
    return -1;
  }
  size_t const left = file->size() - at;
  size_t count = left < room ? left : room;
  count = count < static_cast<size_t>(world.most) ? count : static_cast<size_t>(world.most);
  std::memcpy(out, file->data() + at, count);
  at += count;
  return static_cast<long>(count);
}

Strings strings(char **list) {
  Strings all;
  for (; *list != nullptr; list++) {
    all.emplace_back(*list);
  }
  return all;
}

} // namespace

extern "C" {

bool rf_malloc_is_replaced() {
  return world.replaced;
}

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long const first = va_arg(list, long);
  void *const second = va_arg(list, void *);
  long const third = va_arg(list, long);
  va_end(list);
  switch (number) {
  case SYS_openat:
    return open_file(static_cast<const char *>(second), static_cast<int>(third));
  case SYS_read:
    EXPECT_EQ(first, 50);
    return read_file(static_cast<char *>(second), static_cast<size_t>(third));
  case SYS_close:
    world.open -= first == 50 ? 1 : 0;
    return 0;
  case SYS_write:
    EXPECT_EQ(first, STDERR_FILENO);
    world.said.append(static_cast<char *>(second), static_cast<size_t>(third));
    EXPECT_EQ(world.starts, 0) << "before nobody is left to say it";
    return third;
  case SYS_execve:
    world.starts++;
    world.path = reinterpret_cast<const char *>(first);
    world.arguments = strings(static_cast<char **>(second));
    world.environment = strings(reinterpret_cast<char **>(third));
    return -1;
  default:
    ADD_FAILURE() << number;
    return -1;
  }
}

int __wrap_dladdr(const void *, Dl_info *out) {
  *out = {};
  out->dli_fname = world.library;
  return world.knows_library ? 1 : 0;
}

// Not the C library's, as a runtime that stands in for them has it.
int __wrap_clock_gettime(clockid_t, timespec *) {
  return -1;
}
ssize_t __wrap_process_vm_writev(pid_t, const iovec *, unsigned long, const iovec *, unsigned long, unsigned long) {
  return -1;
}
}

namespace ringfence_test {
namespace {

class SanitizerStart : public testing::Test {
protected:
  SanitizerStart() { world = World(); }

  // The list of libraries that is left for `list`; "not started" where the program was not.
  static std::string left_of(const std::string &list) {
    std::string const text = "LD_PRELOAD=" + list;
    world.environ = std::string("A=1") + '\0' + text + '\0';
    world.starts = 0;
    (void)__asan_default_options();
    return world.starts == 0 ? "not started" : world.environment.at(1).substr(11);
  }
};

const char kSaid[] = "ringfence: this program is built with AddressSanitizer, which has a malloc of its own: it is not "
                     "checked by Ringfence\n";

TEST_F(SanitizerStart, TheProgramIsStartedAnewWithoutTheLibrary) {
  EXPECT_STREQ(__asan_default_options(), "verify_asan_link_order=0") << "where that cannot be, both is better";
  EXPECT_EQ(world.starts, 1);
  EXPECT_EQ(world.path, "/proc/self/exe");
  EXPECT_EQ(world.arguments, (Strings{"program", "-v", "", "last"}));
  EXPECT_EQ(world.environment, (Strings{"A=1", "LD_PRELOAD=", "B=2"}));
  EXPECT_EQ(world.said, kSaid);
  EXPECT_EQ(world.open, 0);
  EXPECT_FALSE(world.inherited);
}

TEST_F(SanitizerStart, OtherLibrariesStayInTheList) {
  EXPECT_EQ(left_of("libringfence.so"), "");
  EXPECT_EQ(left_of("/a/libx.so:/b/libringfence.so:/c/liby.so"), "/a/libx.so:/c/liby.so");
  EXPECT_EQ(left_of("/a/libx.so /b/libringfence.so"), "/a/libx.so");
  EXPECT_EQ(left_of("libringfence.so /c/liby.so"), " /c/liby.so");
  EXPECT_EQ(left_of("libringfence.so:x/libringfence.so"), "");
  EXPECT_EQ(left_of("./notlibringfence.so:libringfence.so"), "./notlibringfence.so");
  EXPECT_EQ(left_of("libringfence.so:libringfence.so.1"), ":libringfence.so.1");
}

TEST_F(SanitizerStart, AProgramThatHasTheLibraryByOtherMeansIsNot) {
  EXPECT_EQ(left_of("./notlibringfence.so"), "not started");
  EXPECT_EQ(left_of("libringfence.so.1"), "not started");
  EXPECT_EQ(left_of("xibringfence.so"), "not started");
  EXPECT_EQ(left_of("aibringfence.so"), "not started");
  EXPECT_EQ(left_of(""), "not started");
  world.environ = std::string("MY_LD_PRELOAD=libringfence.so\0LD_PRELOAD", 41);
  (void)__asan_default_options();
  EXPECT_EQ(world.starts, 0);
  EXPECT_EQ(world.said, "");
}

TEST_F(SanitizerStart, TheLibraryIsKnownByItsFilesName) {
  world.library = "other.so";
  EXPECT_EQ(left_of("/x/other.so"), "");
  EXPECT_EQ(left_of("/x/libringfence.so"), "not started");
  world.library = "a b.so"; // the linker would look for two
  EXPECT_EQ(left_of("x/a b.so"), "not started");
  world.library = nullptr;
  EXPECT_EQ(left_of("libringfence.so"), "not started");
  world.library = "libringfence.so";
  world.knows_library = false;
  EXPECT_EQ(left_of("libringfence.so"), "not started");
}

TEST_F(SanitizerStart, TheListIsTheFirstThatNamesAnything) {
  alone([] { // a process is started once: what it was before stays behind the strings
    world.environ = std::string("LD_PRELOAD=\0LD_PRELOAD=libringfence.so\0", 39);
    (void)__asan_default_options();
    ASSERT_EQ(world.starts, 1);
    EXPECT_EQ(world.environment.at(0), "LD_PRELOAD=");
    EXPECT_EQ(world.environment.at(1), "LD_PRELOAD=");
  });
}

TEST_F(SanitizerStart, NotWhereItsArgumentsOrEnvironmentCannotBeRead) {
  for (const char *const path : {"/proc/self/cmdline", "/proc/self/environ"}) {
    world = World();
    world.refused = path;
    (void)__asan_default_options();
    EXPECT_EQ(world.starts, 0) << path;
    EXPECT_EQ(world.open, 0);
  }
  world = World();
  world.fails_late = true;
  (void)__asan_default_options();
  EXPECT_EQ(world.starts, 0) << "a part is not enough";
  world = World();
  world.cmdline.clear();
  (void)__asan_default_options();
  EXPECT_EQ(world.starts, 0) << "a program without any";
}

TEST_F(SanitizerStart, NotWhereTheyDoNotFit) {
  constexpr size_t kMost = size_t{512} * 1024;
  struct {
    std::string cmdline;
    int starts;
  } const cases[] = {
      {std::string(kMost - 2, 'x'), 1},   {std::string(kMost - 1, 'x'), 0},
      {std::string(kMost + 100, 'x'), 0}, {std::string(kMost / 32 - 1, '\0'), 1},
      {std::string(kMost / 32, '\0'), 0}, {std::string(kMost / 32 + 5, '\0'), 0},
  };
  for (auto const &each : cases) {
    world = World();
    world.most = 4096;
    world.cmdline = each.cmdline;
    (void)__asan_default_options();
    EXPECT_EQ(world.starts, each.starts) << each.cmdline.size();
    EXPECT_TRUE(each.starts == 0 || world.arguments.at(0).size() + 1 >= each.cmdline.size() ||
                world.arguments.size() == each.cmdline.size());
  }
}

// ---- Runtimes that are known by what they stand in for ----

TEST_F(SanitizerStart, ARuntimeWithoutANameIsOneThatHasMallocAndTheCLibrarysFunctions) {
  world.replaced = true;
  EXPECT_TRUE(rf_sanitizer_leave());
  EXPECT_EQ(world.starts, 1);
  EXPECT_EQ(world.said, "ringfence: this program is built with a sanitizer, which has a malloc of its own: it is not "
                        "checked by Ringfence\n");
}

TEST_F(SanitizerStart, AProcessWithoutOneBegins) {
  EXPECT_FALSE(rf_sanitizer_leave());
  EXPECT_EQ(rf_sanitizer_check(), nullptr);
  EXPECT_EQ(world.starts, 0);
  EXPECT_EQ(world.said, "");
}

} // namespace
} // namespace ringfence_test
