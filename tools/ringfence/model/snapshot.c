#include "tools/ringfence/model/snapshot.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/string_table.h"
#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int64_t magnitude(int64_t value) {
  return value < 0 ? -value : value;
}

/* The largest first, growth before shrinkage. */
static int by_bytes(const void *a, const void *b) {
  const rf_snapshot_row *const left = (const rf_snapshot_row *)a;
  const rf_snapshot_row *const right = (const rf_snapshot_row *)b;
  if (left->bytes != right->bytes) {
    bool const both_shrink = left->bytes < 0 && right->bytes < 0;
    return (left->bytes > right->bytes) == both_shrink ? 1 : -1;
  }
  return (magnitude(left->blocks) < magnitude(right->blocks)) - (magnitude(left->blocks) > magnitude(right->blocks));
}

static void sort(rf_snapshot_table *table) {
  if (table->count != 0) {
    qsort(table->rows, table->count, sizeof *table->rows, by_bytes);
  }
}

/* A made up number must not overflow in differences of differences. */
static int64_t within_limits(int64_t value) {
  int64_t const limit = INT64_MAX / 8;
  return value > limit ? limit : value < -limit ? -limit : value;
}

static rf_snapshot_row *add_row(rf_bump_arena *arena, rf_snapshot_table *table) {
  return &RF_APPENDED(arena, table->rows, table->count);
}

rf_snapshot_table *rf_snapshot_table_read(rf_bump_arena *arena, const rf_json *line) {
  rf_snapshot_table *const table = (rf_snapshot_table *)rf_bump_arena_alloc(arena, sizeof *table);
  const rf_json *const sites = rf_json_member(line, "sites");
  *table = (rf_snapshot_table){
      .name = rf_json_text(line, "name", "snapshot"),
      .since = rf_json_text(line, "since", NULL),
      .allocator = rf_json_text(line, "allocator", NULL),
      .process = (uint32_t)rf_json_unsigned(line, "pid", 0),
      .time_ns = rf_json_unsigned(line, "time_ns", 0),
      .blocks = within_limits(rf_json_signed(line, "blocks", 0)),
      .bytes = within_limits(rf_json_signed(line, "bytes", 0)),
      .omitted = rf_json_unsigned(line, "omitted_blocks", 0),
  };
  for (const rf_json *site = sites == NULL ? NULL : sites->first; site != NULL; site = site->next) {
    rf_snapshot_row *const row = add_row(arena, table);
    row->origin = rf_record_origin(arena, rf_json_member(site, "allocated"));
    row->blocks = within_limits(rf_json_signed(site, "blocks", 0));
    row->bytes = within_limits(rf_json_signed(site, "bytes", 0));
  }
  sort(table);
  return table;
}

/* ---- Differences ---- */

/* Equal for equal call sites. */
static void put_key(const rf_record *origin, const rf_sink *sink) {
  const rf_site *const site = origin->finding.allocated.site;
  if (site != NULL) {
    rf_sink_str(sink, site->function);
    rf_sink_char(sink, '@');
    rf_sink_str(sink, site->file);
    rf_sink_part(sink, ':', site->line);
  }
  for (unsigned i = 0; i < origin->allocated.count; i++) {
    const rf_frame *const frame = &origin->allocated.frames[i];
    rf_sink_char(sink, '|');
    rf_sink_str(sink, frame->module != NULL ? frame->module : "");
    rf_sink_part(sink, frame->module != NULL ? '+' : '=', frame->module != NULL ? frame->offset : frame->address);
  }
}

/* Adds the rows of `table` to those of `out`, which has room for them, a row for each call site: stacks may have become
 * one that differed in the callers of main alone. */
static void add_rows(rf_bump_arena *arena, rf_string_table *places, rf_snapshot_table *out,
                     const rf_snapshot_table *table, int sign) {
  rf_text_sink key;
  rf_text_sink_init(&key, arena);
  for (size_t i = 0; i < table->count; i++) {
    const rf_snapshot_row *const row = &table->rows[i];
    rf_text_sink_clear(&key);
    put_key(row->origin, &key.sink);
    size_t const place = rf_string_table_index(places, arena, key.text);
    rf_snapshot_row *const sum = &out->rows[place];
    if (place == out->count) {
      places->strings[place] = rf_bump_arena_text(arena, key.text, key.length);
      *sum = (rf_snapshot_row){row->origin, 0, 0};
      out->count++;
    }
    sum->blocks = within_limits(sum->blocks + sign * row->blocks);
    sum->bytes = within_limits(sum->bytes + sign * row->bytes);
  }
}

static void drop_unchanged(rf_snapshot_table *table) {
  size_t kept = 0;
  for (size_t i = 0; i < table->count; i++) {
    if (table->rows[i].blocks != 0 || table->rows[i].bytes != 0) {
      table->rows[kept++] = table->rows[i];
    }
  }
  table->count = kept;
}

rf_snapshot_table *rf_snapshot_table_since(rf_bump_arena *arena, const rf_snapshot_table *earlier,
                                           const rf_snapshot_table *later) {
  rf_snapshot_table *const out = (rf_snapshot_table *)rf_bump_arena_alloc(arena, sizeof *out);
  rf_string_table places = {0};
  *out = *later;
  out->since = earlier->name;
  out->blocks -= earlier->blocks;
  out->bytes -= earlier->bytes;
  out->omitted += earlier->omitted;
  out->rows = (rf_snapshot_row *)rf_bump_arena_array(arena, later->count + earlier->count, sizeof *out->rows);
  out->count = 0;
  add_rows(arena, &places, out, later, 1);
  add_rows(arena, &places, out, earlier, -1);
  drop_unchanged(out);
  sort(out);
  return out;
}

static bool same_text(const char *a, const char *b) {
  return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

bool rf_snapshot_table_is_alike(const rf_snapshot_table *a, const rf_snapshot_table *b) {
  return a->process == b->process && same_text(a->input, b->input) && same_text(a->allocator, b->allocator);
}

static bool has_difference(rf_snapshot_table *const *tables, size_t count, const rf_snapshot_table *later) {
  for (size_t i = 0; i < count; i++) {
    if (tables[i]->since != NULL && rf_snapshot_table_is_alike(tables[i], later) &&
        strcmp(tables[i]->name, later->name) == 0) {
      return true;
    }
  }
  return false;
}

rf_snapshot_table **rf_snapshot_tables_compare(rf_bump_arena *arena, rf_snapshot_table **tables, size_t *count) {
  rf_snapshot_table **out = NULL;
  size_t made = 0;
  for (size_t i = 0; i < *count; i++) {
    const rf_snapshot_table *before = NULL;
    for (size_t k = i; k != 0 && before == NULL && tables[i]->since == NULL; k--) {
      const rf_snapshot_table *const earlier = tables[k - 1];
      before = earlier->since == NULL && rf_snapshot_table_is_alike(earlier, tables[i]) ? earlier : NULL;
    }
    RF_APPENDED(arena, out, made) = tables[i];
    if (before != NULL && !has_difference(tables, *count, tables[i])) {
      RF_APPENDED(arena, out, made) = rf_snapshot_table_since(arena, before, tables[i]);
    }
  }
  *count = made;
  return out;
}

const char *rf_snapshot_table_sums(rf_bump_arena *arena, const rf_snapshot_table *table) {
  if (table->since != NULL) {
    return rf_bump_arena_print(arena, "%s, %s", rf_changed(arena, table->blocks, "block"),
                               rf_changed(arena, table->bytes, "byte"));
  }
  return rf_bump_arena_print(arena, "%" PRId64 " %s, %" PRId64 " %s", table->blocks,
                             rf_noun(arena, (uint64_t)table->blocks, "block"), table->bytes,
                             rf_noun(arena, (uint64_t)table->bytes, "byte"));
}
