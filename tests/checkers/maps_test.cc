// The map of the process (checkers/os/maps.c) where the system answers as the test says: its file is opened for this
// process alone and closed again, interruptions are passed over, and the caller's state stays.
extern "C" {
#include "checkers/os/maps.h"
}
#include "checkers/os/forbidden_calls.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <string>
#include <vector>

namespace {

using Calls = std::vector<std::string>;

constexpr int kFile = 4000;

struct World {
  Calls calls;
  bool opens = true;
  std::vector<std::string> pieces; // of the file; "EINTR" and "EIO" are errors
  bool cancellable = false;
};

World world;

void call(const std::string &what) {
  int before = 0;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  world.cancellable = world.cancellable || before == PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(before, nullptr);
  world.calls.push_back(what);
}

} // namespace

extern "C" {

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  if (std::strcmp(path, "/proc/self/maps") != 0) {
    return __real_open(path, flags, 0600);
  }
  call((flags & O_CLOEXEC) != 0 ? "open" : "open for other programs");
  errno = EACCES;
  return world.opens ? kFile : -1;
}

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size) {
  if (fd != kFile) {
    return __real_read(fd, buffer, size);
  }
  if (world.pieces.empty()) {
    return 0;
  }
  std::string const piece = world.pieces.front();
  world.pieces.erase(world.pieces.begin());
  if (piece[0] == 'E') {
    errno = piece == "EINTR" ? EINTR : EIO;
    return -1;
  }
  EXPECT_LE(piece.size(), size);
  std::memcpy(buffer, piece.data(), piece.size());
  return static_cast<ssize_t>(piece.size());
}

int __real_close(int fd);
int __wrap_close(int fd) {
  if (fd != kFile) {
    return __real_close(fd);
  }
  call("close");
  errno = EBADF;
  return -1;
}
}

namespace ringfence {
namespace {

bool keep(const rf_map *map, void *context) {
  static_cast<std::vector<std::string> *>(context)->emplace_back(map->name, map->name_length);
  return true;
}

class Maps : public testing::Test {
protected:
  Maps() { world = World(); }

  // The names of what is mapped.
  static std::vector<std::string> names(bool *done) {
    std::vector<std::string> found;
    errno = 12;
    *done = rf_maps_each(keep, &found);
    EXPECT_EQ(errno, 12);
    EXPECT_FALSE(world.cancellable);
    int before = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    EXPECT_EQ(before, PTHREAD_CANCEL_ENABLE);
    return found;
  }
};

const char kFirst[] = "1000-2000 r-xp 00000000 08:01 5                          /first\n";
const char kSecond[] = "3000-4000 rw-p 00000000 00:00 0                          [second]\n";

TEST_F(Maps, ItsFileIsThisProcesssAndIsClosed) {
  bool done = false;
  world.pieces = {kFirst, kSecond};
  EXPECT_EQ(names(&done), (Calls{"/first", "[second]"}));
  EXPECT_TRUE(done);
  EXPECT_EQ(world.calls, (Calls{"open", "close"}));
}

// As /proc/self/maps is once the first thread has ended.
TEST_F(Maps, AnEmptyOneCannotBeRead) {
  bool done = true;
  EXPECT_EQ(names(&done), Calls{});
  EXPECT_FALSE(done);
  EXPECT_EQ(world.calls, (Calls{"open", "close"}));
}

TEST_F(Maps, GoesOnAfterAnInterruption) {
  bool done = false;
  world.pieces = {"EINTR", kFirst, "EINTR", "EINTR", kSecond};
  EXPECT_EQ(names(&done), (Calls{"/first", "[second]"}));
  EXPECT_TRUE(done);
}

// A caller that needs the whole map, as the search for leaks, does not take a part for it.
TEST_F(Maps, EndsAtAnErrorAndIsNotWhole) {
  bool done = true;
  world.pieces = {kFirst, "EIO", kSecond};
  EXPECT_EQ(names(&done), Calls{"/first"});
  EXPECT_FALSE(done);
  EXPECT_EQ(world.calls, (Calls{"open", "close"}));
}

// The rest of a line that does not fit, which might look like one, is passed over.
TEST_F(Maps, ALineThatDoesNotFitIsOneMappingWithANameThatIsCut) {
  bool done = false;
  constexpr size_t kBuffer = 1024;
  std::string const start = "2000-3000 r-xp 00000000 08:01 5                          /";
  std::string const longest = start + std::string(kBuffer - 1 - start.size(), 'a');
  for (std::string const rest : {"", "b", "5000-6000 r-xp 00000000 08:01 6                          /other"}) {
    world.pieces = {kFirst, longest, rest + "\n" + kSecond};
    EXPECT_EQ(names(&done), (Calls{"/first", longest.substr(start.size() - 1), "[second]"})) << rest;
    EXPECT_TRUE(done);
  }
}

TEST_F(Maps, IsNoneWhereItCannotBeOpened) {
  bool done = true;
  world.opens = false;
  EXPECT_EQ(names(&done), Calls());
  EXPECT_FALSE(done);
  EXPECT_EQ(world.calls, Calls{"open"});
}

TEST_F(Maps, IsNotAskedForWhereThatIsForbidden) {
  pid_t const child = fork(); // what is forbidden stays so
  if (child == 0) {
    bool done = true;
    rf_forbid(RF_CALL_OPEN);
    EXPECT_EQ(names(&done), Calls());
    EXPECT_FALSE(done);
    EXPECT_EQ(world.calls, Calls());
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

} // namespace
} // namespace ringfence
