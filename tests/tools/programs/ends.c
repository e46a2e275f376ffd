/* `ends status N` exits with N, `ends unseen N` so that the library does not see it, `ends signal N` dies of signal N,
 * `ends exec PROGRAM …` becomes PROGRAM, `ends spawn PROGRAM …` starts it and ends with its status, `ends
 * bare PROGRAM …` becomes it without an environment, `ends cleared COMMAND` has the shell run it without one, `ends
 * alarmed PROGRAM …` becomes it with an alarm that is due soon, `ends shut PROGRAM …` without the right to write its
 * log, `ends wait` says "ready" and waits to be sent SIGTERM, on which it exits with 7. */
#include <dlfcn.h>
#include <linux/capability.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_signal(int number) {
  (void)number;
  _exit(7);
}

/* Root's rights over files as well, for programs that it becomes, too. */
static void give_up_rights(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct const none[2] = {{0, 0, 0}};
  char log[300] = "";
  const char *const option = strstr(getenv("RINGFENCE_OPTIONS"), "log=") + strlen("log=");
  (void)snprintf(log, sizeof log, "%.*s/%d", (int)strcspn(option, "%") - 1, option, (int)getpid());
  for (unsigned long right = 0; right <= CAP_FSETID; right++) {
    (void)prctl(PR_CAPBSET_DROP, right, 0, 0, 0);
  }
  if (setuid(getuid()) != 0 || syscall(SYS_capset, &header, none) != 0 || chmod(log, 0400) != 0) {
    perror(log);
    exit(1);
  }
}

/* By the C library's own syscall: the one that programs find is the checked malloc's. */
static void end_unseen(int status) {
  typedef long call(long number, ...);
  void *const libc = dlopen("libc.so.6", RTLD_LAZY);
  call *const own = libc != NULL ? (call *)(uintptr_t)dlsym(libc, "syscall") : NULL;
  if (own != NULL) {
    own(SYS_exit_group, status);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "wait";
  free(malloc(100));
  if (strcmp(what, "status") == 0) {
    return atoi(argv[2]);
  }
  if (strcmp(what, "unseen") == 0) {
    end_unseen(atoi(argv[2]));
  }
  if (strcmp(what, "signal") == 0) {
    raise(atoi(argv[2]));
  } else if (strcmp(what, "exec") == 0) {
    execv(argv[2], argv + 2);
  } else if (strcmp(what, "shut") == 0) {
    give_up_rights();
    execv(argv[2], argv + 2);
  } else if (strcmp(what, "alarmed") == 0) {
    struct itimerval const soon = {.it_value = {0, 200000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    execv(argv[2], argv + 2);
  } else if (strcmp(what, "cleared") == 0) {
    clearenv();
    return WEXITSTATUS(system(argv[2]));
  } else if (strcmp(what, "bare") == 0) {
    char *const nothing[] = {NULL};
    execve(argv[2], argv + 2, nothing);
  } else if (strcmp(what, "spawn") == 0) {
    pid_t child;
    int status = -1;
    if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) == 0 && waitpid(child, &status, 0) == child) {
      return WEXITSTATUS(status);
    }
  } else {
    signal(SIGTERM, on_signal);
    if (write(STDOUT_FILENO, "ready\n", 6) == 6) {
      pause();
    }
  }
  return 1;
}
