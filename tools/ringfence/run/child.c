#include "tools/ringfence/run/child.h"

#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/run/file_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <ringfence/port.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that others send, and that end a process which has no handler for them. */
static const int forwarded[] = {SIGHUP,  SIGINT,    SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
                                SIGALRM, SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,  SIGXCPU};

/* Signal state that the program inherits unchanged. */
typedef struct inherited {
  sigset_t mask;
  struct sigaction on_child;
  struct sigaction on_pipe;
} inherited;

static inherited before;
static bool has_before; /* another program was run */

static void waited_for(sigset_t *set) {
  (void)sigemptyset(set);
  (void)sigaddset(set, SIGCHLD);
  for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++) {
    (void)sigaddset(set, forwarded[i]);
  }
}

static void take_signals(void) {
  sigset_t set;
  if (has_before) {
    return;
  }
  has_before = true;
  waited_for(&set);
  (void)sigprocmask(SIG_BLOCK, &set, &before.mask);
  /* While SIGCHLD is ignored the system keeps no status to wait for. */
  struct sigaction action = {.sa_handler = SIG_DFL};
  (void)sigaction(SIGCHLD, &action, &before.on_child);
  /* A closed pipe at standard error must not lose the program's status. */
  action.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &action, &before.on_pipe);
}

static void give_signals_back(void) {
  (void)sigaction(SIGCHLD, &before.on_child, NULL);
  (void)sigaction(SIGPIPE, &before.on_pipe, NULL);
  (void)sigprocmask(SIG_SETMASK, &before.mask, NULL);
}

/* Runs in the child. As execvp does, it hands a file of unknown format to the shell. */
static _Noreturn void become(const rf_child_program *program, int report) {
  char *const *const argv = program->argv;
  for (int i = 0; program->streams != NULL && i < 3; i++) {
    if (program->streams[i] >= 0) {
      (void)dup2(program->streams[i], i);
    }
  }
  (void)execve(program->file, argv, program->envp);
  if (errno == ENOEXEC) {
    size_t count = 0;
    while (argv[count] != NULL) {
      count++;
    }
    char **const shell = (char **)calloc(count + 2, sizeof *shell);
    if (shell != NULL) {
      shell[0] = (char *)"/bin/sh";
      shell[1] = (char *)program->file;
      for (size_t i = 1; i < count; i++) {
        shell[i + 1] = argv[i];
      }
      (void)execve(shell[0], shell, program->envp);
    }
  }
  int const why = errno;
  (void)!write(report, &why, sizeof why);
  _exit(127);
}

/* The kernel has sent signals of the terminal's keys to the whole process group. An alarm was set before the command
 * ran, and so by whoever meant the program. */
static bool is_the_programs(const siginfo_t *info) {
  return info->si_code != SI_KERNEL || info->si_signo == SIGALRM;
}

/* Waits for the end of `pid`; forwards signals to it until then. */
static int follow(pid_t pid) {
  sigset_t set;
  waited_for(&set);
  for (;;) {
    siginfo_t info;
    int const signal = sigwaitinfo(&set, &info);
    if (signal > 0 && signal != SIGCHLD && is_the_programs(&info)) {
      (void)kill(pid, signal);
    }
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) {
      return status;
    }
  }
}

bool rf_child_run(rf_child *child, const rf_child_program *program) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    return false;
  }
  take_signals();
  uint64_t const start = rf_port_now_ns();
  *child = (rf_child){.pid = fork()};
  if (child->pid == 0) {
    give_signals_back();
    rf_streams_give_back();
    rf_file_limit_give_back();
    become(program, report[1]);
  }
  int const why = errno;
  (void)close(report[1]);
  if (child->pid > 0) {
    /* The pipe closes by itself when the program starts. */
    if (read(report[0], &child->exec_error, sizeof child->exec_error) != (ssize_t)sizeof child->exec_error) {
      child->exec_error = 0;
    }
    child->wait_status = follow(child->pid);
    child->elapsed_ns = rf_port_now_ns() - start;
  }
  (void)close(report[0]);
  errno = why;
  return child->pid > 0;
}

void rf_child_release_signals(void) {
  sigset_t set;
  waited_for(&set);
  struct timespec const at_once = {0, 0};
  while (sigtimedwait(&set, NULL, &at_once) > 0) {
  }
  (void)sigprocmask(SIG_SETMASK, &before.mask, NULL);
}

bool rf_child_sleep(unsigned milliseconds) {
  sigset_t set;
  waited_for(&set);
  (void)sigdelset(&set, SIGCHLD);
  struct timespec const limit = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
  return sigtimedwait(&set, NULL, &limit) < 0;
}

_Noreturn void rf_child_exit_alike(int wait_status) {
  if (!WIFSIGNALED(wait_status)) {
    exit(WEXITSTATUS(wait_status));
  }
  int const signal_number = WTERMSIG(wait_status);
  struct rlimit const no_core = {0, 0};
  (void)setrlimit(RLIMIT_CORE, &no_core);
  /* A core pattern that is a pipe ignores the limit. */
  (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, signal_number);
  struct sigaction const action = {.sa_handler = SIG_DFL};
  (void)sigaction(signal_number, &action, NULL);
  (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
  (void)raise(signal_number);
  exit(128 + signal_number);
}
