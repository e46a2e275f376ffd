#include "tools/service/intake/heap_snapshot.h"

#include "checkers/report/fnv.h"
#include "tools/service/intake/envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---- */

static int64_t bounded(int64_t value) {
  return value < 0 ? 0 : value > RF_NUMBER_MOST ? RF_NUMBER_MOST : value;
}

static int64_t number_of(const rf_json *value) {
  return value != NULL && value->type == RF_JSON_NUMBER ? bounded(strtoll(value->text, NULL, 10)) : 0;
}

static int64_t member_of(const rf_json *object, const char *name) {
  return number_of(rf_json_member(object, name));
}

static const char *text_of(const rf_json *value) {
  return value != NULL && value->type == RF_JSON_STRING && value->text[0] != '\0' ? value->text : NULL;
}

static const rf_json *list_of(const rf_json *value) {
  return value != NULL && value->type == RF_JSON_ARRAY ? value->first : NULL;
}

typedef struct module {
  const char *path;
  const char *build_id;
} module;

typedef struct reader {
  rf_bump_arena *arena;
  rf_heap_snapshot *s;
  module *modules;
  size_t module_count;
} reader;

/* A number names a module that came before; an object is a new one. */
static module module_of(reader *r, const rf_json *value) {
  static module const none = {NULL, NULL};
  if (value == NULL) {
    return none;
  }
  if (value->type == RF_JSON_OBJECT && r->module_count < RF_HEAP_FRAMES) {
    module const m = {text_of(rf_json_member(value, "path")), text_of(rf_json_member(value, "build_id"))};
    RF_APPENDED(r->arena, r->modules, r->module_count) = m;
    return m;
  }
  bool const known = value->type == RF_JSON_NUMBER && value->text[0] != '-';
  uint64_t const index = known ? (uint64_t)number_of(value) : UINT64_MAX;
  return index < r->module_count ? r->modules[index] : none;
}

/* [module, "offset", "function", "file", line], the last three where they are known. */
static void add_frame(reader *r, const rf_json *value) {
  const rf_json *const of_module = value->first;
  const rf_json *const offset = of_module == NULL ? NULL : of_module->next;
  const rf_json *const function = offset == NULL ? NULL : offset->next;
  const rf_json *const file = function == NULL ? NULL : function->next;
  module const m = module_of(r, of_module);
  rf_frame f = {.module = m.path,
                .build_id = m.build_id,
                .offset = text_of(offset) == NULL ? 0 : strtoull(offset->text, NULL, 16),
                .function = text_of(function)};
  f.address = m.path == NULL ? f.offset : 0;
  if (text_of(file) != NULL) {
    int64_t const line = number_of(file->next);
    RF_APPENDED(r->arena, f.sources, f.source_count) =
        (rf_source){f.function, file->text, line > INT32_MAX ? 0 : (unsigned)line};
  }
  RF_APPENDED(r->arena, r->s->frames, r->s->frame_count) = f;
}

/* The index of the frame; false where it is none. */
static bool frame_of(reader *r, const rf_json *value, uint32_t *index) {
  if (value->type == RF_JSON_ARRAY && r->s->frame_count < RF_HEAP_FRAMES) {
    *index = (uint32_t)r->s->frame_count;
    add_frame(r, value);
    return true;
  }
  int64_t const at = value->type == RF_JSON_NUMBER ? strtoll(value->text, NULL, 10) : -1;
  *index = (uint32_t)at;
  return at >= 0 && (uint64_t)at < r->s->frame_count;
}

/* [bytes, blocks, [frame, ...]] */
static void add_site(reader *r, const rf_json *value) {
  const rf_json *const bytes = list_of(value);
  const rf_json *const blocks = bytes == NULL ? NULL : bytes->next;
  rf_heap_site site = {.bytes = number_of(bytes), .blocks = number_of(blocks)};
  uint32_t stack[RF_HEAP_DEPTH];
  const rf_json *f = blocks == NULL ? NULL : list_of(blocks->next);
  for (; f != NULL && site.depth < RF_HEAP_DEPTH; f = f->next) {
    site.depth += frame_of(r, f, &stack[site.depth]);
  }
  site.stack = (uint32_t *)rf_bump_arena_array(r->arena, site.depth + 1, sizeof *site.stack);
  memcpy(site.stack, stack, site.depth * sizeof *stack);
  RF_APPENDED(r->arena, r->s->sites, r->s->site_count) = site;
}

static void read_sizes(reader *r, const rf_json *list) {
  for (const rf_json *row = list_of(list); row != NULL && r->s->size_count < RF_HEAP_SIZES; row = row->next) {
    const rf_json *const least = list_of(row);
    const rf_json *const blocks = least == NULL ? NULL : least->next;
    RF_APPENDED(r->arena, r->s->sizes, r->s->size_count) =
        (rf_heap_size){number_of(least), number_of(blocks), blocks == NULL ? 0 : number_of(blocks->next)};
  }
}

static void read_map(reader *r, const rf_json *map) {
  size_t left = RF_HEAP_CELLS;
  r->s->cell = member_of(map, "cell");
  for (const rf_json *p = rf_json_list(map, "parts"); p != NULL && left != 0; p = p->next) {
    const rf_json *const address = list_of(p);
    rf_heap_part part = {.address = text_of(address) == NULL ? "" : address->text};
    const rf_json *cell = address == NULL ? NULL : list_of(address->next);
    for (; cell != NULL && left != 0; cell = cell->next, left--) {
      RF_APPENDED(r->arena, part.live, part.count) = number_of(cell);
    }
    left -= part.count == 0; /* an empty part counts as well */
    if (part.count != 0) {
      RF_APPENDED(r->arena, r->s->parts, r->s->part_count) = part;
    }
  }
}

static int by_bytes(const void *a, const void *b) {
  const rf_heap_site *const left = (const rf_heap_site *)a;
  const rf_heap_site *const right = (const rf_heap_site *)b;
  if (left->bytes != right->bytes) {
    return left->bytes < right->bytes ? 1 : -1;
  }
  return (left->blocks < right->blocks) - (left->blocks > right->blocks);
}

rf_heap_snapshot *rf_heap_snapshot_read(rf_bump_arena *arena, const rf_json *object) {
  if (object == NULL || object->type != RF_JSON_OBJECT) {
    return NULL;
  }
  rf_heap_snapshot *const s = (rf_heap_snapshot *)rf_bump_arena_alloc(arena, sizeof *s);
  reader r = {.arena = arena, .s = s};
  *s = (rf_heap_snapshot){
      .name = rf_bump_arena_print(arena, "%.200s", rf_json_text(object, "name", "snapshot")),
      .allocator = rf_bump_arena_print(arena, "%.200s", rf_json_text(object, "allocator", "malloc")),
      .blocks = member_of(object, "blocks"),
      .bytes = member_of(object, "bytes"),
      .peak = member_of(object, "peak"),
      .resident = member_of(object, "resident"),
      .omitted_blocks = member_of(object, "omitted_blocks"),
      .omitted_bytes = member_of(object, "omitted_bytes"),
  };
  const rf_json *site = rf_json_list(object, "sites");
  for (; site != NULL && s->site_count < RF_HEAP_SITES; site = site->next) {
    add_site(&r, site);
  }
  if (s->site_count > 1) {
    qsort(s->sites, s->site_count, sizeof *s->sites, by_bytes);
  }
  read_sizes(&r, rf_json_member(object, "sizes"));
  read_map(&r, rf_json_member(object, "map"));
  return s;
}

/* ---- Differences ---- */

static uint64_t sum_number(uint64_t sum, uint64_t value) {
  return rf_fnv_bytes(sum, &value, sizeof value);
}

static uint64_t frame_sum(const rf_frame *f) {
  uint64_t sum = RF_FNV_START;
  if (f->module != NULL) {
    return sum_number(rf_fnv_text(sum, f->module), f->offset);
  }
  sum = sum_number(rf_fnv_text(sum, f->function), f->address);
  return f->source_count == 0 ? sum : sum_number(rf_fnv_text(sum, f->sources[0].file), f->sources[0].line);
}

static uint64_t *frame_sums(rf_bump_arena *arena, const rf_heap_snapshot *s) {
  uint64_t *const sums = (uint64_t *)rf_bump_arena_array(arena, s->frame_count + 1, sizeof *sums);
  for (size_t i = 0; i < s->frame_count; i++) {
    sums[i] = frame_sum(&s->frames[i]);
  }
  return sums;
}

static uint64_t site_sum(const rf_heap_site *site, const uint64_t *frames) {
  uint64_t sum = RF_FNV_START;
  for (uint32_t i = 0; i < site->depth; i++) {
    sum = sum_number(sum, frames[site->stack[i]]);
  }
  return sum == 0 ? 1 : sum;
}

typedef struct site_slot {
  uint64_t sum; /* 0: free */
  size_t index;
} site_slot;

typedef struct site_table {
  site_slot *slots;
  size_t mask;
} site_table;

static site_slot *slot_of(const site_table *t, uint64_t sum) {
  size_t at = (size_t)sum & t->mask;
  while (t->slots[at].sum != 0 && t->slots[at].sum != sum) {
    at = (at + 1) & t->mask;
  }
  return &t->slots[at];
}

static site_table table_for(rf_bump_arena *arena, size_t count) {
  size_t size = 16;
  while (size < 2 * count) {
    size *= 2;
  }
  return (site_table){(site_slot *)rf_bump_arena_array(arena, size, sizeof(site_slot)), size - 1};
}

/* A site that is gone: its frames are appended to those of `later`. */
static void add_gone(rf_bump_arena *arena, rf_heap_snapshot *later, const rf_heap_snapshot *earlier,
                     const rf_heap_site *site) {
  rf_heap_site gone = {.more_bytes = -site->bytes, .more_blocks = -site->blocks, .depth = site->depth};
  gone.stack = (uint32_t *)rf_bump_arena_array(arena, site->depth + 1, sizeof *gone.stack);
  for (uint32_t i = 0; i < site->depth; i++) {
    gone.stack[i] = (uint32_t)later->frame_count;
    RF_APPENDED(arena, later->frames, later->frame_count) = earlier->frames[site->stack[i]];
  }
  RF_APPENDED(arena, later->sites, later->site_count) = gone;
}

static int by_growth(const void *a, const void *b) {
  const rf_heap_site *const left = (const rf_heap_site *)a;
  const rf_heap_site *const right = (const rf_heap_site *)b;
  if (left->more_bytes != right->more_bytes) {
    bool const both_shrink = left->more_bytes < 0 && right->more_bytes < 0;
    return (left->more_bytes > right->more_bytes) == both_shrink ? 1 : -1;
  }
  return (left->more_blocks < right->more_blocks) - (left->more_blocks > right->more_blocks);
}

void rf_heap_snapshot_since(rf_bump_arena *arena, const rf_heap_snapshot *earlier, rf_heap_snapshot *later) {
  const uint64_t *const now = frame_sums(arena, later);
  const uint64_t *const before = frame_sums(arena, earlier);
  site_table const table = table_for(arena, later->site_count);
  for (size_t i = 0; i < later->site_count; i++) {
    uint64_t const sum = site_sum(&later->sites[i], now);
    *slot_of(&table, sum) = (site_slot){sum, i};
    later->sites[i].more_bytes = later->sites[i].bytes;
    later->sites[i].more_blocks = later->sites[i].blocks;
  }
  for (size_t i = 0; i < earlier->site_count; i++) {
    const rf_heap_site *const site = &earlier->sites[i];
    const site_slot *const slot = slot_of(&table, site_sum(site, before));
    if (slot->sum == 0) {
      add_gone(arena, later, earlier, site);
    } else {
      later->sites[slot->index].more_bytes -= site->bytes;
      later->sites[slot->index].more_blocks -= site->blocks;
    }
  }
  if (later->site_count > 1) {
    qsort(later->sites, later->site_count, sizeof *later->sites, by_growth);
  }
}
