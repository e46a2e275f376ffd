#include "tools/ringfence/base/sinks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* ferror does not tell the reason, and later calls have another errno. */
static const FILE *failed_file;
static int failed_because;

void rf_file_put(FILE *file, const char *text, size_t length) {
  bool const is_first = ferror(file) == 0;
  if (fwrite(text, 1, length, file) != length && is_first) {
    failed_file = file;
    failed_because = errno;
  }
}

int rf_file_error(FILE *file) {
  return ferror(file) == 0 ? 0 : failed_file == file ? failed_because : EIO;
}

static void to_file(void *context, const char *text, size_t length) {
  rf_file_put((FILE *)context, text, length);
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

void rf_print_clean(const char *format, ...) {
  rf_bump_arena arena = {NULL};
  rf_sink const out = rf_file_sink(stdout);
  rf_sink const clean = rf_clean_sink(&out);
  va_list arguments;
  va_start(arguments, format);
  rf_sink_str(&clean, rf_bump_arena_vprint(&arena, format, arguments));
  va_end(arguments);
  rf_bump_arena_free(&arena);
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
