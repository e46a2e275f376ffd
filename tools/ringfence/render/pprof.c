#include "tools/ringfence/render/pprof.h"

#include "checkers/report/crc32.h"
#include "tools/ringfence/model/frame_view.h"

#include <inttypes.h>
#include <string.h>

/* Numbers of fields in profile.proto. */
enum {
  PROFILE_SAMPLE_TYPE = 1,
  PROFILE_SAMPLE = 2,
  PROFILE_MAPPING = 3,
  PROFILE_LOCATION = 4,
  PROFILE_FUNCTION = 5,
  PROFILE_STRING = 6,
  PROFILE_TIME = 9,
  PROFILE_DEFAULT_TYPE = 14,
  VALUE_TYPE = 1,
  VALUE_UNIT = 2,
  SAMPLE_LOCATIONS = 1,
  SAMPLE_VALUES = 2,
  MAPPING_ID = 1,
  MAPPING_FILE = 5,
  MAPPING_BUILD_ID = 6,
  MAPPING_HAS_FUNCTIONS = 7,
  MAPPING_HAS_FILENAMES = 8,
  MAPPING_HAS_LINES = 9,
  LOCATION_ID = 1,
  LOCATION_MAPPING = 2,
  LOCATION_ADDRESS = 3,
  LOCATION_LINE = 4,
  LINE_FUNCTION = 1,
  LINE_LINE = 2,
  FUNCTION_ID = 1,
  FUNCTION_NAME = 2,
  FUNCTION_SYSTEM_NAME = 3,
  FUNCTION_FILE = 4,
  NUMBER = 0, /* wire types */
  BYTES = 2,
  STORED_MOST = 65535
};

/* ---- Messages ---- */

static void put_varint(const rf_sink *sink, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    rf_sink_char(sink, (char)(value | 0x80));
  }
  rf_sink_char(sink, (char)value);
}

static void put_number(const rf_sink *sink, unsigned field, uint64_t value) {
  put_varint(sink, field << 3 | NUMBER);
  put_varint(sink, value);
}

static void put_bytes(const rf_sink *sink, unsigned field, const char *bytes, size_t length) {
  put_varint(sink, field << 3 | BYTES);
  put_varint(sink, length);
  rf_sink_mem(sink, bytes, length);
}

static void put_message(rf_pprof *p, unsigned field, const rf_text_sink *message) {
  put_bytes(&p->out.sink, field, message->text, message->length);
}

static uint64_t string_of(rf_pprof *p, const char *text) {
  return rf_string_table_index(&p->strings, p->arena, text == NULL ? "" : text);
}

/* ---- Tables: each entry is written when it is first met ---- */

static uint64_t function_of(rf_pprof *p, const char *name, const char *file) {
  size_t const known = p->functions.count;
  size_t const index =
      rf_string_table_index(&p->functions, p->arena, rf_bump_arena_print(p->arena, "%s\n%s", name, file));
  if (index == known) {
    rf_text_sink m;
    rf_text_sink_init(&m, p->arena);
    put_number(&m.sink, FUNCTION_ID, index + 1);
    put_number(&m.sink, FUNCTION_NAME, string_of(p, name));
    put_number(&m.sink, FUNCTION_SYSTEM_NAME, string_of(p, name));
    put_number(&m.sink, FUNCTION_FILE, string_of(p, file));
    put_message(p, PROFILE_FUNCTION, &m);
  }
  return index + 1;
}

static uint64_t mapping_of(rf_pprof *p, const char *module, const char *build_id) {
  size_t const known = p->mappings.count;
  if (module == NULL) {
    return 0;
  }
  size_t const index =
      rf_string_table_index(&p->mappings, p->arena, rf_bump_arena_print(p->arena, "%s\n%s", module, build_id));
  if (index == known) {
    rf_text_sink m;
    rf_text_sink_init(&m, p->arena);
    put_number(&m.sink, MAPPING_ID, index + 1);
    put_number(&m.sink, MAPPING_FILE, string_of(p, module));
    put_number(&m.sink, MAPPING_BUILD_ID, string_of(p, build_id));
    for (unsigned field = MAPPING_HAS_FUNCTIONS; field <= MAPPING_HAS_LINES; field++) {
      put_number(&m.sink, field, 1);
    }
    put_message(p, PROFILE_MAPPING, &m);
  }
  return index + 1;
}

static const char *name_of(rf_bump_arena *arena, const rf_frame_view *f) {
  const char *const place = f->module == NULL ? rf_bump_arena_print(arena, "0x%" PRIx64, f->address)
                                              : rf_bump_arena_print(arena, "%s+0x%" PRIx64, f->module, f->offset);
  return f->function != NULL ? f->function : place;
}

static uint64_t location_of(rf_pprof *p, const rf_frame_view *f) {
  const char *const build_id = f->build_id == NULL ? "" : f->build_id;
  uint64_t const function = function_of(p, name_of(p->arena, f), f->file == NULL ? "" : f->file);
  uint64_t const mapping = mapping_of(p, f->module, build_id);
  uint64_t const address = f->module != NULL ? f->offset : f->address;
  size_t const known = p->locations.count;
  size_t const index = rf_string_table_index(
      &p->locations, p->arena,
      rf_bump_arena_print(p->arena, "%" PRIu64 " %" PRIu64 " %" PRIx64 " %u", function, mapping, address, f->line));
  if (index == known) {
    rf_text_sink m;
    rf_text_sink line;
    rf_text_sink_init(&m, p->arena);
    rf_text_sink_init(&line, p->arena);
    put_number(&line.sink, LINE_FUNCTION, function);
    put_number(&line.sink, LINE_LINE, f->line);
    put_number(&m.sink, LOCATION_ID, index + 1);
    put_number(&m.sink, LOCATION_MAPPING, mapping);
    put_number(&m.sink, LOCATION_ADDRESS, address);
    put_bytes(&m.sink, LOCATION_LINE, line.text, line.length);
    put_message(p, PROFILE_LOCATION, &m);
  }
  return index + 1;
}

/* ---- Samples ---- */

void rf_pprof_init(rf_pprof *p, rf_bump_arena *arena, const rf_pprof_type *types, size_t type_count) {
  *p = (rf_pprof){.arena = arena, .types = types, .type_count = type_count};
  rf_text_sink_init(&p->out, arena);
  (void)string_of(p, "");
  for (size_t i = 0; i < type_count; i++) {
    rf_text_sink m;
    rf_text_sink_init(&m, arena);
    put_number(&m.sink, VALUE_TYPE, string_of(p, types[i].name));
    put_number(&m.sink, VALUE_UNIT, string_of(p, types[i].unit));
    put_message(p, PROFILE_SAMPLE_TYPE, &m);
  }
}

void rf_pprof_add(rf_pprof *p, const rf_record *record, const int64_t *values) {
  static const rf_frame_view unknown = {.function = "(call site not recorded)"};
  rf_stack_view const stack = rf_stack_view_of(p->arena, record, RF_STACK_ALLOCATED);
  rf_text_sink m;
  rf_text_sink locations;
  rf_text_sink numbers;
  rf_text_sink_init(&m, p->arena);
  rf_text_sink_init(&locations, p->arena);
  rf_text_sink_init(&numbers, p->arena);
  for (size_t i = 0; i < stack.count; i++) {
    put_varint(&locations.sink, location_of(p, &stack.list[i]));
  }
  if (stack.count == 0) {
    put_varint(&locations.sink, location_of(p, &unknown));
  }
  for (size_t i = 0; i < p->type_count; i++) {
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): there is a value of each type */
    put_varint(&numbers.sink, (uint64_t)values[i]);
  }
  put_bytes(&m.sink, SAMPLE_LOCATIONS, locations.text, locations.length);
  put_bytes(&m.sink, SAMPLE_VALUES, numbers.text, numbers.length);
  put_message(p, PROFILE_SAMPLE, &m);
}

/* ---- The file ---- */

static void put_low_first(const rf_sink *sink, uint32_t value, unsigned size) {
  for (unsigned i = 0; i < size; i++) {
    rf_sink_char(sink, (char)(value >> 8 * i));
  }
}

/* Stored, not compressed: profiles are small, and no library is needed. */
static void put_gzip(const char *text, size_t length, const rf_sink *sink) {
  static const char head[] = {'\x1f', '\x8b', 8, 0, 0, 0, 0, 0, 0, '\xff'};
  rf_sink_mem(sink, head, sizeof head);
  for (size_t at = 0; at < length || at == 0;) {
    size_t const size = length - at < STORED_MOST ? length - at : STORED_MOST;
    rf_sink_char(sink, (char)(at + size == length));
    put_low_first(sink, (uint32_t)size, 2);
    put_low_first(sink, ~(uint32_t)size, 2);
    rf_sink_mem(sink, text + at, size);
    at += size;
    if (size == 0) {
      break;
    }
  }
  put_low_first(sink, rf_crc32(0, text, length), 4);
  put_low_first(sink, (uint32_t)length, 4);
}

void rf_pprof_put(rf_pprof *p, int64_t time_ns, const rf_sink *sink) {
  if (time_ns != 0) {
    put_number(&p->out.sink, PROFILE_TIME, (uint64_t)time_ns);
  }
  put_number(&p->out.sink, PROFILE_DEFAULT_TYPE, string_of(p, p->types[p->type_count - 1].name));
  for (size_t i = 0; i < p->strings.count; i++) {
    put_bytes(&p->out.sink, PROFILE_STRING, p->strings.strings[i], strlen(p->strings.strings[i]));
  }
  put_gzip(p->out.text, p->out.length, sink);
}

/* ---- Snapshots ---- */

/* By a later snapshot; a difference does not count. */
static bool is_superseded(rf_snapshot_table *const *tables, size_t count, size_t at) {
  for (size_t i = at; i < count; i++) {
    bool const later = i > at && tables[i]->since == NULL;
    if (tables[at]->since != NULL || (later && rf_snapshot_table_is_alike(tables[i], tables[at]))) {
      return true;
    }
  }
  return false;
}

void rf_pprof_snapshots(rf_bump_arena *arena, rf_snapshot_table *const *tables, size_t count, int64_t time_ns,
                        const rf_sink *sink) {
  static const rf_pprof_type types[] = {{"inuse_objects", "count"}, {"inuse_space", "bytes"}};
  rf_pprof p;
  rf_pprof_init(&p, arena, types, sizeof types / sizeof types[0]);
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < tables[i]->count && !is_superseded(tables, count, i); k++) {
      const rf_snapshot_row *const row = &tables[i]->rows[k];
      int64_t const values[] = {row->blocks, row->bytes};
      rf_pprof_add(&p, row->origin, values);
    }
  }
  rf_pprof_put(&p, time_ns, sink);
}
