/* The allocators that are measured. Add a row to subjects.c for each more. */
#ifndef RINGFENCE_TOOLS_BENCH_SUBJECTS_H
#define RINGFENCE_TOOLS_BENCH_SUBJECTS_H

#include <ringfence/allocator.h>

typedef struct subject {
  const char *name;
  rf_allocator *(*make)(void *arena, size_t size); /* one at a time; NULL where the arena is too small */
} subject;

extern const subject subjects[];
extern const size_t subject_count;

/* The subject with that name; ends the program where there is none. */
const subject *subject_named(const char *name);

#endif
