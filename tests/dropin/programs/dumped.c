/* Asks for a dump of its memory in every way, or does not want one. */
#define _GNU_SOURCE
#include <pthread.h>
#include <ringfence/dropin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 1000, ASKED = 60 };

static void *volatile kept[BLOCKS];

static void fill(void) {
  for (int i = 0; i < BLOCKS; i++) {
    kept[i] = malloc(100);
  }
}

static void *volatile of_site[12];

/* Each from a call of its own, the last one through many frames. */
static void fill_sites(int depth) {
  if (depth != 0) {
    fill_sites(depth - 1);
    return;
  }
  of_site[0] = malloc(1000);
  of_site[1] = malloc(2000);
  of_site[2] = malloc(3000);
  of_site[3] = malloc(4000);
  of_site[4] = malloc(5000);
  of_site[5] = malloc(6000);
  of_site[6] = malloc(7000);
  of_site[7] = malloc(8000);
  of_site[8] = malloc(9000);
  of_site[9] = malloc(10000);
  of_site[10] = malloc(11000);
  of_site[11] = malloc(12000);
}

static void own(int number) {
  (void)number;
  if (write(STDOUT_FILENO, "own\n", 4) != 4) {
    abort();
  }
}

static volatile int done;
static pthread_t main_thread;

/* Asks while the main thread is inside malloc more often than not. */
static void *ask(void *unused) {
  (void)unused;
  for (int i = 0; i < ASKED; i++) {
    pthread_kill(main_thread, SIGUSR1);
    usleep(500);
  }
  done = 1;
  return NULL;
}

static void busy(void) {
  pthread_t asker;
  main_thread = pthread_self();
  pthread_create(&asker, NULL, ask, NULL);
  while (!done) {
    free(malloc(10));
  }
  pthread_join(asker, NULL);
}

static void *churn(void *unused) {
  while (!done) {
    free(malloc(20));
  }
  return unused;
}

static void threads(void) {
  pthread_t others[3];
  for (int i = 0; i < 3; i++) {
    pthread_create(&others[i], NULL, churn, NULL);
  }
  for (int i = 0; i < 20; i++) {
    raise(SIGUSR1);
  }
  done = 1;
  for (int i = 0; i < 3; i++) {
    pthread_join(others[i], NULL);
  }
}

static void child(void) {
  int status;
  pid_t const id = fork();
  if (id == 0) {
    raise(SIGUSR1);
    exit(0);
  }
  if (waitpid(id, &status, 0) != id || status != 0) {
    abort();
  }
}

/* Asks where the system has no memory for it, and again where it has. */
static void poor(void) {
  struct rlimit before;
  if (getrlimit(RLIMIT_AS, &before) != 0) {
    abort();
  }
  struct rlimit const none = {0, before.rlim_max};
  if (setrlimit(RLIMIT_AS, &none) != 0) {
    abort();
  }
  ringfence_dump();
  if (setrlimit(RLIMIT_AS, &before) != 0) {
    abort();
  }
  ringfence_dump();
}

int main(int argc, char **argv) {
  const char *const how = argc > 1 ? argv[1] : "";
  fill();
  if (strcmp(how, "raise") == 0) {
    raise(SIGUSR1);
  } else if (strcmp(how, "sites") == 0) {
    fill_sites(8);
    raise(SIGUSR1);
    raise(SIGUSR1);
  } else if (strcmp(how, "hup") == 0) {
    raise(SIGHUP);
  } else if (strcmp(how, "call") == 0) {
    __ringfence_dump();
    ringfence_dump();
  } else if (strcmp(how, "own") == 0) {
    signal(SIGUSR1, own);
    raise(SIGUSR1);
  } else if (strcmp(how, "ignored") == 0) {
    raise(SIGUSR1);
  } else if (strcmp(how, "busy") == 0) {
    busy();
  } else if (strcmp(how, "threads") == 0) {
    threads();
  } else if (strcmp(how, "child") == 0) {
    child();
  } else if (strcmp(how, "poor") == 0) {
    poor();
  } else if (strcmp(how, "child_within") == 0) {
    setenv("FORKS_WHEN_WRITTEN", "1", 1); /* forking_write.c */
    ringfence_dump();
  }
  puts("end");
  return 0;
}
