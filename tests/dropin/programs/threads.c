/* Threads that allocate, free each other's blocks, end while others go on, and fork in the middle of it. */
#define _GNU_SOURCE
#include "expect.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 6, ROUNDS = 15000, BOXES = 64, BIGGEST = 3000 };

/* A block knows its size and is filled with a byte that follows from it. */
typedef struct parcel {
  size_t size;
  unsigned char bytes[];
} parcel;

static parcel *boxes[BOXES]; /* accessed atomically: whoever takes a parcel frees it */
static pthread_key_t key;

static unsigned next(unsigned *seed) {
  *seed = *seed * 1664525U + 1013904223U;
  return *seed >> 8;
}

static parcel *make(size_t size) {
  parcel *const p = malloc(sizeof *p + size);
  p->size = size;
  memset(p->bytes, (int)(size & 0xFF), size);
  return p;
}

static void check(const parcel *p) {
  for (size_t i = 0; p != NULL && i < p->size; i++) {
    if (p->bytes[i] != (unsigned char)p->size) {
      EXPECT(!"contents of a block changed");
      return;
    }
  }
}

/* Puts a new parcel into a box and frees what was in it, mostly another thread's. */
static void exchange(unsigned *seed) {
  parcel *p = make(next(seed) % BIGGEST);
  if (next(seed) % 4 == 0) {
    size_t const size = next(seed) % BIGGEST;
    size_t const kept = p->size < size ? p->size : size;
    int const byte = (int)(p->size & 0xFF);
    p = realloc(p, sizeof *p + size);
    for (size_t i = 0; i < kept; i++) {
      if (p->bytes[i] != (unsigned char)byte) {
        EXPECT(!"realloc lost contents");
        break;
      }
    }
    p->size = size;
    memset(p->bytes, (int)(size & 0xFF), size);
  }
  parcel *const old = __atomic_exchange_n(&boxes[next(seed) % BOXES], p, __ATOMIC_ACQ_REL);
  check(old);
  free(old);
}

static void *trade(void *argument) {
  unsigned seed = (unsigned)(uintptr_t)argument;
  for (int i = 0; i < ROUNDS; i++) {
    exchange(&seed);
  }
  return NULL;
}

/* Allocates and frees when the thread's own data are torn down, after the drop-in's. */
static void tear_down(void *value) {
  free(value);
  free(malloc(100));
}

static void *live_briefly(void *argument) {
  pthread_attr_t attributes;
  (void)argument;
  /* The thread's first allocation, made while the C library holds a lock of this thread's. */
  EXPECT(pthread_getattr_np(pthread_self(), &attributes) == 0);
  pthread_attr_destroy(&attributes);
  pthread_setspecific(key, malloc(64));
  char *const p = malloc(500);
  memset(p, 1, 500);
  free(p);
  return malloc(10);
}

static void *start_others(void *argument) {
  for (int i = 0; i < 100; i++) {
    pthread_t t;
    void *left = NULL;
    EXPECT(pthread_create(&t, NULL, live_briefly, NULL) == 0);
    pthread_join(t, &left);
    free(left);
  }
  return argument;
}

/* In a child of a process of many threads: all of malloc works, and so does forking once more. */
static void child(int depth) {
  unsigned seed = 99;
  for (int i = 0; i < 500; i++) {
    exchange(&seed);
  }
  if (depth > 0) {
    pid_t const pid = fork();
    if (pid == 0) {
      child(depth - 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT(status == 0);
  }
  if (seed % 2 == 0) {
    exit(failures);
  }
  _exit(failures);
}

static void *fork_often(void *argument) {
  for (int i = 0; i < 20; i++) {
    pid_t const pid = fork();
    if (pid == 0) {
      child(i % 4 == 0 ? 1 : 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT(status == 0);
  }
  return argument;
}

static void *linger(void *argument) {
  for (;;) {
    free(malloc(100));
  }
  return argument;
}

int main(int argc, char **argv) {
  (void)argv;
  pthread_t all[THREADS + 2];
  setvbuf(stdout, NULL, _IONBF, 0);
  EXPECT(pthread_key_create(&key, tear_down) == 0);
  for (uintptr_t i = 0; i < THREADS; i++) {
    EXPECT(pthread_create(&all[i], NULL, trade, (void *)(i + 1)) == 0);
  }
  EXPECT(pthread_create(&all[THREADS], NULL, start_others, NULL) == 0);
  EXPECT(pthread_create(&all[THREADS + 1], NULL, fork_often, NULL) == 0);
  for (size_t i = 0; i < THREADS + 2; i++) {
    pthread_join(all[i], NULL);
  }
  for (size_t i = 0; i < BOXES; i++) {
    check(boxes[i]);
    free(boxes[i]);
    boxes[i] = NULL;
  }
  int const status = expect_done();
  if (argc > 1) { /* leave while others are inside malloc */
    for (size_t i = 0; i < THREADS; i++) {
      EXPECT(pthread_create(&all[i], NULL, linger, NULL) == 0);
    }
    usleep(20000);
  }
  return status;
}
