#include <ringfence/snapshot.h>

#include <ringfence/port.h>
#include <ringfence/report_json.h>
#include <ringfence/report_serial.h>
#include <string.h>

#include "checkers/os/host.h"
#include "checkers/report/json_writer.h"
#include "lib/core/compiler.h"

/* ---- The table ---- */

static bool same_place(const rf_trace *a, const rf_trace *b) {
  return a->site == b->site && a->depth == b->depth &&
         memcmp(a->frames, b->frames, a->depth * sizeof a->frames[0]) == 0;
}

static size_t hash(const rf_trace *t) {
  uint32_t h = (uint32_t)(uintptr_t)t->site;
  for (unsigned i = 0; i < t->depth; i++) {
    h = (h ^ (uint32_t)t->frames[i]) * 0x9E3779B1U;
    h ^= h >> 15;
  }
  return h ^ h >> 7;
}

/* The slot of `place`, else the empty slot for it; NULL where the table is full. */
static rf_snapshot_site *slot_of(const rf_snapshot *s, const rf_trace *place) {
  size_t const start = s->capacity != 0 ? hash(place) % s->capacity : 0;
  for (size_t i = 0; i < s->capacity; i++) {
    rf_snapshot_site *const slot = &s->sites[(start + i) % s->capacity];
    if (slot->blocks == 0 || same_place(&slot->allocated, place)) {
      return slot;
    }
  }
  return NULL;
}

RF_COLD void rf_snapshot_init(rf_snapshot *s, const char *name, rf_snapshot_site *sites, size_t capacity) {
  memset(s, 0, sizeof *s);
  s->name = name;
  s->sites = sites;
  s->capacity = sites != NULL ? capacity : 0;
  for (size_t i = 0; i < s->capacity; i++) {
    sites[i].blocks = 0;
  }
}

RF_COLD void rf_snapshot_add(rf_snapshot *s, const rf_trace *allocated, size_t bytes) {
  rf_snapshot_site *const slot = slot_of(s, allocated);
  s->blocks++;
  s->bytes += bytes;
  if (slot == NULL) {
    s->omitted_blocks++;
    s->omitted_bytes += bytes;
    return;
  }
  if (slot->blocks == 0) {
    slot->allocated = *allocated;
    slot->bytes = 0;
    s->count++;
  }
  slot->blocks++;
  slot->bytes += bytes;
}

/* ---- Taking ---- */

typedef struct taking {
  rf_snapshot *snapshot;
  rf_guard *guard;
} taking;

static bool visit(const rf_block *block, void *context) {
  const taking *const t = (const taking *)context;
  rf_guard_block described;
  if (!block->used) {
    return true;
  }
  if (t->guard == NULL || !rf_guard_describe(t->guard, block->ptr, &described)) {
    memset(&described.allocated, 0, sizeof described.allocated);
    described.allocated.site = block->site;
  }
  rf_snapshot_add(t->snapshot, &described.allocated, block->size);
  return true;
}

RF_COLD rf_status rf_snapshot_count(rf_snapshot *s, rf_allocator *allocator, rf_guard *guard) {
  taking t = {s, guard};
  s->allocator = guard != NULL ? guard->inner->ops->name : allocator->ops->name;
  s->time_ns = rf_port_now_ns();
  return rf_walk(allocator, visit, &t);
}

RF_COLD rf_status rf_snapshot_take(rf_snapshot *s, rf_allocator *allocator, rf_guard *guard) {
  rf_snapshot_init(s, s->name, s->sites, s->capacity);
  return rf_snapshot_count(s, allocator, guard);
}

/* ---- Differences ---- */

static const rf_snapshot_site *find(const rf_snapshot *s, const rf_trace *place) {
  const rf_snapshot_site *const slot = s != NULL ? slot_of(s, place) : NULL;
  return slot != NULL && slot->blocks != 0 ? slot : NULL;
}

static bool delta_of(const rf_snapshot *s, const rf_snapshot *before, size_t index, rf_snapshot_delta *out) {
  bool const old = index >= s->capacity;
  const rf_snapshot_site *const slot = old ? &before->sites[index - s->capacity] : &s->sites[index];
  if (slot->blocks == 0) {
    return false;
  }
  const rf_snapshot_site *const other = find(old ? s : before, &slot->allocated);
  if (old && other != NULL) {
    return false; /* listed with those of `s` */
  }
  out->allocated = &slot->allocated;
  out->blocks = (ptrdiff_t)slot->blocks - (other != NULL ? (ptrdiff_t)other->blocks : 0);
  out->bytes = (ptrdiff_t)slot->bytes - (other != NULL ? (ptrdiff_t)other->bytes : 0);
  if (old) {
    out->blocks = -out->blocks;
    out->bytes = -out->bytes;
  }
  return out->blocks != 0 || out->bytes != 0;
}

RF_COLD bool rf_snapshot_next(const rf_snapshot *s, const rf_snapshot *before, size_t *cursor, rf_snapshot_delta *out) {
  size_t const end = s->capacity + (before != NULL ? before->capacity : 0);
  while (*cursor < end) {
    if (delta_of(s, before, (*cursor)++, out)) {
      return true;
    }
  }
  return false;
}

/* ---- JSON ---- */

static int64_t growth(size_t now, size_t then) {
  return (int64_t)now - (int64_t)then;
}

static void write_head(rf_json_writer *w, const rf_snapshot *s, const rf_snapshot *before, uint32_t process) {
  rf_json_put_text(w, "type", "snapshot");
  rf_json_put_unsigned(w, "version", RF_JSON_VERSION);
  rf_json_put_unsigned(w, "pid", process);
  rf_json_put_unsigned(w, "time_ns", s->time_ns);
  rf_json_put_text(w, "name", s->name);
  rf_json_put_text(w, "since", before != NULL ? before->name : NULL);
  rf_json_put_text(w, "allocator", s->allocator);
  rf_json_put_number(w, "blocks", growth(s->blocks, before != NULL ? before->blocks : 0));
  rf_json_put_number(w, "bytes", growth(s->bytes, before != NULL ? before->bytes : 0));
  rf_json_put_unsigned(w, "omitted_blocks", s->omitted_blocks + (before != NULL ? before->omitted_blocks : 0));
}

RF_COLD void rf_snapshot_json(const rf_snapshot *s, const rf_snapshot *before, uint32_t process,
                              const rf_symbolizer *symbolizer, const rf_sink *sink) {
  rf_json_writer w = {.sink = sink};
  rf_snapshot_delta row;
  size_t cursor = 0;
  rf_json_open(&w, NULL, "{");
  write_head(&w, s, before, process);
  rf_json_open(&w, "sites", "[");
  while (rf_snapshot_next(s, before, &cursor, &row)) {
    rf_json_open(&w, NULL, "{");
    rf_json_put_number(&w, "blocks", row.blocks);
    rf_json_put_number(&w, "bytes", row.bytes);
    rf_report_json_trace("allocated", row.allocated, symbolizer, sink);
    rf_json_close(&w, "}");
  }
  rf_json_close(&w, "]");
  rf_json_close(&w, "}");
  rf_sink_char(sink, '\n');
}

/* ---- Text ---- */

static void padded(const rf_sink *sink, ptrdiff_t value, bool sign, unsigned width) {
  char digits[24];
  rf_sink_buffer buffer;
  rf_sink_buffer_init(&buffer, digits, sizeof digits);
  rf_sink_str(&buffer.sink, sign && value > 0 ? "+" : "");
  rf_sink_int(&buffer.sink, value);
  for (size_t i = buffer.length; i < width; i++) {
    rf_sink_char(sink, ' ');
  }
  rf_sink_mem(sink, digits, buffer.length);
}

static void place(const rf_trace *t, const rf_symbolizer *symbolizer, const rf_sink *sink) {
  rf_frame_name name = {0};
  if (t->site != NULL) {
    rf_sink_str(sink, t->site->function);
    rf_sink_str(sink, " ");
    rf_sink_str(sink, t->site->file);
    rf_sink_str(sink, ":");
    rf_sink_uint(sink, t->site->line);
    return;
  }
  for (unsigned i = 0; i < t->depth; i++) {
    rf_sink_str(sink, i == 0 ? "" : " < ");
    if (symbolizer != NULL && symbolizer->name(symbolizer->context, t->frames[i], 0, &name) && name.function != NULL) {
      rf_sink_str(sink, name.function);
    } else {
      rf_sink_hex(sink, t->frames[i], 1);
    }
  }
  rf_sink_str(sink, t->depth == 0 ? "(not known)" : "");
}

/* The rows stay unsorted, since their order is that of the caller's hash table: each call looks for the largest row
 * after the last one written. */
static bool comes_before(const rf_snapshot_delta *a, size_t at, const rf_snapshot_delta *b, size_t bt) {
  return a->bytes != b->bytes ? a->bytes > b->bytes : at < bt;
}

static bool next_largest(const rf_snapshot *s, const rf_snapshot *before, rf_snapshot_delta *last, size_t *last_at) {
  rf_snapshot_delta row;
  rf_snapshot_delta best = {NULL, 0, 0};
  size_t best_at = 0;
  for (size_t cursor = 0; rf_snapshot_next(s, before, &cursor, &row);) {
    bool const after_last = last->allocated == NULL || comes_before(last, *last_at, &row, cursor);
    if (after_last && (best.allocated == NULL || comes_before(&row, cursor, &best, best_at))) {
      best = row;
      best_at = cursor;
    }
  }
  *last = best;
  *last_at = best_at;
  return best.allocated != NULL;
}

static void head(const rf_snapshot *s, const rf_snapshot *before, const rf_sink *sink) {
  if (before == NULL) {
    rf_sink_str(sink, "ringfence: snapshot \"");
  } else {
    rf_sink_str(sink, "ringfence: from \"");
    rf_sink_str(sink, before->name);
    rf_sink_str(sink, "\" to \"");
  }
  rf_sink_str(sink, s->name);
  rf_sink_str(sink, s->allocator != NULL ? "\" of " : "\"");
  rf_sink_str(sink, s->allocator != NULL ? s->allocator : "");
  rf_sink_str(sink, ": ");
  padded(sink, (ptrdiff_t)s->blocks - (before != NULL ? (ptrdiff_t)before->blocks : 0), before != NULL, 0);
  rf_sink_str(sink, " blocks, ");
  padded(sink, (ptrdiff_t)s->bytes - (before != NULL ? (ptrdiff_t)before->bytes : 0), before != NULL, 0);
  rf_sink_str(sink, before == NULL ? " bytes live\n" : " bytes\n");
}

RF_COLD void rf_snapshot_text(const rf_snapshot *s, const rf_snapshot *before, const rf_symbolizer *symbolizer,
                              const rf_sink *sink) {
  rf_snapshot_delta row = {NULL, 0, 0};
  size_t at = 0;
  unsigned rows = 0;
  head(s, before, sink);
  while (rows < RF_SNAPSHOT_ROWS && next_largest(s, before, &row, &at)) {
    rf_sink_str(sink, rows == 0 ? "       bytes   blocks call site\n " : " ");
    padded(sink, row.bytes, before != NULL, 11);
    rf_sink_str(sink, " ");
    padded(sink, row.blocks, before != NULL, 8);
    rf_sink_str(sink, " ");
    place(row.allocated, symbolizer, sink);
    rf_sink_str(sink, "\n");
    rows++;
  }
  if (rows == RF_SNAPSHOT_ROWS && next_largest(s, before, &row, &at)) {
    rf_sink_str(sink, "  and more call sites with fewer bytes\n");
  }
  if (s->omitted_blocks != 0) {
    rf_sink_str(sink, "  and ");
    rf_sink_uint(sink, s->omitted_blocks);
    rf_sink_str(sink, " blocks of call sites that did not fit\n");
  }
}

/* ---- Where the findings go ---- */

typedef struct put {
  const rf_snapshot *snapshot;
  const rf_snapshot *before;
  rf_format format;
} put;

static void write_snapshot(void *context, const rf_symbolizer *symbolizer, const rf_sink *sink) {
  const put *const p = (const put *)context;
  static rf_serial_text serial;
  static uint16_t records;
  const rf_sink *out = sink;
  if (p->format == RF_FORMAT_TEXT) {
    rf_snapshot_text(p->snapshot, p->before, symbolizer, sink);
    return;
  }
  if (p->format == RF_FORMAT_SERIAL) {
    rf_serial_text_init(&serial, sink, ++records);
    out = &serial.sink;
  }
  rf_snapshot_json(p->snapshot, p->before, rf_host_process(), symbolizer, out);
}

RF_COLD bool rf_log_reporter_snapshot(rf_log_reporter *reporter, const rf_snapshot *snapshot,
                                      const rf_snapshot *before) {
  put p = {snapshot, before, reporter->options.format};
  return rf_log_reporter_render(reporter, write_snapshot, &p);
}
