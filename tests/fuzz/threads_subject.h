/* Accesses of every kind that the compiler tells fuzz/threads_hooks.c of, as functions. */
#ifndef RINGFENCE_TESTS_FUZZ_THREADS_SUBJECT_H
#define RINGFENCE_TESTS_FUZZ_THREADS_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct threads_access {
  const char *name;
  void (*make)(void *at);
  size_t offset; /* of the first byte from `at` */
  size_t size;
  bool writes;
  bool atomic;
} threads_access;

extern const threads_access threads_accesses[];
extern const size_t threads_access_count;

/* Writes the value and tells of it by the flag, or sees the flag and writes the value. */
typedef struct threads_order {
  const char *name;
  void (*act)(int *value, int *flag);
  bool orders; /* as the code says: it releases, or acquires */
} threads_order;

extern const threads_order threads_gives[];
extern const size_t threads_give_count;
extern const threads_order threads_takes[];
extern const size_t threads_take_count;

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_FUZZ_THREADS_SUBJECT_H */
