/* A trace: the same requests for every allocator that is measured, recorded from a program (read.h) or made up from a
 * seed (synthetic.h). */
#ifndef RINGFENCE_TOOLS_TRACE_TRACE_H
#define RINGFENCE_TOOLS_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum trace_kind { TRACE_ALLOC, TRACE_FREE, TRACE_REALLOC } trace_kind;

typedef struct trace_op {
  trace_kind kind;
  size_t align;    /* 0: that of max_align_t */
  size_t id;       /* which block: 0 … ids - 1, at most one live block each */
  size_t size;     /* TRACE_FREE: 0 */
  uint32_t site;   /* index into `sites`; 0: not known */
  uint32_t thread; /* 0: not known */
} trace_op;

/* The place of a request; "" or 0 where unknown. */
typedef struct trace_site {
  char *file;
  char *function;
  unsigned line;
  unsigned depth;
  uint64_t *frames; /* return addresses, innermost first */
} trace_site;

/* A module that return addresses lie in. */
typedef struct trace_module {
  uint64_t start;
  uint64_t end;
  uint64_t bias;
  char *path;
  char *build_id;
} trace_module;

typedef struct trace {
  const char *name; /* NULL: none */
  trace_op *ops;
  size_t count;
  size_t capacity;
  size_t ids;
  size_t peak;        /* highest sum of the requested sizes of live blocks */
  size_t peak_blocks; /* most live blocks at once; 0 in made up traces */

  /* Recorded traces only. */
  trace_site *sites; /* [0] is the one that is not known */
  size_t site_count;
  trace_module *modules;
  size_t module_count;
  uint32_t process;
  uint64_t duration_us;
  uint64_t failures; /* requests that the program got no memory for; not among `ops` */
  uint64_t lost;     /* requests that could not be recorded */
  bool complete;     /* the recorder got to the end */
  bool part;         /* requests were left out: the four above tell of the whole recording */
} trace;

/* `p`; ends the program where that is NULL, since memory is short. */
void *trace_must(void *p);

/* Appends a request. Ends the program where memory is short. */
void trace_add(trace *t, const trace_op *op);

/* Frees all memory of the trace. */
void trace_free(trace *t);

/* Computes `peak` and `peak_blocks`. Ends the program where memory is short. */
void trace_measure(trace *t);

/* Keeps only the first `count` requests, and measures them. */
void trace_cut(trace *t, size_t count);

/* Keeps only the last `count` requests; the blocks that are live before them are allocated first, in the order of their
 * making, with the sizes that they have then. Measures the trace. Ends the program where memory is short. */
void trace_keep_last(trace *t, size_t count);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_TRACE_TRACE_H */
