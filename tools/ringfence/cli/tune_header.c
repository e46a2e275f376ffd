#include "tools/ringfence/cli/tune_header.h"

#include "tools/ringfence/base/words.h"

#include <ctype.h>

const char *rf_tune_name(const tune_result *r, rf_bump_arena *memory) {
  subject_pools pools;
  if (r->class_count == 0) {
    return r->heap->name;
  }
  subject_with_pools(&pools, r->classes, r->class_count, r->heap);
  return rf_bump_arena_copy(memory, pools.name);
}

static const char *upper(const char *text, rf_bump_arena *memory) {
  char *const out = rf_bump_arena_copy(memory, text);
  for (char *c = out; *c != '\0'; c++) {
    *c = (char)toupper((unsigned char)*c);
  }
  return out;
}

static void put(const rf_sink *sink, const char *text) {
  rf_sink_str(sink, text);
}

/* The predicted figures. */
static void write_comment(const rf_tune_header *h, const rf_sink *sink, rf_bump_arena *memory) {
  const tune_result *const r = h->result;
  put(sink, "/* Made by `ringfence tune`; make it anew rather than change it.\n *\n");
  put(sink, rf_bump_arena_print(memory, " * Allocator: %s\n * Predicted for %s (%s must have no failure):\n",
                                rf_tune_name(r, memory), rf_counted(memory, h->set->count, "trace"),
                                rf_counted(memory, h->set->enough, "trace")));
  put(sink, rf_bump_arena_print(memory, " *   memory: %zu bytes (an arena of %zu, and %zu for variables)\n", r->total,
                                r->arena, r->total - r->arena));
  if (h->compared != 0) {
    put(sink, rf_bump_arena_print(memory, " *   saving: %lld bytes, %.1f %% of the %zu of %s\n",
                                  (long long)h->compared - (long long)r->total,
                                  100 * ((double)h->compared - (double)r->total) / (double)h->compared, h->compared,
                                  h->against));
  }
  put(sink, rf_bump_arena_print(memory, " *   failures: %s in %s\n", rf_counted(memory, r->failed_requests, "request"),
                                rf_counted(memory, r->failed_traces, "trace")));
  put(sink, rf_bump_arena_print(memory,
                                " * Compare: ringfence replay --allocator %s --arena %zu TRACE\n"
                                " * The figures are those of a %zu-bit build: on another the blocks' headers differ.\n"
                                " */\n",
                                rf_tune_name(r, memory), r->arena, 8 * sizeof(void *)));
}

static void write_macros(const rf_tune_header *h, const char *large, const rf_sink *sink, rf_bump_arena *memory) {
  const tune_result *const r = h->result;
  put(sink, rf_bump_arena_print(memory, "#define %s_ARENA_BYTES %zuU\n", large, r->arena));
  put(sink, rf_bump_arena_print(memory, "#define %s_FAILED_REQUESTS %zuU\n#define %s_FAILED_TRACES %zuU\n", large,
                                r->failed_requests, large, r->failed_traces));
  if (r->class_count != 0) {
    put(sink, rf_bump_arena_print(memory, "#define %s_POOL_CLASSES {", large));
    for (unsigned i = 0; i < r->class_count; i++) {
      put(sink,
          rf_bump_arena_print(memory, "%s{%zuU, %zuU}", i == 0 ? "" : ", ", r->classes[i].size, r->classes[i].count));
    }
    put(sink, rf_bump_arena_print(memory, "}\n#define %s_POOL_CLASS_COUNT %uU\n", large, r->class_count));
  }
}

static void write_code(const rf_tune_header *h, const char *large, const rf_sink *sink, rf_bump_arena *memory) {
  const subject *const heap = h->result->heap;
  const char *const small = h->prefix;
  bool const pools = h->result->class_count != 0;
  put(sink, rf_bump_arena_print(memory, "\ntypedef struct %s_heap {\n  %s\n%s} %s_heap;\n", small, heap->variables,
                                pools ? "  rf_pool pool;\n" : "", small));
  put(sink, rf_bump_arena_print(memory,
                                "\n/* The allocator over `arena`, %s_ARENA_BYTES bytes that outlive it, aligned to 16; "
                                "NULL where that is too small. */\n"
                                "static inline rf_allocator *%s_heap_init(%s_heap *t, void *arena, size_t size) {\n",
                                large, small, small));
  if (pools) {
    put(sink, rf_bump_arena_print(
                  memory,
                  "  static const rf_pool_class classes[] = %s_POOL_CLASSES;\n"
                  "  rf_pool_options const options = {classes, %s_POOL_CLASS_COUNT, NULL, 0};\n"
                  "  bool const made = %s &&\n              rf_pool_init(&t->pool, &t->heap.base, &options) == "
                  "RF_OK;\n  return made ? &t->pool.base : NULL;\n}\n",
                  large, large, heap->init));
  } else {
    put(sink,
        rf_bump_arena_print(memory, "  bool const made = %s;\n  return made ? &t->heap.base : NULL;\n}\n", heap->init));
  }
}

void rf_tune_header_write(const rf_tune_header *h, const rf_sink *sink, rf_bump_arena *memory) {
  const char *const large = upper(h->prefix, memory);
  write_comment(h, sink, memory);
  put(sink, rf_bump_arena_print(memory, "#ifndef %s_HEAP_H\n#define %s_HEAP_H\n\n", large, large));
  if (h->result->class_count != 0) {
    put(sink, "#include <ringfence/pool.h>\n");
  }
  put(sink, rf_bump_arena_print(memory, "#include <ringfence/%s.h>\n#include <stdbool.h>\n#include <stddef.h>\n\n",
                                h->result->heap->name));
  write_macros(h, large, sink, memory);
  write_code(h, large, sink, memory);
  put(sink, rf_bump_arena_print(memory, "\n#endif /* %s_HEAP_H */\n", large));
}
