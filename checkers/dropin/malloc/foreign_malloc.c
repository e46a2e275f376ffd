#define _GNU_SOURCE
#include "foreign_malloc.h"

#include "checkers/dropin/os/real.h"

#include <stdint.h>
#include <unistd.h>

static struct {
  uintptr_t start; /* of the program break, when the process began; 0: there is no other malloc */
  void (*free)(void *);
  void *(*realloc)(void *, size_t);
  size_t (*usable_size)(void *);
} other;

void rf_foreign_malloc_init(void) {
  other.free = (void (*)(void *))rf_real("free");
  other.realloc = (void *(*)(void *, size_t))rf_real("realloc");
  other.usable_size = (size_t(*)(void *))rf_real("malloc_usable_size");
  if (other.free != NULL && other.realloc != NULL && other.usable_size != NULL) {
    other.start = (uintptr_t)sbrk(0);
  }
}

bool rf_foreign_malloc_owns(const void *ptr) {
  return other.start != 0 && (uintptr_t)ptr >= other.start && (uintptr_t)ptr < (uintptr_t)sbrk(0);
}

void rf_foreign_malloc_free(void *ptr) {
  other.free(ptr);
}

void *rf_foreign_malloc_realloc(void *ptr, size_t size) {
  return other.realloc(ptr, size);
}

size_t rf_foreign_malloc_usable_size(void *ptr) {
  return other.usable_size(ptr);
}
