/* Coverage of checking: programs and modules that ran, in which mode and how long, and the call sites of a module. */
#include "tools/service/query/query.h"

#include "tools/service/intake/names.h"

#include <inttypes.h>
#include <ringfence/frames.h>
#include <string.h>

enum { ROWS_LISTED = 200, SITES_LISTED = 200, PROGRAMS_LISTED = 20 };

/* ---- Programs ---- */

/* Each row of the list has its own of these. */
#define ROW "u.program, u.build, u.mode, u.environment"

static void put_programs(rf_query *q, int64_t limit, int64_t offset) {
  static const char sql[] =
      "SELECT p.text, b.name, m.text, e.text, sum(u.processes), sum(u.seconds), total(u.allocations), sum(u.findings),"
      " sum(u.dropped), sum(u.killed), max(u.day) * 86400000 FROM usage u JOIN name p ON p.id = u.program JOIN build"
      " b ON b.id = u.build JOIN name m ON m.id = u.mode JOIN name e ON e.id = u.environment GROUP BY " ROW
      " ORDER BY max(u.day) DESC, sum(u.seconds) DESC, " ROW " LIMIT ? OFFSET ?";
  rf_query_put_rows(
      q, "coverage", rf_store_select(q->store, sql, "ii", limit, offset),
      "program build mode environment processes# hours~ allocations# findings# dropped# killed# last_day@");
}

/* ---- Modules ---- */

#define MODULE_COLUMNS                                                                                                 \
  "SELECT m.id, m.path, m.build_id, coalesce(b.name, ''), coalesce(b.version, ''), m.first_seen, m.last_seen, "        \
  "m.sites,"                                                                                                           \
  " m.watched FROM module m LEFT JOIN (SELECT build_id, max(id) AS id FROM build WHERE build_id <> '' GROUP BY"        \
  " build_id) l ON l.build_id = m.build_id LEFT JOIN build b ON b.id = l.id "

/* Hours and processes in each mode, the longest first. */
static void put_modes(rf_query *q, int64_t module) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT n.text, sum(u.processes), sum(u.seconds) FROM module_usage u JOIN"
                                          " name n ON n.id = u.mode WHERE u.module = ? GROUP BY u.mode ORDER BY 3 DESC",
                                          "i", module);
  rf_query_put_rows(q, "modes", s, "mode processes# hours~");
}

static void put_module(rf_query *q, sqlite3_stmt *s) {
  rf_query_put_columns(q, s, 0, "id# path build_id build version first_seen@ last_seen@ sites# watched#");
  put_modes(q, sqlite3_column_int64(s, 0));
}

#define CHOSEN "WHERE ?1 IS NULL OR instr(m.path, ?1) > 0"

static void put_modules(rf_query *q, const char *path, int64_t limit, int64_t offset) {
  sqlite3_stmt *const s = rf_store_select(
      q->store, MODULE_COLUMNS CHOSEN " ORDER BY m.last_seen DESC, m.sites DESC, m.id LIMIT ?2 OFFSET ?3", "tii", path,
      limit, offset);
  rf_json_open(&q->w, "modules", "[");
  while (rf_store_row(q->store, s)) {
    rf_json_open(&q->w, NULL, "{");
    put_module(q, s);
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

static void put_sum(rf_query *q, const char *name, const char *sql, const char *path) {
  rf_json_put_number(&q->w, name, rf_store_number(q->store, 0, sql, "t", path));
}

bool rf_query_coverage(rf_query *q, const rf_coverage_filter *filter) {
  const char *const module = filter->module;
  int64_t const limit = rf_query_limit(filter->limit, ROWS_LISTED);
  rf_json_open(&q->w, NULL, "{");
  put_programs(q, limit, filter->offset);
  put_modules(q, module, limit, filter->offset);
  rf_json_put_number(&q->w, "program_count",
                     rf_store_number(q->store, 0, "SELECT count(*) FROM (SELECT 1 FROM usage u GROUP BY " ROW ")", ""));
  put_sum(q, "module_count", "SELECT count(*) FROM module m " CHOSEN, module);
  put_sum(q, "sites", "SELECT coalesce(sum(m.sites), 0) FROM module m " CHOSEN, module);
  put_sum(q, "watched", "SELECT coalesce(sum(m.watched), 0) FROM module m " CHOSEN, module);
  rf_json_put_text(&q->w, "module", module);
  rf_json_put_number(&q->w, "offset", filter->offset);
  rf_json_put_number(&q->w, "limit", limit);
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}

/* ---- The call sites of a module ---- */

static void put_programs_of(rf_query *q, int64_t module) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT n.text FROM module_usage u JOIN name n ON n.id = u.program WHERE"
                                          " u.module = ? GROUP BY u.program ORDER BY sum(u.seconds) DESC LIMIT ?",
                                          "ii", module, (int64_t)PROGRAMS_LISTED);
  rf_query_put_texts(q, "programs", s);
}

/* Inlined there, but none of the program's: "std::allocator<int>::allocate", "rf_alloc_at" of the header. */
static bool is_of_library(const char *function) {
  static const char *const starts[] = {"std::", "__gnu_cxx::", "rf_alloc_at"};
  bool of_library = rf_frame_is_runtime(NULL, function);
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    of_library = of_library || strncmp(function, starts[i], strlen(starts[i])) == 0;
  }
  return of_library;
}

/* The innermost function of the program, or else of all. */
static const rf_source *source_of(const rf_frame *f) {
  for (size_t i = 0; i < f->source_count; i++) {
    if (f->sources[i].function != NULL && !is_of_library(f->sources[i].function)) {
      return &f->sources[i];
    }
  }
  return f->source_count != 0 ? &f->sources[0] : NULL;
}

static void put_place(rf_query *q, const char *path, const char *build_id, int64_t offset) {
  rf_frame f = {.module = path, .build_id = build_id[0] == '\0' ? NULL : build_id, .offset = (uint64_t)offset};
  rf_names_frame(q->store, q->arena, &f);
  rf_json_put_text(&q->w, "offset", rf_bump_arena_print(q->arena, "0x%" PRIx64, (uint64_t)offset));
  const rf_source *const source = source_of(&f);
  if (source != NULL) {
    rf_json_put_text(&q->w, "function", source->function);
    rf_json_put_text(&q->w, "file", source->file);
    if (source->file != NULL) {
      rf_json_put_number(&q->w, "line", (int64_t)source->line);
    }
  }
}

/* In which modes blocks of the site were watched. */
static void put_watched(rf_query *q, int64_t module, int64_t offset) {
  sqlite3_stmt *const s = rf_store_select(q->store,
                                          "SELECT n.text, w.blocks, w.last_seen FROM site_watched w JOIN name n ON n.id"
                                          " = w.mode WHERE w.module = ? AND w.offset = ? ORDER BY w.blocks DESC",
                                          "ii", module, offset);
  rf_query_put_rows(q, "modes", s, "mode blocks# last_watched@");
}

/* `watched`: 0 or 1, -1 for all. */
static void put_sites(rf_query *q, const rf_sites_filter *f, int watched, const char *path, const char *build_id) {
  sqlite3_stmt *const s =
      rf_store_select(q->store,
                      "SELECT offset, processes, blocks, last_seen, last_watched FROM site WHERE module = ?1 AND (?2 < "
                      "0 OR (blocks > 0)"
                      " = ?2) ORDER BY blocks > 0, processes DESC, blocks DESC, offset LIMIT ?3 OFFSET ?4",
                      "iiii", f->module, (int64_t)watched, rf_query_limit(f->limit, SITES_LISTED), f->offset);
  rf_json_open(&q->w, "list", "[");
  while (rf_store_row(q->store, s)) {
    int64_t const offset = sqlite3_column_int64(s, 0);
    rf_json_open(&q->w, NULL, "{");
    put_place(q, path, build_id, offset);
    rf_query_put_columns(q, s, 1, "processes# blocks# last_seen@");
    if (sqlite3_column_int64(s, 2) != 0) {
      rf_query_put_time(q, "last_watched", sqlite3_column_int64(s, 4));
      put_watched(q, f->module, offset);
    }
    rf_json_close(&q->w, "}");
  }
  rf_json_close(&q->w, "]");
}

bool rf_query_sites(rf_query *q, const rf_sites_filter *f) {
  sqlite3_stmt *const s = rf_store_select(q->store, MODULE_COLUMNS "WHERE m.id = ?", "i", f->module);
  const char *const watched = f->watched == NULL ? "no" : f->watched;
  rf_json_open(&q->w, NULL, "{");
  if (!rf_store_row(q->store, s)) {
    rf_json_put_text(&q->w, "error", rf_bump_arena_print(q->arena, "there is no module %" PRId64, f->module));
  } else {
    const char *const path = rf_bump_arena_copy(q->arena, rf_store_text(s, 1));
    const char *const build_id = rf_bump_arena_copy(q->arena, rf_store_text(s, 2));
    int64_t const sites = sqlite3_column_int64(s, 7);
    int64_t const seen = sqlite3_column_int64(s, 8);
    put_module(q, s);
    rf_store_done(s);
    put_programs_of(q, f->module);
    rf_json_put_text(&q->w, "shown", watched);
    rf_json_put_number(&q->w, "total",
                       strcmp(watched, "all") == 0   ? sites
                       : strcmp(watched, "yes") == 0 ? seen
                                                     : sites - seen);
    rf_json_put_number(&q->w, "offset", f->offset);
    rf_json_put_number(&q->w, "limit", rf_query_limit(f->limit, SITES_LISTED));
    put_sites(q, f, strcmp(watched, "all") == 0 ? -1 : strcmp(watched, "yes") == 0, path, build_id);
  }
  rf_json_close(&q->w, "}");
  return !q->store->failed;
}
