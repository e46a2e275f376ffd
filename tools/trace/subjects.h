/* The allocators that traces are replayed on. Add a row to subjects.c for each more. */
#ifndef RINGFENCE_TOOLS_TRACE_SUBJECTS_H
#define RINGFENCE_TOOLS_TRACE_SUBJECTS_H

#include "tools/trace/trace.h"

#include <ringfence/allocator.h>
#include <ringfence/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct subject_pools subject_pools;

typedef struct subject {
  const char *name;
  /* For subject_make. */
  rf_allocator *(*make)(void *arena, size_t size, const trace *t);
  size_t largest; /* it serves no more bytes in one block; 0: any */
  bool arena;     /* all its memory is the arena; else the system's */
  /* For a subject without an arena: bytes that it has from the system now. */
  size_t (*taken)(void);
  const char *sources;        /* its code: the start of files' names below lib/, each ended by a space; "" for none */
  size_t control;             /* bytes of its own variables, which lie outside of the arena */
  const subject_pools *pools; /* in front of a heap; NULL: none of the user's choice */
  /* For C code that makes one: its variables, of which the first is `heap`, and an expression that is true where
   * t->heap was made of `arena` and `size`. NULL: there is no code. */
  const char *variables;
  const char *init;
} subject;

#define SUBJECT_NAME_BYTES 160

struct subject_pools {
  subject self; /* use this one */
  const subject *heap;
  rf_pool_class classes[RF_POOL_CLASSES_MAX];
  unsigned count;
  char name[SUBJECT_NAME_BYTES]; /* as subject_parse reads it */
};

extern const subject subjects[];
extern const size_t subject_count;

/* The allocator over the arena; NULL where that is too small. One at a time; rf_deinit ends it. `t` is what will be
 * replayed, for those that are laid out for a use; NULL: not known. */
rf_allocator *subject_make(const subject *s, void *arena, size_t size, const trace *t);

/* The subject with that name; NULL where there is none. */
const subject *subject_find(const char *name);

/* Makes *out a subject: pools of these classes, 1 to RF_POOL_CLASSES_MAX, sizes ascending, in front of `heap`, which
 * takes the rest of the arena. */
void subject_with_pools(subject_pools *out, const rf_pool_class *classes, unsigned count, const subject *heap);

/* Reads NAME, or pool:SIZExCOUNT,SIZExCOUNT…+NAME, for which it fills in *pools. NULL: the text is neither. */
const subject *subject_parse(const char *text, subject_pools *pools);

/* The same; ends the program after a message that lists them. */
const subject *subject_named(const char *name);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_SUBJECTS_H */
