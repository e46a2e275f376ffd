/* The bytes are those that fuzz/interpreter.cc takes as this arena and these operations; tests/fuzz/trace_seed_test.py
 * compares what it makes of them with the trace.
 *
 * An input names a block by how many older ones are live. As long as every request succeeds that is known here; where
 * one fails in the arena, what follows it differs from the trace. */
#include "tools/trace/fuzz_seed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OPERATIONS_MOST = 2000,
  LIVE_MOST = 512,
  SIZE_MOST = (1 << 20) - 1,
  ALIGN_DEFAULT = 16 /* of malloc */
};

/* Bytes that choose: an operation, a size or an alignment as it stands, an arena in units of 16, to fill a block. */
enum { ALLOC = 0, ALIGNED_ALLOC = 38, REALLOC = 62, FREE = 118, LITERAL = 0, ARENA_BY_16 = 6, FILL = 1 };

static const struct fuzzer {
  const char *allocator;
  bool regions; /* its inputs say how many there are */
} fuzzers[] = {{"tlsf", true}, {"simple", false}, {"smallmem", false}, {"memheap", true}, {"slab", false}};

typedef struct input {
  unsigned char *bytes;
  size_t length;
  size_t *live; /* ids of live blocks, oldest first */
  size_t live_count;
  char *problem;
} input;

static const struct fuzzer *fuzzer_of(const char *allocator) {
  for (size_t i = 0; i < sizeof fuzzers / sizeof fuzzers[0]; i++) {
    if (strcmp(fuzzers[i].allocator, allocator) == 0) {
      return &fuzzers[i];
    }
  }
  return NULL;
}

/* ---- Bytes, as fuzz/reader.h reads them ---- */

static void put(input *in, unsigned byte) {
  in->bytes[in->length++] = (unsigned char)byte;
}

static void put_length(input *in, size_t n) {
  if (n < 0xa0) {
    put(in, (unsigned)n);
  } else if (n < 0x5000) {
    put(in, 0xa0 + (unsigned)(n >> 8));
    put(in, (unsigned)n & 0xFF);
  } else {
    put(in, 0xf0 + (unsigned)(n >> 16));
    put(in, (unsigned)n & 0xFF);
    put(in, (unsigned)(n >> 8) & 0xFF);
  }
}

/* A live block, by its place in the list. */
static void put_index(input *in, size_t index) {
  if (in->live_count > 1) {
    put(in, (unsigned)index & 0xFF);
  }
  if (in->live_count > 256) {
    put(in, (unsigned)(index >> 8));
  }
}

static size_t index_of(const input *in, size_t id) {
  size_t i = 0;
  while (i < in->live_count && in->live[i] != id) {
    i++;
  }
  return i;
}

/* -1 where no byte stands for it. */
static int byte_of_align(size_t align) {
  if (align <= ALIGN_DEFAULT) {
    return 0;
  }
  for (int byte = 128; byte < 256; byte++) {
    if ((size_t)1 << (byte < 250 ? byte % 13 : byte % 21) == align) {
      return byte;
    }
  }
  return -1;
}

/* ---- Requests ---- */

static bool fail(const input *in, const char *what, size_t value, size_t most) {
  (void)snprintf(in->problem, TRACE_SEED_PROBLEM, "%s %zu; a fuzzer's input takes %zu at most", what, value, most);
  return false;
}

static bool put_size(input *in, size_t size) {
  if (size > SIZE_MOST) {
    return fail(in, "a request is for so many bytes:", size, SIZE_MOST);
  }
  put(in, LITERAL);
  put_length(in, size != 0 ? size : 1);
  return true;
}

static bool put_alloc(input *in, const trace_op *op, unsigned align) {
  if (in->live_count + 1 >= LIVE_MOST) {
    return fail(in, "so many blocks are live at once:", in->live_count + 1, LIVE_MOST - 1);
  }
  put(in, align == 0 ? ALLOC : ALIGNED_ALLOC);
  if (align != 0) {
    put(in, align);
  }
  in->live[in->live_count++] = op->id;
  bool const fits = put_size(in, op->size);
  put(in, FILL);
  return fits;
}

static bool put_op(input *in, const trace_op *op) {
  int const align = byte_of_align(op->align);
  size_t const at = index_of(in, op->id);
  if (align < 0) {
    return fail(in, "a block is aligned to so many bytes:", op->align, 4096);
  }
  if (op->kind == TRACE_ALLOC) {
    return put_alloc(in, op, (unsigned)align);
  }
  if (at == in->live_count) {
    return true; /* its allocation is not in the window */
  }
  put(in, op->kind == TRACE_FREE ? FREE : REALLOC);
  put_index(in, at);
  if (op->kind == TRACE_REALLOC) {
    put(in, (unsigned)align);
    return put_size(in, op->size);
  }
  in->live_count--;
  memmove(&in->live[at], &in->live[at + 1], (in->live_count - at) * sizeof in->live[0]);
  return true;
}

static bool put_arena(input *in, size_t arena, bool regions) {
  if (arena > TRACE_SEED_ARENA) {
    return fail(in, "the arena has so many bytes:", arena, TRACE_SEED_ARENA);
  }
  if (regions) {
    put(in, 0); /* one */
  }
  put(in, ARENA_BY_16);
  put_length(in, (arena + 15) / 16);
  put(in, 0); /* the gap before it */
  put(in, 0); /* what is in it */
  put(in, 0); /* by which it tries an endless one */
  return true;
}

static bool put_all(input *in, const trace *t, size_t arena, bool regions) {
  if (t->count > OPERATIONS_MOST) {
    return fail(in, "there are so many requests:", t->count, OPERATIONS_MOST);
  }
  bool fits = put_arena(in, arena, regions);
  for (size_t i = 0; i < t->count && fits; i++) {
    fits = put_op(in, &t->ops[i]);
  }
  return fits;
}

/* ---- The line ---- */

static void put_base64(const input *in, const rf_sink *sink) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < in->length; i += 3) {
    size_t const left = in->length - i;
    uint32_t const three = (uint32_t)in->bytes[i] << 16 | (left > 1 ? (uint32_t)in->bytes[i + 1] << 8 : 0) |
                           (left > 2 ? (uint32_t)in->bytes[i + 2] : 0);
    rf_sink_char(sink, digits[three >> 18]);
    rf_sink_char(sink, digits[three >> 12 & 63]);
    rf_sink_char(sink, (char)(left > 1 ? digits[three >> 6 & 63] : '='));
    rf_sink_char(sink, (char)(left > 2 ? digits[three & 63] : '='));
  }
  rf_sink_char(sink, '\n');
}

bool trace_write_fuzz_seed(const trace *t, const char *allocator, size_t arena, const rf_sink *sink,
                           char problem[TRACE_SEED_PROBLEM]) {
  enum { LONGEST = 10 }; /* bytes of an operation, and of the arena */
  const struct fuzzer *const f = fuzzer_of(allocator);
  size_t const count = t->count < OPERATIONS_MOST ? t->count : OPERATIONS_MOST;
  if (f == NULL) {
    (void)snprintf(problem, TRACE_SEED_PROBLEM,
                   "no fuzzer runs requests on %s: use tlsf, simple, smallmem, memheap or"
                   " slab",
                   allocator);
    return false;
  }
  input in = {.bytes = (unsigned char *)trace_must(malloc((count + 1) * LONGEST)),
              .live = (size_t *)trace_must(malloc((LIVE_MOST + 1) * sizeof(size_t))),
              .problem = problem};
  bool const fits = put_all(&in, t, arena, f->regions);
  if (fits) {
    put_base64(&in, sink);
  }
  free(in.bytes);
  free(in.live);
  return fits;
}
