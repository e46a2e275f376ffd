#include "tests/dropin/intercept_exec_world.h"

#define _Static_assert static_assert
extern "C" {
#include "checkers/dropin/inspect/process_log.h"
#include "checkers/dropin/malloc/trace_hook.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/process/exec_target.h"
#include "checkers/dropin/process/intercept_transfer.h"
#include "checkers/dropin/process/lifecycle.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/page/page_store.h"
}
#undef _Static_assert

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

namespace ringfence_test {

World world;

} // namespace ringfence_test

using namespace ringfence_test;

namespace {

std::string words(char *const *list) {
  std::string text = "[";
  for (size_t i = 0; list != nullptr && list[i] != nullptr; i++) {
    text += (i == 0 ? "" : " ") + std::string(list[i]);
  }
  return text + "]";
}

int failing() {
  errno = world.error;
  return world.error != 0 ? -1 : 0;
}

int their_execve(const char *path, char *const argv[], char *const envp[]) {
  call(std::string("execve ") + path + " " + words(argv) + " " + words(envp));
  return failing();
}
int their_execvpe(const char *file, char *const argv[], char *const envp[]) {
  call(std::string("execvpe ") + file + " " + words(argv) + " " + words(envp));
  return failing();
}
int their_fexecve(int fd, char *const argv[], char *const envp[]) {
  call("fexecve " + std::to_string(fd) + " " + words(argv) + " " + words(envp));
  return failing();
}
int their_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags) {
  call("execveat " + std::to_string(fd) + " '" + path + "' " + words(argv) + " " + words(envp) + " " +
       std::to_string(flags));
  return failing();
}

std::string signals_in(const sigset_t *set) {
  std::string text;
  for (int const number : {SIGINT, SIGQUIT, SIGUSR1, SIGCHLD}) {
    text += sigismember(set, number) == 1 ? " " + std::to_string(number) : "";
  }
  return text;
}

int spawn(const char *name, pid_t *pid, const char *file, const posix_spawnattr_t *attributes, char *const argv[],
          char *const envp[]) {
  call(std::string(name) + " " + file + " " + words(argv) + " " + words(envp));
  short flags = 0;
  if (attributes != nullptr && posix_spawnattr_getflags(attributes, &flags) == 0 && flags != 0) {
    sigset_t mask;
    sigset_t defaults;
    (void)posix_spawnattr_getsigmask(attributes, &mask);
    (void)posix_spawnattr_getsigdefault(attributes, &defaults);
    EXPECT_EQ(flags, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    call("mask" + signals_in(&mask) + " defaults" + signals_in(&defaults));
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &world.mask_meanwhile);
  }
  *pid = kChild;
  return world.error;
}
int their_spawn(pid_t *pid, const char *file, const posix_spawn_file_actions_t *, const posix_spawnattr_t *attributes,
                char *const argv[], char *const envp[]) {
  return spawn("posix_spawn", pid, file, attributes, argv, envp);
}
int their_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *, const posix_spawnattr_t *attributes,
                 char *const argv[], char *const envp[]) {
  return spawn("posix_spawnp", pid, file, attributes, argv, envp);
}

int their_system(const char *command) {
  call(std::string("system ") + (command != nullptr ? command : "none"));
  errno = world.error;
  return world.status;
}
FILE *their_popen(const char *command, const char *modes) {
  call(std::string("popen ") + command + " " + modes + " " + words(environ));
  return world.stream;
}

template <typename F> void *address_of(F *function) {
  return reinterpret_cast<void *>(function);
}

} // namespace

extern "C" {

rf_process_state rf_process;
rf_guarded_blocks_state rf_guarded_blocks;

void *__real_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name) {
  struct {
    const char *name;
    void *function;
  } const theirs[] = {
      {"execve", address_of(their_execve)},       {"execvpe", address_of(their_execvpe)},
      {"fexecve", address_of(their_fexecve)},     {"posix_spawn", address_of(their_spawn)},
      {"posix_spawnp", address_of(their_spawnp)}, {"system", address_of(their_system)},
      {"popen", address_of(their_popen)},         {"execveat", address_of(their_execveat)},
  };
  if (world.lacks == name) {
    return nullptr;
  }
  for (auto const &each : theirs) {
    if (std::strcmp(name, each.name) == 0) {
      return each.function;
    }
  }
  return __real_dlsym(handle, name);
}

int __wrap_access(const char *path, int mode) {
  call(std::string(mode == X_OK ? "executable? " : "access ") + path);
  return world.executable ? 0 : -1;
}

pid_t __wrap_getpid() {
  return world.process;
}

pid_t __wrap_waitpid(pid_t child, int *status, int) {
  std::string const answer = world.waits.empty() ? "" : world.waits.front();
  world.waits.erase(world.waits.begin(), world.waits.begin() + (world.waits.empty() ? 0 : 1));
  call("wait " + std::to_string(child) + " " + answer);
  if (answer == "interrupted" || answer == "none") {
    errno = answer == "none" ? ECHILD : EINTR;
    return -1;
  }
  *status = world.status;
  return child;
}

void __wrap_rf_on_reserve_stack(rf_reserve_work work, void *argument) {
  call("reserve stack");
  work(argument);
}

pid_t rf_process_now() {
  return world.process;
}

void rf_tracing_end() {
  call("end of trace");
}
int rf_process_end(rf_process_ending ending, int status) {
  EXPECT_EQ(ending, RF_ENDING_EXEC);
  call("end " + std::to_string(status));
  return status;
}
void rf_process_resume() {
  call("resume");
  errno = 77;
}
void rf_process_log_resumed() {
  call("resumed");
  errno = 78;
}
void rf_process_log_unchecked(pid_t process, const char *other, const char *why, uint64_t time_ns) {
  EXPECT_EQ(time_ns, 12345U);
  call("unchecked " + std::to_string(process) + " " + other + " " + why);
}

bool rf_exec_target_can_read(const char *file) {
  return file != nullptr;
}
void rf_exec_target_find(const char *file, bool search, char *const envp[], rf_exec_target *out) {
  call(std::string(search ? "search " : "find ") + file + " " + words(envp));
  std::snprintf(out->file, sizeof out->file, "%s", file);
  out->unchecked = world.unchecked;
  out->other_preload = world.other_preload;
  out->time_ns = 12345;
}
size_t rf_exec_target_entries(char *const envp[]) {
  size_t count = 1;
  for (; envp != nullptr && envp[count - 1] != nullptr; count++) {
  }
  return count;
}
size_t rf_exec_target_preload_size(const rf_exec_target *, char *const[]) {
  return sizeof "LD_PRELOAD=other";
}
void rf_exec_target_environment(const rf_exec_target *, char *const envp[], char **out, char *preload) {
  std::strcpy(preload, "LD_PRELOAD=other");
  for (; *envp != nullptr; envp++) {
    *out++ = *envp;
  }
  out[-1] = preload;
  *out = nullptr;
}

bool rf_page_signals_ignore(bool stay) {
  if (world.faults_ignored) {
    call(stay ? "ignore faults and stay" : "ignore faults");
  }
  return world.faults_ignored;
}
void rf_page_signals_ignored() {
  call("handle faults");
}
bool rf_page_signals_stand_before_ignoring() {
  return world.faults_ignored;
}

bool rf_transfer_look_strings(char *const *list, const rf_origin *origin) {
  EXPECT_NE(origin->caller, 0U);
  call("look at " + words(list));
  return list != nullptr && list[0] != nullptr && world.closed == list[0];
}

int rf_libc_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  call(std::string(action->sa_handler == SIG_IGN ? "ignore " : "restore ") + std::to_string(number));
  if (old != nullptr) {
    *old = {};
    old->sa_handler = world.ignored[number == SIGQUIT] ? SIG_IGN : SIG_DFL;
  }
  return 0;
}
}
