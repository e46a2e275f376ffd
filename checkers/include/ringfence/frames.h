/* Stacks as plain data: a trace of return addresses, and the name that one of them has.
 *
 * Names come from the process's own modules, or from debug information that a tool reads. The renderers of findings
 * take a symbolizer and do not know which of the two it asks. */
#ifndef RINGFENCE_FRAMES_H
#define RINGFENCE_FRAMES_H

#include <ringfence/site.h>
#include <ringfence/system.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Return addresses kept in a trace, at most 85; few where there is neither an unwinder nor much stack. */
#ifndef RF_TRACE_DEPTH
#if RF_HAS_SYSTEM
#define RF_TRACE_DEPTH 32
#else
#define RF_TRACE_DEPTH 4
#endif
#endif

/* A place in the program: a call site (code built with RF_SITES), return addresses innermost first (hosted targets),
 * both, or neither. */
typedef struct rf_trace {
  const rf_site *site;
  unsigned depth;
  uintptr_t frames[RF_TRACE_DEPTH];
  uint32_t thread; /* rf_port_thread_id of the thread; 0 where not known */
} rf_trace;

/* The name of one return address. The strings are valid until the symbolizer is called again. */
typedef struct rf_frame_name {
  const char *function; /* NULL: not known */
  const char *file;     /* NULL: not known */
  unsigned line;        /* 0: not known */
  unsigned column;      /* 0: not known */
  const char *module;   /* path of the executable or shared library; NULL: not known */
  const char *build_id; /* hexadecimal, lower case; NULL: none */
  uint64_t offset;      /* of the return address in the module, as addresses count in its ELF file */
  const char *symbol;   /* the linker's name, where it is another than `function`; else NULL */
} rf_frame_name;

/* Fills in *out, all of it, for the return address `pc`; false where nothing is known. `inlined` counts from 0: the
 * function in which the code of the call stands, then the functions it was inlined into, until the answer is false.
 * Names belong to the call, which is just before `pc`: look up pc - 1. */
typedef struct rf_symbolizer {
  bool (*name)(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out);
  void *context;
} rf_symbolizer;

/* True for frames of an allocator, of the C or C++ runtime, or of GLib and talloc, which allocate for whoever calls
 * them: they say nothing of where a program went wrong. Either may be NULL. */
bool rf_frame_is_runtime(const char *module, const char *function);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_FRAMES_H */
