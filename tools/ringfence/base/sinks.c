#include "tools/ringfence/base/sinks.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static void to_file(void *context, const char *text, size_t length) {
  (void)fwrite(text, 1, length, (FILE *)context);
}

rf_sink rf_file_sink(FILE *file) {
  return (rf_sink){to_file, file};
}

static void to_nowhere(void *context, const char *text, size_t length) {
  (void)context;
  (void)text;
  (void)length;
}

rf_sink rf_null_sink(void) {
  return (rf_sink){to_nowhere, NULL};
}

/* Bytes at `at` that are one control character; 0: it is none. */
static size_t control_bytes(const unsigned char *at, size_t left) {
  bool const c0 = (at[0] < 0x20 && at[0] != '\n' && at[0] != '\t') || at[0] == 0x7F;
  bool const c1 = at[0] == 0xC2 && left > 1 && at[1] >= 0x80 && at[1] < 0xA0;
  return c1 ? 2 : c0;
}

static void to_clean(void *context, const char *text, size_t length) {
  const rf_sink *const to = (const rf_sink *)context;
  size_t start = 0;
  for (size_t i = 0; i < length;) {
    size_t const bytes = control_bytes((const unsigned char *)text + i, length - i);
    if (bytes != 0) {
      rf_sink_mem(to, text + start, i - start);
      rf_sink_char(to, '?');
      start = i + bytes;
    }
    i += bytes != 0 ? bytes : 1;
  }
  rf_sink_mem(to, text + start, length - start);
}

rf_sink rf_clean_sink(const rf_sink *to) {
  return (rf_sink){to_clean, (void *)(uintptr_t)to};
}

static void to_memory(void *context, const char *text, size_t length) {
  rf_text_sink *const t = (rf_text_sink *)context;
  if (length >= t->room - t->length) {
    t->room = 2 * (t->room + length);
    char *const larger = (char *)rf_bump_arena_alloc(t->arena, t->room);
    memcpy(larger, t->text, t->length);
    t->text = larger;
  }
  memcpy(t->text + t->length, text, length);
  t->length += length;
  t->text[t->length] = '\0';
}

void rf_text_sink_init(rf_text_sink *t, rf_bump_arena *arena) {
  enum { FIRST = 512 };
  *t = (rf_text_sink){{to_memory, t}, arena, (char *)rf_bump_arena_alloc(arena, FIRST), 0, FIRST};
}

void rf_text_sink_clear(rf_text_sink *t) {
  t->length = 0;
  t->text[0] = '\0';
}
