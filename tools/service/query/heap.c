/* A snapshot as an answer: calls named and written once, sites that refer to them. */
#include "tools/service/query/query.h"

#include "tools/ringfence/model/frame_view.h"
#include "tools/service/intake/heap_snapshot.h"
#include "tools/service/intake/names.h"

#include <inttypes.h>

/* The calls of a frame: several where functions are inlined. */
typedef struct call_range {
  uint32_t first;
  uint32_t count;
  bool runtime;
  bool file;
} call_range;

typedef struct heap {
  rf_query *q;
  rf_heap_snapshot *s;
  call_range *ranges; /* of each frame */
} heap;

/* ---- Calls ---- */

static void put_call(rf_query *q, const rf_frame *f, const rf_source *source, bool runtime) {
  const char *const function = source != NULL && source->function != NULL ? source->function : f->function;
  rf_json_open(&q->w, NULL, "{");
  rf_json_put_text(&q->w, "function", function);
  if (source != NULL && source->file != NULL) {
    rf_json_put_text(&q->w, "file", source->file);
    rf_json_put_number(&q->w, "line", (int64_t)source->line);
  }
  rf_json_put_text(&q->w, "module", f->module);
  if (function == NULL) {
    rf_json_put_text(&q->w, "offset", rf_bump_arena_print(q->arena, "0x%" PRIx64, f->offset));
  }
  if (runtime) {
    rf_json_put_bool(&q->w, "runtime", true);
  }
  rf_json_close(&q->w, "}");
}

static void put_calls(heap *h) {
  uint32_t count = 0;
  h->ranges = (call_range *)rf_bump_arena_array(h->q->arena, h->s->frame_count + 1, sizeof *h->ranges);
  rf_json_open(&h->q->w, "calls", "[");
  for (size_t i = 0; i < h->s->frame_count; i++) {
    rf_frame *const f = &h->s->frames[i];
    rf_names_frame(h->q->store, h->q->arena, f);
    bool const runtime = rf_is_runtime_frame(f);
    uint32_t const calls = f->source_count == 0 ? 1 : (uint32_t)f->source_count;
    h->ranges[i] = (call_range){count, calls, runtime, f->source_count != 0 && f->sources[0].file != NULL};
    for (uint32_t k = 0; k < calls; k++) {
      put_call(h->q, f, f->source_count == 0 ? NULL : &f->sources[k], runtime);
    }
    count += calls;
  }
  rf_json_close(&h->q->w, "]");
}

/* ---- Sites ---- */

/* The stack without the library's own frames and the callers of main. Returns its first frame in site->stack. */
static uint32_t trim(const heap *h, const rf_heap_site *site, uint32_t *count) {
  rf_frame copy[RF_HEAP_DEPTH];
  rf_record r = {.times = 1};
  for (uint32_t i = 0; i < site->depth; i++) {
    copy[i] = h->s->frames[site->stack[i]];
  }
  r.allocated = (rf_stack){.frames = copy, .count = site->depth};
  rf_record_trim(&r, NULL, false);
  *count = r.allocated.count;
  return (uint32_t)(r.allocated.frames - copy);
}

/* The frame that the site is known by: the innermost of the program's own, one with lines before others. */
static uint32_t top_of(const heap *h, const uint32_t *stack, uint32_t count) {
  uint32_t own = count;
  for (uint32_t i = 0; i < count; i++) {
    const call_range *const r = &h->ranges[stack[i]];
    if (!r->runtime && r->file) {
      return i;
    }
    own = !r->runtime && own == count ? i : own;
  }
  return own == count ? 0 : own;
}

static void put_stack(heap *h, const rf_heap_site *site) {
  uint32_t count = 0;
  uint32_t const first = trim(h, site, &count);
  const uint32_t *const stack = site->stack + first;
  uint32_t const top = top_of(h, stack, count);
  int64_t above = 0;
  int64_t calls = 0;
  rf_json_open(&h->q->w, "stack", "[");
  for (uint32_t i = 0; i < count; i++) {
    const call_range *const r = &h->ranges[stack[i]];
    above = i == top ? calls : above;
    for (uint32_t k = 0; k < r->count; k++, calls++) {
      rf_json_put_number(&h->q->w, NULL, (int64_t)r->first + k);
    }
  }
  rf_json_close(&h->q->w, "]");
  rf_json_put_number(&h->q->w, "top", above);
}

static void put_sites(heap *h, bool difference) {
  rf_json_open(&h->q->w, "sites", "[");
  for (size_t i = 0; i < h->s->site_count; i++) {
    const rf_heap_site *const site = &h->s->sites[i];
    if (difference && site->more_bytes == 0 && site->more_blocks == 0) {
      continue;
    }
    rf_json_open(&h->q->w, NULL, "{");
    rf_json_put_number(&h->q->w, "bytes", site->bytes);
    rf_json_put_number(&h->q->w, "blocks", site->blocks);
    if (difference) {
      rf_json_put_number(&h->q->w, "more_bytes", site->more_bytes);
      rf_json_put_number(&h->q->w, "more_blocks", site->more_blocks);
    }
    put_stack(h, site);
    rf_json_close(&h->q->w, "}");
  }
  rf_json_close(&h->q->w, "]");
}

/* ---- Sizes and map ---- */

static void put_sizes(rf_query *q, const rf_heap_snapshot *s) {
  rf_json_open(&q->w, "sizes", "[");
  for (size_t i = 0; i < s->size_count; i++) {
    rf_json_open(&q->w, NULL, "{");
    rf_json_put_number(&q->w, "least", s->sizes[i].least);
    rf_json_put_number(&q->w, "blocks", s->sizes[i].blocks);
    rf_json_put_number(&q->w, "bytes", s->sizes[i].bytes);
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

static void put_map(rf_query *q, const rf_heap_snapshot *s) {
  rf_json_open(&q->w, "map", "{");
  rf_json_put_number(&q->w, "cell", s->cell);
  rf_json_open(&q->w, "parts", "[");
  for (size_t i = 0; i < s->part_count; i++) {
    rf_json_open(&q->w, NULL, "{");
    rf_json_put_text(&q->w, "address", s->parts[i].address);
    rf_json_open(&q->w, "live", "[");
    for (size_t k = 0; k < s->parts[i].count; k++) {
      rf_json_put_number(&q->w, NULL, s->parts[i].live[k]);
    }
    rf_json_close(&q->w, "]}");
  }
  rf_json_close(&q->w, "]}");
}

void rf_query_put_heap(rf_query *q, rf_heap_snapshot *s, bool difference) {
  heap h = {.q = q, .s = s};
  put_calls(&h);
  put_sites(&h, difference);
  put_sizes(q, s);
  put_map(q, s);
}
