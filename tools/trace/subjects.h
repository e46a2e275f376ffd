/* The allocators that traces are replayed on. Add a row to subjects.c for each more. */
#ifndef RINGFENCE_TOOLS_TRACE_SUBJECTS_H
#define RINGFENCE_TOOLS_TRACE_SUBJECTS_H

#include "tools/trace/trace.h"

#include <ringfence/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct subject {
  const char *name;
  /* Over the arena; NULL where that is too small. One at a time; rf_deinit ends it. `t` is what will be replayed, for
   * those that are laid out for a use; NULL: not known. */
  rf_allocator *(*make)(void *arena, size_t size, const trace *t);
  size_t largest; /* it serves no more bytes in one block; 0: any */
  bool arena;     /* all its memory is the arena; else the system's */
  /* Where there is no arena: bytes that are taken from the system now. */
  size_t (*taken)(void);
  const char *sources; /* its code: the start of files' names below lib/, each ended by a space; "" for none */
} subject;

extern const subject subjects[];
extern const size_t subject_count;

/* The subject with that name; NULL where there is none. */
const subject *subject_find(const char *name);

/* The same; ends the program after a message that lists them. */
const subject *subject_named(const char *name);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_SUBJECTS_H */
