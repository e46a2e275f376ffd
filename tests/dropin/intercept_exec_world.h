// Fakes for the tests of checkers/dropin/process/intercept_exec.c: the functions behind, and what is found out about
// programs.
#ifndef RINGFENCE_TESTS_DROPIN_INTERCEPT_EXEC_WORLD_H
#define RINGFENCE_TESTS_DROPIN_INTERCEPT_EXEC_WORLD_H

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/malloc/guarded_blocks.h"
#include "checkers/dropin/runtime/state.h"
}
#undef _Static_assert

#include "tests/dropin/calls.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

namespace ringfence_test {

constexpr pid_t kThis = 4711;
constexpr pid_t kChild = 4712;

struct World {
  pid_t process = kThis;
  int error = ENOENT; // of each function behind; 0: none
  int status = 0;     // of a command
  bool executable = true;
  std::string lacks; // a function that the C library does not have
  const char *unchecked = nullptr;
  bool other_preload = false;
  std::string closed;             // the first string of the list that meets closed memory
  std::vector<std::string> waits; // what waitpid says
  bool ignored[2] = {};           // SIGINT and SIGQUIT, by the program
  bool faults_ignored = false;    // by the program, behind a handler of ours
  FILE *stream = nullptr;
  sigset_t mask_meanwhile;
};

extern World world;

inline char a0[] = "a0";
inline char a1[] = "a1";
inline char e0[] = "E=0";
inline char e1[] = "E=1";
inline char m0[] = "M=0";
inline char m1[] = "M=1";
inline char *const kArguments[] = {a0, a1, nullptr};
inline char *const kEnvironment[] = {e0, e1, nullptr};
inline char *mine[] = {m0, m1, nullptr};

class InterceptExec : public RecordsCalls {
protected:
  InterceptExec() : before_(environ) {
    world = World();
    rf_process.id = kThis;
    rf_process.forked = false;
    rf_guarded_blocks.store = nullptr;
    environ = mine;
  }
  ~InterceptExec() override { environ = before_; }

  static void watch() { rf_guarded_blocks.store = reinterpret_cast<rf_page_store *>(&world); }

  static bool has(const Calls &calls, const std::string &what) {
    return std::find(calls.begin(), calls.end(), what) != calls.end();
  }

private:
  char **before_;
};

} // namespace ringfence_test

#endif // RINGFENCE_TESTS_DROPIN_INTERCEPT_EXEC_WORLD_H
