/* Records of the serial form whose last line has not arrived. */
#ifndef RINGFENCE_TOOLS_MODEL_SERIAL_OPEN_H
#define RINGFENCE_TOOLS_MODEL_SERIAL_OPEN_H

#include "tools/ringfence/model/serial.h"

enum { MODULES = 256, TRACES = 3 };

struct rf_serial_open {
  rf_serial_open *next;
  unsigned type;
  unsigned record;
  unsigned expected; /* index of the line that comes next */
  uint32_t crc;      /* of the line that came last */
  size_t lost;
  rf_record *finding; /* types other than text */
  rf_site *sites[TRACES];
  const char *modules[MODULES];
  const char *build_ids[MODULES];
  unsigned char frame_module[TRACES][RF_TRACE_DEPTH];
  bool has_module[TRACES][RF_TRACE_DEPTH];
  const char *text;
};

static inline uint64_t low_first(const unsigned char *bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size && i < 8; i++) {
    value |= (uint64_t)bytes[i] << (8 * i);
  }
  return value;
}

/* `before` and the piece after it, with "..." between them where lost lines may have held more. */
static inline const char *append(rf_bump_arena *arena, const char *before, const unsigned char *piece, size_t size,
                                 bool gap) {
  const char *const text = rf_bump_arena_text(arena, (const char *)piece, size);
  return before == NULL ? text : rf_bump_arena_print(arena, "%s%s%s", before, gap ? "..." : "", text);
}

static inline rf_stack *stack_of(rf_serial_open *r, unsigned which) {
  rf_stack *const stacks[TRACES] = {&r->finding->found, &r->finding->allocated, &r->finding->released};
  return stacks[which];
}

/* Reads the fields of a line; `gap`: lines were lost before it. */
void rf_serial_fields(rf_serial *s, rf_serial_open *r, const unsigned char *data, size_t size, bool gap);

#endif /* RINGFENCE_TOOLS_MODEL_SERIAL_OPEN_H */
