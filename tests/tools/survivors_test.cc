// Processes that outlive a run, found by their environment.
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include "tools/ringfence/run/survivors.h"
}

namespace {

std::string text() {
  return "RINGFENCE_SURVIVORS_TEST=" + std::to_string(getpid());
}

size_t found_by_this_process(const std::string &what, uint32_t *id) {
  rf_bump_arena arena = {};
  uint32_t *ids = nullptr;
  size_t const count = rf_survivors_find(&arena, what.c_str(), &ids);
  *id = count != 0 ? ids[0] : 0;
  rf_bump_arena_free(&arena);
  return count;
}

// A process of that environment, from the moment on that it has it.
pid_t start(const std::string &what) {
  int ready[2];
  EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
  pid_t const child = fork();
  if (child == 0) {
    std::string environment = what;
    char *const argv[] = {const_cast<char *>("sleep"), const_cast<char *>("60"), nullptr};
    char *const envp[] = {&environment[0], nullptr};
    execve("/bin/sleep", argv, envp);
    _exit(127);
  }
  close(ready[1]);
  char end;
  EXPECT_EQ(read(ready[0], &end, 1), 0);
  close(ready[0]);
  return child;
}

TEST(Survivors, AreThoseThatWereStartedSince) {
  std::string const what = text();
  uint32_t id = 0;
  EXPECT_EQ(found_by_this_process(what, &id), 0U);
  pid_t const child = start(what);
  EXPECT_EQ(found_by_this_process(what, &id), 1U);
  EXPECT_EQ(id, static_cast<uint32_t>(child));
  usleep(30000); // more than a tick of the kernel's
  pid_t const later = fork();
  if (later == 0) {
    _exit(static_cast<int>(found_by_this_process(what, &id)));
  }
  int status = -1;
  EXPECT_EQ(waitpid(later, &status, 0), later);
  EXPECT_EQ(status, 0) << "it was there before";
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(found_by_this_process(what, &id), 0U);
}

} // namespace
