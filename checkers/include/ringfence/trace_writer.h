/* rf_trace_writer: turns requests to an allocator into a trace (trace_format.h) on a sink, for recorders: rf_tracer
 * around an rf_allocator, the drop-in around malloc.
 *
 * All memory is the caller's: a buffer that becomes a chunk when it is full, and two tables, from addresses to the
 * names of blocks and from call sites to their numbers. A block for which the table has no room is left out of the
 * trace, and so is all that happens to it; the trace says how many were. Nothing is allocated.
 *
 * Complexity: O(1) per request, amortised over chunks: some 6 bytes written each. Memory: RF_TRACE_SLOT bytes per live
 * block and per call site, with a quarter of each table free.
 * Threads and interrupts: not synchronised; recorders see to it.
 */
#ifndef RINGFENCE_TRACE_WRITER_H
#define RINGFENCE_TRACE_WRITER_H

#include <ringfence/finding.h>
#include <ringfence/sink.h>
#include <ringfence/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A buffer must hold any one event. */
#define RF_TRACE_BUFFER_MIN ((size_t)1024)
#define RF_TRACE_SLOT (2 * sizeof(size_t))
/* The least that rf_trace_writer_init takes. */
#define RF_TRACE_MEMORY_MIN (RF_TRACE_BUFFER_MIN + 32 * RF_TRACE_SLOT)

typedef struct rf_trace_slot {
  uintptr_t key; /* 0: free */
  size_t value;
} rf_trace_slot;

/* Open addressing, linear probing; 2^bits slots. */
typedef struct rf_trace_table {
  rf_trace_slot *slots;
  unsigned bits;
  size_t count;
} rf_trace_table;

typedef struct rf_trace_writer_options {
  rf_sink sink;     /* takes bytes: the header, then a chunk at a time */
  void *memory;     /* aligned to size_t; at least RF_TRACE_MEMORY_MIN */
  size_t size;      /* a sixteenth becomes the buffer (1 … 64 KiB), an eighth serves call sites, the rest blocks */
  uint32_t process; /* its id; 0 where there are no processes */
  void *context;    /* of the two functions below */
  /* Optional: zeroed memory for a larger table, aligned to size_t; NULL where there is none. The memory of the
   * table before is not given back. */
  void *(*more)(void *context, size_t size);
  /* Optional: told of each call site with return addresses before it is written, so that it can name their modules. */
  void (*met)(void *context, const rf_trace *where);
} rf_trace_writer_options;

typedef struct rf_trace_writer {
  rf_trace_writer_options options;
  unsigned char *buffer; /* a chunk in the making */
  size_t capacity;
  size_t used;
  uint32_t chunks;
  rf_trace_table blocks;
  rf_trace_table sites;
  size_t next_block;
  size_t next_site;
  size_t site; /* of the request before */
  uint64_t time_us;
  uint32_t thread;
  uint64_t requests;
  uint64_t lost;
  uint64_t lost_told;
} rf_trace_writer;

/* Writes the header. RF_OK, or RF_ERR_INVALID for too little or misaligned memory or no sink. */
rf_status rf_trace_writer_init(rf_trace_writer *writer, const rf_trace_writer_options *options);

/* A request of `size` bytes aligned to `align` was answered with `ptr`, NULL: not served. `where` may be NULL; its
 * thread is the one that asked. `now_ns` is any clock that only goes forward. A block that is live at `ptr` already was
 * freed unseen. */
void rf_trace_writer_alloc(rf_trace_writer *writer, const void *ptr, size_t size, size_t align, const rf_trace *where,
                           uint64_t now_ns);

/* The block was or will be freed. An address that is no block's is not recorded, and counts as a request that could not
 * be: its block was live before, or the table had no room for it. */
void rf_trace_writer_free(rf_trace_writer *writer, const void *ptr, const rf_trace *where, uint64_t now_ns);

/* Resizing in two steps, so that another thread may get the old address in between. `take` before: *block is the
 * block's name, false where it has none, which counts as above. `resized` after: `ptr` is where it is now, the old
 * address with `failed`. */
bool rf_trace_writer_take(rf_trace_writer *writer, const void *ptr, size_t *block);
void rf_trace_writer_resized(rf_trace_writer *writer, size_t block, const void *ptr, size_t size, size_t align,
                             bool failed, const rf_trace *where, uint64_t now_ns);

/* Code at `start` … `end` - 1 comes from the file `path`, and lies `bias` above where that file has it. */
void rf_trace_writer_module(rf_trace_writer *writer, uintptr_t start, uintptr_t end, uintptr_t bias, const char *path,
                            const char *build_id);

/* A request that could not be recorded. */
void rf_trace_writer_lost(rf_trace_writer *writer);

/* Puts out what is in the buffer. */
void rf_trace_writer_flush(rf_trace_writer *writer);

/* Says that the trace is complete so far, and flushes. More may follow. */
void rf_trace_writer_end(rf_trace_writer *writer);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TRACE_WRITER_H */
