/* Reads and late uses, one bug each, and beside each the same code without it, as in bugs.c; and a program that is
 * right. tools/try_aarch64.sh runs them where memory has tags. */
#define _GNU_SOURCE
#include "cases.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile char read_last;

static char *make(size_t size) {
  char *const p = malloc(size);
  memset(p, 1, size);
  return p;
}

static void look(const char *at) {
  read_last = *(const volatile char *)at;
}

/* ---- Reads outside ---- */

static void read_past_a_block(void) {
  char *const p = make(24);
  look(p + (bad ? 32 : 23));
  free(p);
}

static void read_past_within_the_granule(void) {
  char *const p = make(24);
  look(p + (bad ? 24 : 23));
  free(p);
}

static void write_past_within_the_granule(void) {
  char *const p = make(24);
  p[23 + bad] = 'x';
  free(p);
}

static void read_before_a_block(void) {
  char *const p = make(24);
  look(p - bad);
  free(p);
}

static void read_far_past_a_block(void) {
  char *const p = make(24);
  look(p + (bad ? 960 : 0));
  free(p);
}

static void read_of_no_bytes(void) {
  char *const p = make(0);
  if (bad) {
    look(p);
  }
  free(p);
}

static void read_past_a_big_block(void) {
  char *const p = make(200000);
  look(p + 199999 + bad);
  free(p);
}

static void read_past_a_mapped_block(void) {
  char *const p = make(3 << 20);
  look(p + (3 << 20) - 1 + bad);
  free(p);
}

static void read_past_a_block_that_grew(void) {
  char *const p = realloc(make(3 << 20), 5 << 20);
  look(p + (3 << 20));
  look(p + (5 << 20) - 1 + bad);
  free(p);
}

/* ---- After the free ---- */

static void read_after_free(void) {
  char *const p = make(40);
  if (bad) {
    free(p);
  }
  look(p + 3);
  if (!bad) {
    free(p);
  }
}

static void read_after_free_of_a_mapped_block(void) {
  char *const p = make(5 << 20);
  if (bad) {
    free(p);
  }
  look(p + 100);
  if (!bad) {
    free(p);
  }
}

static void read_after_realloc(void) {
  char *const p = make(40);
  char *const moved = realloc(p, 400);
  look(bad ? p : moved);
  free(moved);
}

static void *look_there(void *at) {
  look(at);
  return NULL;
}

static void read_after_free_by_a_thread(void) {
  pthread_t thread;
  char *const p = make(40);
  if (bad) {
    free(p);
  }
  (void)pthread_create(&thread, NULL, look_there, p);
  (void)pthread_join(thread, NULL);
  if (!bad) {
    free(p);
  }
}

static void read_after_free_in_a_child(void) {
  int status = 0;
  char *const p = make(40);
  pid_t const child = fork();
  if (child == 0) {
    if (bad) {
      free(p);
    }
    look(p);
    _exit(0);
  }
  (void)waitpid(child, &status, 0);
  look(p);
  free(p);
  if (WEXITSTATUS(status) != 0) {
    exit(WEXITSTATUS(status));
  }
}

/* The first block that is given the memory of `p`. */
static char *take_the_place_of(const char *p) {
  uintptr_t const address = (uintptr_t)p << 8 >> 8;
  for (;;) {
    char *const other = make(40);
    if ((uintptr_t)other << 8 >> 8 == address) {
      return other;
    }
    free(other);
  }
}

static void read_after_reuse(void) {
  char *const p = make(40);
  free(p);
  char *const other = take_the_place_of(p);
  look(bad ? p : other);
  free(other);
}

static void double_free_after_reuse(void) {
  char *const p = make(40);
  free(p);
  char *const other = take_the_place_of(p);
  free(bad ? p : other);
}

/* ---- The program's own handler ---- */

static sigjmp_buf back;

static void handle(int number, siginfo_t *info, void *context) {
  (void)context;
  siglongjmp(back, number == SIGSEGV && info->si_addr == (void *)8 ? 1 : 2);
}

static void read_past_a_block_with_a_handler(void) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
  char *const p = make(24);
  (void)sigaction(SIGSEGV, &action, NULL);
  int const came = sigsetjmp(back, 1);
  if (came == 0) {
    look(bad ? p + 32 : (const char *)8);
  }
  if (!bad && came != 1) {
    exit(4);
  }
  free(p);
}

/* ---- A program that is right ---- */

#define HELD 300U
#define TURNS 6000U

typedef struct held {
  char *p;
  size_t size;
  char byte;
} held;

static uint64_t next(uint64_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

static void demand(int right) {
  if (!right) {
    (void)puts("wrong");
    abort();
  }
}

static void demand_bytes(const held *h, size_t size) {
  for (size_t i = 0; i<size; i += size> 4096 ? 509 : 1) {
    demand(h->p[i] == h->byte);
  }
}

static size_t some_size(uint64_t draw) {
  size_t const most = draw % 100 < 80 ? 300 : draw % 100 < 97 ? 40000 : 3000000;
  return 1 + (size_t)(draw >> 8) % most;
}

static char *some_block(uint64_t draw, size_t size) {
  void *p = NULL;
  switch (draw >> 40 & 3) {
  case 0:
    p = calloc(1, size);
    demand(((char *)p)[0] == 0 && ((char *)p)[size - 1] == 0);
    return p;
  case 1:
    demand(posix_memalign(&p, (size_t)16 << (draw >> 50) % 12, size) == 0);
    return p;
  default:
    return malloc(size);
  }
}

static void set(held *h, size_t size, char byte) {
  h->size = size;
  h->byte = byte;
  memset(h->p, byte, size);
  demand(malloc_usable_size(h->p) == size);
}

static void turn(held *h, uint64_t draw) {
  size_t const size = some_size(draw);
  if (h->p == NULL) {
    h->p = some_block(draw, size);
    set(h, size, (char)draw);
    return;
  }
  demand_bytes(h, h->size);
  if ((draw >> 40) % 3 == 0) {
    h->p = realloc(h->p, size);
    demand_bytes(h, size < h->size ? size : h->size);
    set(h, size, (char)draw);
  } else {
    free(h->p);
    h->p = NULL;
  }
}

static void *run(void *number) {
  held all[HELD] = {{NULL, 0, 0}};
  uint64_t seed = (uintptr_t)number * 7919 + 12345;
  for (unsigned i = 0; i < TURNS; i++) {
    turn(&all[next(&seed) % HELD], next(&seed));
  }
  for (unsigned i = 0; i < HELD; i++) {
    free(all[i].p);
  }
  return NULL;
}

static void right(void) {
  enum { THREADS = 3 };
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) {
    (void)pthread_create(&threads[i], NULL, run, (void *)i);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    (void)pthread_join(threads[i], NULL);
  }
  pid_t const child = fork();
  if (child == 0) {
    run((void *)7);
    exit(0);
  }
  int status = 1;
  demand(waitpid(child, &status, 0) == child && status == 0);
  (void)malloc_trim(0);
  run((void *)8);
}

static const test_case cases[] = {
    CASE(read_past_a_block),
    CASE(read_past_within_the_granule),
    CASE(write_past_within_the_granule),
    CASE(read_before_a_block),
    CASE(read_far_past_a_block),
    CASE(read_of_no_bytes),
    CASE(read_past_a_big_block),
    CASE(read_past_a_mapped_block),
    CASE(read_past_a_block_that_grew),
    CASE(read_after_free),
    CASE(read_after_free_of_a_mapped_block),
    CASE(read_after_realloc),
    CASE(read_after_free_by_a_thread),
    CASE(read_after_free_in_a_child),
    CASE(read_after_reuse),
    CASE(double_free_after_reuse),
    CASE(read_past_a_block_with_a_handler),
    CASE(right),
};

int main(int argc, char **argv) {
  return run_case(cases, sizeof cases / sizeof cases[0], argc, argv);
}
