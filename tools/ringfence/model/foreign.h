/* Reports of other tools as findings of ours: AddressSanitizer's and LeakSanitizer's text, Valgrind's XML.
 *
 * Any text may be between two reports, and any part may be missing: a finding has what was there. Kinds without one
 * of ours (global-buffer-overflow, UninitCondition, still reachable blocks …) are counted and left out.
 */
#ifndef RINGFENCE_TOOLS_MODEL_FOREIGN_H
#define RINGFENCE_TOOLS_MODEL_FOREIGN_H

#include "tools/ringfence/base/arena.h"

#include <ringfence/finding.h>
#include <ringfence/frames.h>
#include <ringfence/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_foreign_frame {
  uint64_t pc;
  const char *function; /* this and the next three: NULL where unknown */
  const char *file;
  const char *module;
  const char *build_id;
  unsigned line;
  uint64_t offset; /* in the module */
} rf_foreign_frame;

typedef struct rf_foreign_stack {
  rf_foreign_frame *frames; /* innermost first, at most RF_TRACE_DEPTH */
  size_t count;
} rf_foreign_stack;

typedef struct rf_foreign_finding {
  bool known; /* `bug` is one of ours */
  rf_bug bug; /* with access, sizes and the like as in rf_finding */
  rf_access access;
  const char *detail; /* the tool's own words */
  uint64_t address;
  uint64_t block; /* 0: unknown */
  uint64_t size;
  uint64_t blocks;
  uint64_t access_size;
  uint64_t argument;      /* as in rf_finding */
  const char *allocation; /* the calls of a mismatch, this and the next one; NULL: unknown */
  const char *deallocation;
  uint32_t process;
  const char *program;        /* NULL: not said */
  rf_foreign_stack stacks[3]; /* access, allocation, free */
} rf_foreign_finding;

typedef struct rf_foreign {
  const char *tool; /* "asan" or "valgrind"; NULL: the text is of none */
  rf_foreign_finding *findings;
  size_t count;
  size_t other;        /* errors of kinds that are not ours */
  const char *program; /* NULL: not said */
} rf_foreign;

/* Reads `text`, which has a NUL behind its `length` bytes and may have some among them; strings live in the arena. */
rf_foreign rf_foreign_read(rf_bump_arena *arena, const char *text, size_t length);

/* Writes a finding as one object of JSON, as processes write theirs (docs/checkers/findings.md). Frames of the program
 * bear the name of `program`, or their own where that is NULL. */
void rf_foreign_put(const rf_foreign_finding *f, const char *tool, const char *program, const rf_sink *sink);

/* The program by the frames of `f`: the module of main or of the code that starts it, or the first one that is no
 * shared library; NULL where none is. */
const char *rf_foreign_program_of(const rf_foreign_finding *f);

/* The program of `f`, or the one that the report names; NULL where nothing says it. */
const char *rf_foreign_program(const rf_foreign *read, const rf_foreign_finding *f);

/* Makes an overflow one of the bytes behind the block alone, as checked processes tell it: an access that begins at
 * `start`, in the block, is of fewer bytes there. */
void rf_foreign_outside(rf_foreign_finding *f, uint64_t start);

/* True for a file of a sanitizer's runtime. NULL: none. */
bool rf_foreign_is_source_of_sanitizer(const char *file);

/* True for a function of a sanitizer that does the work of one of the C library. */
bool rf_foreign_is_interceptor(const rf_foreign_frame *frame);

/* The readers of each form; `out` is empty before. */
void rf_foreign_read_asan(rf_foreign *out, rf_bump_arena *arena, const char *text, size_t length);
void rf_foreign_read_valgrind(rf_foreign *out, rf_bump_arena *arena, const char *text, size_t length);

/* A new finding, the last of the list. */
rf_foreign_finding *rf_foreign_add(rf_foreign *out, rf_bump_arena *arena);

/* Adds a frame to a stack that has room. */
void rf_foreign_add_frame(rf_foreign_stack *stack, rf_bump_arena *arena, const rf_foreign_frame *frame);

#ifdef __cplusplus
}
#endif

#endif
