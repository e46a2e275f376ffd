#include "snapshot_sites.h"

#include <string.h>

#include "checkers/report/fnv.h"
#include "lib/core/compiler.h"

#define FRAMES_MOST (RF_SNAPSHOT_FRAMES / 4 * 3)
#define NO_MODULE (-1)
#define RESERVE ((size_t)128) /* for the members behind the sites */

/* ---- Frames that were written before ---- */

static uint32_t slot_of(const rf_snapshot_sites *w, uintptr_t pc) {
  uint32_t at = (uint32_t)((uint64_t)pc * 0x9E3779B97F4A7C15U >> 40) % RF_SNAPSHOT_FRAMES;
  while (w->frames[at].pc != 0 && w->frames[at].pc != pc) {
    at = (at + 1) % RF_SNAPSHOT_FRAMES;
  }
  return at;
}

/* The frames that were added last go first: open addressing takes that. */
static void take_back(rf_snapshot_sites *w) {
  while (w->added_count != 0) {
    w->frames[w->added[--w->added_count]].pc = 0;
    w->frame_count--;
  }
}

/* ---- Frames ---- */

static void put_module(rf_snapshot_sites *w, const rf_frame_name *name) {
  uint64_t const sum = rf_fnv_text(rf_fnv_text(RF_FNV_START, name->module), name->build_id);
  uint32_t number = 0;
  while (number < w->module_count && w->modules[number] != sum) {
    number++;
  }
  if (number < w->module_count) {
    rf_json_put_unsigned(w->json, NULL, number);
    return;
  }
  if (number == RF_SNAPSHOT_MODULES) {
    rf_json_put_number(w->json, NULL, NO_MODULE);
    return;
  }
  w->modules[w->module_count++] = sum;
  rf_json_open(w->json, NULL, "{");
  rf_json_put_text(w->json, "path", name->module);
  rf_json_put_text(w->json, "build_id", name->build_id);
  rf_json_close(w->json, "}");
}

static void put_names(rf_json_writer *json, const char *function, const char *file, unsigned line) {
  rf_json_put_text(json, NULL, function == NULL && file != NULL ? "" : function);
  if (file != NULL) {
    rf_json_put_text(json, NULL, file);
    rf_json_put_unsigned(json, NULL, line);
  }
}

static void put_unplaced(rf_json_writer *json, uint64_t address) {
  rf_json_put_number(json, NULL, NO_MODULE);
  rf_json_put_address(json, NULL, address);
}

/* `site`: of a checked build's call; else NULL. */
static void put_new_frame(rf_snapshot_sites *w, uintptr_t pc, const rf_site *site) {
  rf_frame_name name;
  memset(&name, 0, sizeof name);
  rf_json_open(w->json, NULL, "[");
  if (site != NULL) {
    put_unplaced(w->json, 0);
    put_names(w->json, site->function, site->file, site->line);
  } else if (w->symbolizer != NULL && w->symbolizer->name(w->symbolizer->context, pc, 0, &name) &&
             name.module != NULL) {
    put_module(w, &name);
    rf_json_put_address(w->json, NULL, name.offset);
    put_names(w->json, name.function, name.file, name.line);
  } else {
    put_unplaced(w->json, name.offset != 0 ? name.offset : pc); /* a call of `ringfence import` is a number */
    put_names(w->json, name.function, name.file, name.line);
  }
  rf_json_close(w->json, "]");
}

/* False where the table is full. */
static bool put_frame(rf_snapshot_sites *w, uintptr_t pc, const rf_site *site) {
  uintptr_t const key = pc != 0 ? pc : 1;
  uint32_t const at = slot_of(w, key);
  if (w->frames[at].pc != 0) {
    rf_json_put_unsigned(w->json, NULL, w->frames[at].number);
    return true;
  }
  if (w->frame_count >= FRAMES_MOST) {
    return false;
  }
  w->frames[at] = (rf_snapshot_frame){key, w->frame_count++};
  w->added[w->added_count++] = (uint16_t)at;
  put_new_frame(w, pc, site);
  return true;
}

/* ---- Sites ---- */

static bool put_site(rf_snapshot_sites *w, const rf_snapshot_site *site) {
  const rf_trace *const t = &site->allocated;
  bool fits = true;
  rf_json_open(w->json, NULL, "[");
  rf_json_put_unsigned(w->json, NULL, site->bytes);
  rf_json_put_unsigned(w->json, NULL, site->blocks);
  rf_json_open(w->json, NULL, "[");
  if (t->site != NULL) {
    fits = put_frame(w, (uintptr_t)t->site, t->site);
  }
  for (unsigned i = 0; i < t->depth && i < RF_TRACE_DEPTH && fits; i++) {
    fits = put_frame(w, t->frames[i], NULL);
  }
  rf_json_close(w->json, "]");
  rf_json_close(w->json, "]");
  return fits && w->out->length + RESERVE + 2 <= w->out->capacity;
}

/* Leaves no trace of a site that does not fit. */
static bool put_whole_site(rf_snapshot_sites *w, const rf_snapshot_site *site) {
  rf_json_writer const json = *w->json;
  size_t const length = w->out->length;
  uint32_t const modules = w->module_count;
  w->added_count = 0;
  if (put_site(w, site)) {
    return true;
  }
  take_back(w);
  w->module_count = modules;
  w->out->length = length;
  w->out->data[length] = '\0';
  *w->json = json;
  return false;
}

RF_COLD void rf_snapshot_sites_write(rf_snapshot_sites *w, rf_json_writer *json, const rf_snapshot_site *const *sites,
                                     size_t count, size_t omitted_blocks, size_t omitted_bytes) {
  size_t written = 0;
  w->json = json;
  rf_json_open(json, "sites", "[");
  while (written < count && put_whole_site(w, sites[written])) {
    written++;
  }
  rf_json_close(json, "]");
  for (size_t i = written; i < count; i++) {
    omitted_blocks += sites[i]->blocks;
    omitted_bytes += sites[i]->bytes;
  }
  rf_json_put_unsigned(json, "omitted_blocks", omitted_blocks);
  rf_json_put_unsigned(json, "omitted_bytes", omitted_bytes);
}
