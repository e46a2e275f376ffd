/* All the ways to start another program, from one that holds memory. */
#define _GNU_SOURCE
#include "expect.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int wait_for(pid_t pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void by_popen(void) {
  char line[100] = "";
  FILE *const pipe = popen("echo through a pipe", "r");
  EXPECT(pipe != NULL);
  EXPECT(fgets(line, sizeof line, pipe) != NULL);
  EXPECT(strcmp(line, "through a pipe\n") == 0);
  EXPECT(pclose(pipe) == 0);
}

static void by_system(void) {
  EXPECT(WEXITSTATUS(system("exit 7")) == 7);
}

static void by_spawn(void) {
  char *const words[] = {"sh", "-c", "exit 8", NULL};
  pid_t pid;
  EXPECT(posix_spawnp(&pid, "sh", NULL, NULL, words, environ) == 0);
  EXPECT(wait_for(pid) == 8);
}

static bool blocks_only(int number) {
  sigset_t now;
  EXPECT(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
  return sigismember(&now, number) == 1 && sigismember(&now, SIGUSR2) == 0 && sigismember(&now, SIGALRM) == 0;
}

static void a_fork_leaves_the_signals_blocked_that_were(void) {
  sigset_t some;
  sigset_t before;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR1);
  EXPECT(sigprocmask(SIG_BLOCK, &some, &before) == 0);
  pid_t const pid = fork();
  if (pid == 0) {
    _exit(blocks_only(SIGUSR1) ? 12 : 1);
  }
  EXPECT(wait_for(pid) == 12);
  EXPECT(blocks_only(SIGUSR1));
  EXPECT(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
}

static void by_vfork(void) {
  char *const words[] = {"sh", "-c", "exit 9", NULL};
  pid_t pid = vfork();
  if (pid == 0) {
    execvp("sh", words);
    _exit(100);
  }
  EXPECT(wait_for(pid) == 9);
  pid = vfork();
  if (pid == 0) {
    execl("/nonexistent", "nonexistent", (char *)NULL);
    _exit(10);
  }
  EXPECT(wait_for(pid) == 10);
  pid = vfork();
  if (pid == 0) {
    char *const p = malloc(100); /* in the parent's memory */
    free(p);
    _exit(p != NULL ? 11 : 0);
  }
  EXPECT(wait_for(pid) == 11);
}

static void by_every_exec(void) {
  char *const words[] = {"sh", "-c", "exit ${RF_TEST:-3}", NULL};
  char *const environment[] = {"RF_TEST=4", "PATH=/usr/bin:/bin", NULL};
  for (int way = 0; way < 7; way++) {
    pid_t const pid = fork();
    if (pid == 0) {
      switch (way) {
      case 0:
        execv("/bin/sh", words);
        break;
      case 1:
        execve("/bin/sh", words, environment);
        break;
      case 2:
        execvp("sh", words);
        break;
      case 3:
        execvpe("sh", words, environment);
        break;
      case 4:
        execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
        break;
      case 5:
        execlp("sh", "sh", "-c", "exit 3", (char *)NULL);
        break;
      case 6:
        execle("/bin/sh", "sh", "-c", "exit ${RF_TEST:-3}", (char *)NULL, environment);
        break;
      }
      _exit(100);
    }
    EXPECT(wait_for(pid) == (way == 1 || way == 3 || way == 6 ? 4 : 3));
  }
}

static void after_an_exec_that_failed(void) {
  char *const p = malloc(10);
  char *const words[] = {"nonexistent", NULL};
  pid_t pid;
  EXPECT(execl("/nonexistent", "nonexistent", (char *)NULL) == -1);
  EXPECT(posix_spawn(&pid, "/nonexistent", NULL, NULL, words, environ) == ENOENT);
  EXPECT(posix_spawnp(&pid, "/nonexistent", NULL, NULL, words, environ) == ENOENT);
  free(p);
  free(malloc(10));
}

int main(void) {
  void *const held = malloc(1000);
  by_popen();
  by_system();
  by_spawn();
  a_fork_leaves_the_signals_blocked_that_were();
  by_vfork();
  by_every_exec();
  after_an_exec_that_failed();
  free(held);
  return expect_done();
}
