#include "tools/ringfence/cli/import_snapshots.h"

#include "checkers/checked/snapshot_sites.h"
#include "tools/ringfence/model/run.h"

#include <inttypes.h>
#include <string.h>

#define ROOM ((size_t)192 * 1024) /* a record is 256 KiB at most */

/* ---- Calls: a frame, or a function inlined in it; their numbers stand for return addresses ---- */

typedef struct call {
  const rf_frame *frame;
  size_t source;
} call;

typedef struct calls {
  rf_bump_arena *arena;
  rf_string_table numbers;
  call *list;
  size_t count;
} calls;

static uintptr_t number_of(calls *all, const rf_frame *f, size_t source) {
  const char *const text = rf_bump_arena_print(
      all->arena, "%s+%" PRIx64 " %" PRIx64 " %zu %s", f->module == NULL ? "" : f->module, f->offset, f->address,
      source, source < f->source_count && f->sources[source].function != NULL ? f->sources[source].function : "");
  size_t const index = rf_string_table_index(&all->numbers, all->arena, text);
  if (index == all->count) {
    RF_APPENDED(all->arena, all->list, all->count) = (call){f, source};
  }
  return (uintptr_t)index + 1;
}

static bool name(void *context, uintptr_t number, unsigned inlined, rf_frame_name *out) {
  const calls *const all = (const calls *)context;
  *out = (rf_frame_name){0};
  if (inlined != 0 || number == 0 || number > all->count) {
    return false;
  }
  const call *const c = &all->list[number - 1];
  const rf_source *const source = c->source < c->frame->source_count ? &c->frame->sources[c->source] : NULL;
  out->module = c->frame->module;
  out->build_id = c->frame->build_id;
  out->offset = c->frame->module != NULL ? c->frame->offset : c->frame->address;
  out->function = source != NULL && source->function != NULL ? source->function : c->frame->function;
  out->file = source == NULL ? NULL : source->file;
  out->line = source == NULL ? 0 : source->line;
  return true;
}

static rf_trace trace_of(calls *all, const rf_record *origin) {
  rf_trace t = {.site = origin->finding.allocated.site};
  for (unsigned i = 0; i < origin->allocated.count; i++) {
    const rf_frame *const f = &origin->allocated.frames[i];
    for (size_t k = 0; (k == 0 || k < f->source_count) && t.depth < RF_TRACE_DEPTH; k++) {
      t.frames[t.depth++] = number_of(all, f, k);
    }
  }
  return t;
}

/* ---- Snapshots ---- */

static size_t positive(int64_t value) {
  return value < 0 ? 0 : (size_t)value;
}

static void put_sites(calls *all, const rf_snapshot_table *t, rf_sink_buffer *out, rf_json_writer *json) {
  rf_snapshot_site *const sites = (rf_snapshot_site *)rf_bump_arena_array(all->arena, t->count + 1, sizeof *sites);
  const rf_snapshot_site **const order =
      (const rf_snapshot_site **)rf_bump_arena_array(all->arena, t->count + 1, sizeof *order);
  rf_snapshot_sites *const w = (rf_snapshot_sites *)rf_bump_arena_alloc(all->arena, sizeof *w);
  rf_symbolizer const symbolizer = {name, all};
  w->out = out;
  w->symbolizer = &symbolizer;
  for (size_t i = 0; i < t->count; i++) {
    sites[i] =
        (rf_snapshot_site){trace_of(all, t->rows[i].origin), positive(t->rows[i].blocks), positive(t->rows[i].bytes)};
    order[i] = &sites[i];
  }
  rf_snapshot_sites_write(w, json, order, t->count, (size_t)t->omitted, 0);
}

static const char *json_of(rf_bump_arena *arena, const rf_snapshot_table *t) {
  calls all = {.arena = arena};
  rf_sink_buffer out;
  rf_sink_buffer_init(&out, (char *)rf_bump_arena_alloc(arena, ROOM), ROOM);
  rf_json_writer json = {.sink = &out.sink};
  rf_json_open(&json, NULL, "{");
  rf_json_put_text(&json, "name", t->name);
  rf_json_put_text(&json, "allocator", t->allocator == NULL ? "" : t->allocator);
  rf_json_put_unsigned(&json, "blocks", positive(t->blocks));
  rf_json_put_unsigned(&json, "bytes", positive(t->bytes));
  put_sites(&all, t, &out, &json);
  rf_json_close(&json, "}");
  return out.data;
}

static const char *program_of(const rf_run *run, uint32_t process) {
  for (size_t i = 0; i < run->process_count; i++) {
    if (run->processes[i].id == process) {
      return run->processes[i].program;
    }
  }
  return NULL;
}

rf_imported_snapshot *rf_import_snapshots(rf_bump_arena *arena, const char *text, size_t length, size_t *count) {
  rf_imported_snapshot *out = NULL;
  rf_run run = {.mode = NULL};
  *count = 0;
  for (size_t at = 0; at < length;) {
    const char *const feed = (const char *)memchr(text + at, '\n', length - at);
    size_t const line = feed == NULL ? length - at : (size_t)(feed - (text + at));
    if (line != 0 && text[at] == '{') {
      rf_run_add_line(&run, arena, text + at, line);
    }
    at += line + 1;
  }
  for (size_t i = 0; i < run.snapshot_count; i++) {
    const rf_snapshot_table *const t = run.snapshots[i];
    if (t->since == NULL) {
      RF_APPENDED(arena, out, *count) =
          (rf_imported_snapshot){t->process, program_of(&run, t->process), run.mode, json_of(arena, t)};
    }
  }
  return out;
}
