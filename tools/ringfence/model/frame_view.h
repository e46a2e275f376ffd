/* A stack as reports show it: calls, innermost first, with inlined functions among them.
 *
 * A frame of a record is a return address. It stands for several calls where functions were inlined; a call site that
 * the code recorded itself (RF_SITES) is a call without an address.
 */
#ifndef RINGFENCE_TOOLS_MODEL_FRAME_VIEW_H
#define RINGFENCE_TOOLS_MODEL_FRAME_VIEW_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_frame_view {
  const char *function; /* NULL: not known */
  const char *file;     /* as debug information has it; NULL: not known */
  unsigned line;        /* 0: not known */
  const char *module;   /* NULL: not known */
  const char *build_id; /* NULL: not known */
  uint64_t offset;      /* in the module */
  uint64_t address;     /* 0: a call site, which has none */
  bool runtime;         /* of an allocator or a standard library, not of the program */
  bool system_header;   /* its code is in a header of the system's: a template, or a function of the C library that was
                         * inlined (memcpy of bits/string_fortified.h) */
} rf_frame_view;

typedef struct rf_stack_view {
  rf_frame_view *list;
  size_t count;
} rf_stack_view;

typedef enum rf_stack_kind { RF_STACK_FOUND, RF_STACK_ALLOCATED, RF_STACK_RELEASED } rf_stack_kind;

/* True for frames of an allocator, the C library, the headers of the C++ library or Rust's library: they do not tell
 * where the program went wrong. */
bool rf_is_runtime_frame(const rf_frame *frame);

/* The calls of one stack of `record`; none where the stack is unknown. */
rf_stack_view rf_stack_view_of(rf_bump_arena *arena, const rf_record *record, rf_stack_kind kind);

/* The stack that names the place of the bug (rf_finding_place): that of the allocation for damage seen after the fact
 * or by nobody's call, else that of the wrong call. */
rf_stack_kind rf_stack_view_blamed(const rf_record *record);

/* The call that names the place: the program's first with a file that is no system header, else with any file, else the
 * program's first, else the first; NULL where there is none. */
const rf_frame_view *rf_stack_view_top(const rf_stack_view *calls);

/* "function file:line", "function (module+0x12)" or "0x401136", by what is known. */
const char *rf_frame_view_text(rf_bump_arena *arena, const rf_frame_view *call, const char *directory);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_FRAME_VIEW_H */
