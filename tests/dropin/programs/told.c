/* Findings and snapshots for a collector: told HOW [COUNT]. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <ringfence/dropin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile size_t size = 8;
static unsigned count;

__attribute__((noinline)) static void spoil(void) {
  char *const p = malloc(size);
  memcpy(p, "secret!!", 8);
  p[size] = 'x';
  free(p);
}

static void spoil_often(void) {
  for (unsigned i = 0; i < count; i++) {
    spoil();
  }
}

static void *thread(void *unused) {
  spoil_often();
  return unused;
}

static void threads(void) {
  pthread_t ids[4];
  for (unsigned i = 0; i < 4; i++) {
    (void)pthread_create(&ids[i], NULL, thread, NULL);
  }
  for (unsigned i = 0; i < 4; i++) {
    (void)pthread_join(ids[i], NULL);
  }
}

/* Once in the parent, then often in the child, by the same call: one bug of two processes. */
static int forks(void) {
  unsigned const often = count;
  int status = 0;
  pid_t child = 0;
  count = 1;
  for (int turn = 0; turn < 2 && child == 0; turn++) {
    spoil_often();
    if (turn == 0) {
      child = fork();
      count = often;
    }
  }
  (void)wait(&status);
  return child == 0 ? 3 : 4;
}

static void handler(int number) {
  (void)number;
  spoil_often();
}

/* As programs do that show another name of theirs. */
static void wipe_environment(void) {
  for (char **at = environ; *at != NULL; at++) {
    memset(*at, 'x', strlen(*at));
  }
  spoil_often();
}

static void exec(void) {
  char *const arguments[] = {(char *)(size_t) "told", (char *)(size_t) "clean", NULL};
  spoil_often();
  for (int i = 0; i < 5; i++) {
    (void)execv("/nowhere/told", arguments);
  }
  (void)execv("/proc/self/exe", arguments);
}

static void close_all(void) {
  for (int fd = 0; fd < 3; fd++) {
    (void)close(fd);
  }
  spoil_often();
}

static void use_up_descriptors(void) {
  struct rlimit const few = {64, 128};
  (void)setrlimit(RLIMIT_NOFILE, &few);
  while (open("/dev/null", O_RDONLY) >= 0) {
  }
  spoil_often();
}

/* Findings of 2.4 s, then SIGKILL: times that are powers of two do not tell of the last ones. */
static void killed(void) {
  for (unsigned i = 0; i < 7; i++) {
    (void)usleep(400000);
    spoil();
  }
  (void)raise(SIGKILL);
}

static void descriptors(void) {
  struct stat file;
  spoil_often();
  for (int i = 0; i < 4096; i++) {
    if (fstat(i, &file) == 0) {
      printf(" %d", i);
    }
  }
}

__attribute__((noinline)) static void *grow(size_t bytes) {
  return malloc(bytes);
}

/* A call site for each bit of `which`, since frames differ by their return addresses. */
__attribute__((noinline)) static void *wander(unsigned which, unsigned depth) {
  if (depth == 0) {
    return grow(100);
  }
  return which & 1 ? wander(which >> 1, depth - 1) : *(void *volatile[]){wander(which >> 1, depth - 1)};
}

/* Two snapshots, between which `count` blocks of 100 bytes come by as many stacks, four of 25 by one stack, and one of
 * 1 MiB. */
static void snapshots(void) {
  void *volatile kept = grow(1 << 20);
  (void)__ringfence_snapshot("before");
  for (unsigned i = 0; i < count; i++) {
    kept = wander(i, 12);
  }
  for (unsigned i = 0; i < 4; i++) {
    kept = grow(25);
  }
  kept = grow(1 << 20);
  (void)__ringfence_snapshot("after");
  (void)kept;
}

int main(int argc, char **argv) {
  const char *const how = argc > 1 ? argv[1] : "";
  count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
  if (strcmp(how, "often") == 0) {
    spoil_often();
  } else if (strcmp(how, "threads") == 0) {
    threads();
  } else if (strcmp(how, "forks") == 0) {
    return forks();
  } else if (strcmp(how, "handler") == 0) {
    (void)signal(SIGUSR1, handler);
    (void)raise(SIGUSR1);
  } else if (strcmp(how, "wipe") == 0) {
    wipe_environment();
  } else if (strcmp(how, "exec") == 0) {
    exec();
  } else if (strcmp(how, "closed") == 0) {
    close_all();
  } else if (strcmp(how, "descriptors") == 0) {
    descriptors();
  } else if (strcmp(how, "used_descriptors") == 0) {
    use_up_descriptors();
  } else if (strcmp(how, "term") == 0) {
    spoil_often();
    (void)raise(SIGTERM);
  } else if (strcmp(how, "snapshots") == 0) {
    snapshots();
  } else if (strcmp(how, "large") == 0) {
    void *volatile const kept = grow((size_t)600 << 20);
    (void)__ringfence_snapshot("large");
    (void)kept;
  } else if (strcmp(how, "killed") == 0) {
    killed();
  } else if (strcmp(how, "segv") == 0) {
    *(volatile int *)8 = 1;
  }
  return 5;
}
