#include "snapshot_sites.h"

#include <ringfence/report_json.h>
#include <string.h>

#define FRAMES_MOST (RF_SNAPSHOT_FRAMES / 4 * 3)
#define NO_MODULE (-1)

/* ---- What was written before ---- */

static uint32_t slot_of(const rf_snapshot_sites *w, uintptr_t pc) {
  uint32_t at = (uint32_t)((uint64_t)pc * 0x9E3779B97F4A7C15U >> 40) % RF_SNAPSHOT_FRAMES;
  while (w->frames[at].pc != 0 && w->frames[at].pc != pc) {
    at = (at + 1) % RF_SNAPSHOT_FRAMES;
  }
  return at;
}

static uint64_t checksum(uint64_t sum, const char *text) {
  for (; text != NULL && *text != '\0'; text++) {
    sum = (sum ^ (unsigned char)*text) * 0x100000001B3U;
  }
  return sum * 0x100000001B3U;
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
  const rf_sink *const sink = &w->out->sink;
  uint64_t const sum = checksum(checksum(0xCBF29CE484222325U, name->module), name->build_id);
  uint32_t number = 0;
  while (number < w->module_count && w->modules[number] != sum) {
    number++;
  }
  if (number < w->module_count) {
    rf_sink_uint(sink, number);
    return;
  }
  if (number == RF_SNAPSHOT_MODULES) {
    rf_sink_int(sink, NO_MODULE);
    return;
  }
  w->modules[w->module_count++] = sum;
  rf_sink_str(sink, "{\"path\":");
  rf_json_string(name->module, sink);
  if (name->build_id != NULL) {
    rf_sink_str(sink, ",\"build_id\":");
    rf_json_string(name->build_id, sink);
  }
  rf_sink_char(sink, '}');
}

static void put_names(const rf_sink *sink, const char *function, const char *file, unsigned line) {
  if (function != NULL || file != NULL) {
    rf_sink_char(sink, ',');
    rf_json_string(function != NULL ? function : "", sink);
  }
  if (file != NULL) {
    rf_sink_char(sink, ',');
    rf_json_string(file, sink);
    rf_sink_char(sink, ',');
    rf_sink_uint(sink, line);
  }
}

static void put_address(const rf_sink *sink, uint64_t address) {
  rf_sink_str(sink, ",\"");
  rf_sink_hex(sink, address, 1);
  rf_sink_char(sink, '"');
}

/* `site`: of a checked build's call; else NULL. */
static void put_new_frame(rf_snapshot_sites *w, uintptr_t pc, const rf_site *site) {
  const rf_sink *const sink = &w->out->sink;
  rf_frame_name name;
  memset(&name, 0, sizeof name);
  rf_sink_char(sink, '[');
  if (site != NULL) {
    rf_sink_int(sink, NO_MODULE);
    put_address(sink, 0);
    put_names(sink, site->function, site->file, site->line);
  } else if (w->symbolizer != NULL && w->symbolizer->name(w->symbolizer->context, pc, 0, &name) &&
             name.module != NULL) {
    put_module(w, &name);
    put_address(sink, name.offset);
    put_names(sink, name.function, name.file, name.line);
  } else {
    rf_sink_int(sink, NO_MODULE);
    put_address(sink, pc);
    put_names(sink, name.function, name.file, name.line);
  }
  rf_sink_char(sink, ']');
}

/* False where the table is full. */
static bool put_frame(rf_snapshot_sites *w, uintptr_t pc, const rf_site *site) {
  uintptr_t const key = pc != 0 ? pc : 1;
  uint32_t const at = slot_of(w, key);
  if (w->frames[at].pc != 0) {
    rf_sink_uint(&w->out->sink, w->frames[at].number);
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
  const rf_sink *const sink = &w->out->sink;
  const rf_trace *const t = &site->allocated;
  bool fits = true;
  rf_sink_char(sink, '[');
  rf_sink_uint(sink, site->bytes);
  rf_sink_char(sink, ',');
  rf_sink_uint(sink, site->blocks);
  rf_sink_str(sink, ",[");
  if (t->site != NULL) {
    fits = put_frame(w, (uintptr_t)t->site, t->site);
  }
  for (unsigned i = 0; i < t->depth && i < RF_TRACE_DEPTH && fits; i++) {
    rf_sink_str(sink, i == 0 && t->site == NULL ? "" : ",");
    fits = put_frame(w, t->frames[i], NULL);
  }
  rf_sink_str(sink, "]]");
  return fits;
}

size_t rf_snapshot_sites_write(rf_snapshot_sites *w, const rf_snapshot_site *const *sites, size_t count,
                               size_t reserve) {
  size_t written = 0;
  rf_sink_char(&w->out->sink, '[');
  while (written < count) {
    size_t const before = w->out->length;
    uint32_t const modules = w->module_count;
    w->added_count = 0;
    rf_sink_str(&w->out->sink, written == 0 ? "" : ",");
    if (!put_site(w, sites[written]) || w->out->length + reserve + 2 > w->out->capacity) {
      take_back(w);
      w->module_count = modules;
      w->out->length = before;
      w->out->data[before] = '\0';
      break;
    }
    written++;
  }
  rf_sink_char(&w->out->sink, ']');
  return written;
}
