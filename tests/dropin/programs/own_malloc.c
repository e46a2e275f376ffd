/* A program with a malloc of its own, which never gets a block that it did not make. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(16) unsigned char arena[1 << 20];
static size_t used;

static int is_own(const void *p) {
  return (uintptr_t)p - (uintptr_t)arena < sizeof arena;
}

void *malloc(size_t size) {
  unsigned char *const p = arena + used;
  *(size_t *)p = size;
  used += 16 + ((size + 15) & ~(size_t)15);
  return used <= sizeof arena ? p + 16 : NULL;
}

void free(void *p) {
  if (p != NULL && !is_own(p)) {
    abort();
  }
}

void *realloc(void *p, size_t size) {
  void *const moved = malloc(size);
  free(p);
  if (p != NULL && moved != NULL) {
    size_t const old = ((size_t *)p)[-2];
    memcpy(moved, p, old < size ? old : size);
  }
  return moved;
}

void *calloc(size_t count, size_t size) {
  return malloc(count * size); /* nothing is used twice */
}

static int expect_own(const char *name, void *p) {
  int const good = p != NULL && is_own(p);
  printf("%s: %s\n", name, good ? "own" : "not own");
  free(good ? p : NULL);
  return good ? 0 : 1;
}

int main(void) {
  int faults = expect_own("strdup", strdup("x"));
  faults += expect_own("strndup", strndup("xyz", 2));
  faults += expect_own("reallocarray", reallocarray(NULL, 2, 8));
  return faults;
}
