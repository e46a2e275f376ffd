/* Starts another program or has a bug, and ends in one of several ways:
 *
 *   starts exec|spawn|system|popen PROGRAM ARGUMENT... | fork ARGUMENT... | good|bad return|exit|thread_exit|... */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 8;
}

static int wait_for(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child ? status_of(status) : 8;
}

static const char *line_of(char **words) {
  static char line[8192];
  for (; *words != NULL; words++) {
    strcat(strcat(line, *words), " ");
  }
  return line;
}

static int by_popen(char **words) {
  char text[256];
  FILE *const stream = popen(line_of(words), "r");
  while (stream != NULL && fgets(text, sizeof text, stream) != NULL) {
    fputs(text, stdout);
  }
  return stream != NULL ? status_of(pclose(stream)) : 8;
}

static volatile sig_atomic_t came_early;

static void on_child(int signal) {
  struct sigaction interrupt;
  (void)signal;
  sigaction(SIGINT, NULL, &interrupt);
  came_early = came_early || interrupt.sa_handler == SIG_IGN;
}

/* SIGCHLD waits until system no longer ignores SIGINT: status 7 if it does not. */
static int by_system(char **words) {
  struct sigaction const handler = {.sa_handler = on_child};
  signal(SIGINT, SIG_DFL);
  sigaction(SIGCHLD, &handler, NULL);
  int const status = system(line_of(words));
  return came_early ? 7 : status_of(status);
}

static void *leave(void *unused) {
  (void)unused;
  exit(0);
}

static void end(const char *how) {
  pthread_t thread;
  printf("written late\n");
  if (strcmp(how, "exit") == 0) {
    exit(0);
  } else if (strcmp(how, "thread_exit") == 0) {
    pthread_create(&thread, NULL, leave, NULL);
    pthread_join(thread, NULL);
  } else if (strcmp(how, "quick_exit") == 0) {
    quick_exit(0);
  } else if (strcmp(how, "_exit") == 0) {
    _exit(0);
  }
}

static char *volatile never_freed;

int main(int argc, char **argv) {
  const char *const what = argc > 2 ? argv[1] : "";
  pid_t child;
  if (strcmp(what, "exec") == 0) {
    execv(argv[2], argv + 2);
  } else if (strcmp(what, "spawn") == 0) {
    return posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) == 0 ? wait_for(child) : 8;
  } else if (strcmp(what, "system") == 0) {
    return by_system(argv + 2);
  } else if (strcmp(what, "popen") == 0) {
    return by_popen(argv + 2);
  } else if (strcmp(what, "fork") == 0) {
    child = fork();
    return child != 0 ? wait_for(child) : main(argc - 1, argv + 1);
  } else if (argc > 2) {
    never_freed = malloc(24);
    never_freed[24] = strcmp(what, "bad") == 0 ? 1 : never_freed[24];
    end(argv[2]);
    return 0;
  }
  return 9;
}
