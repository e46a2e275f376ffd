#include "tools/ringfence/base/clean_sink.h"

#include "checkers/report/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes at `at` that are one character; 0: they are no UTF-8. */
static size_t character_bytes(const unsigned char *at, size_t left) {
  unsigned char copy[5] = {0}; /* ends with a NUL, as rf_utf8_length wants it */
  memcpy(copy, at, left < 4 ? left : 4);
  return at[0] == '\0' ? 1 : rf_utf8_length(copy);
}

static bool is_control(const unsigned char *at, size_t bytes) {
  bool const c0 = bytes == 1 && ((at[0] < 0x20 && at[0] != '\n' && at[0] != '\t') || at[0] == 0x7F);
  return c0 || (bytes == 2 && at[0] == 0xC2 && at[1] < 0xA0);
}

static void to_clean(void *context, const char *text, size_t length) {
  const rf_sink *const to = (const rf_sink *)context;
  size_t start = 0;
  for (size_t i = 0; i < length;) {
    const unsigned char *const at = (const unsigned char *)text + i;
    size_t const bytes = character_bytes(at, length - i);
    size_t const next = i + (bytes == 0 ? 1 : bytes);
    if (bytes == 0 || is_control(at, bytes)) {
      rf_sink_mem(to, text + start, i - start);
      rf_sink_str(to, bytes == 0 ? "\xEF\xBF\xBD" : "?");
      start = next;
    }
    i = next;
  }
  rf_sink_mem(to, text + start, length - start);
}

rf_sink rf_clean_sink(const rf_sink *to) {
  return (rf_sink){to_clean, (void *)(uintptr_t)to};
}
