#include "tools/service/intake/window.h"

#include <string.h>

/* ---- Privacy ---- */

/* The value of the string member `name`, a name that stands in no other string: quotes within strings have a
 * backslash. */
static char *member_value(char *line, size_t length, const char *name, size_t *value_length) {
  char *const found = (char *)memmem(line, length, name, strlen(name));
  if (found == NULL) {
    return NULL;
  }
  char *const value = found + strlen(name);
  const char *const end = (const char *)memchr(value, '"', length - (size_t)(value - line));
  *value_length = end == NULL ? 0 : (size_t)(end - value);
  return end == NULL ? NULL : value;
}

static bool kept(char letter, rf_window_rule rule) {
  return rule == RF_WINDOW_WHOLE || (rule == RF_WINDOW_GUARDS && (letter == 'g' || letter == 'h' || letter == '!'));
}

void rf_window_hide(char *line, size_t length, rf_window_rule rule) {
  char *const window = rule == RF_WINDOW_WHOLE ? NULL : (char *)memmem(line, length, "\"window\":", 9);
  if (window == NULL) {
    return;
  }
  size_t const rest = length - (size_t)(window - line);
  size_t bytes_length = 0;
  size_t expected_length = 0;
  size_t count = 0;
  char *const bytes = member_value(window, rest, "\"bytes\":\"", &bytes_length);
  char *const expected = member_value(window, rest, "\"expected\":\"", &expected_length);
  char *const classes = member_value(window, rest, "\"classes\":\"", &count);
  if (bytes == NULL || expected == NULL || classes == NULL || bytes_length != count * 2 ||
      expected_length != count * 2) {
    /* Not a form that is understood: nothing of it may stay. */
    memset(bytes != NULL ? bytes : window, '0', bytes != NULL ? bytes_length : 0);
    memset(expected != NULL ? expected : window, '0', expected != NULL ? expected_length : 0);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (!kept(classes[i], rule)) {
      memset(bytes + i * 2, '0', 2);
      memset(expected + i * 2, '0', 2);
      classes[i] = '?';
    }
  }
}

/* ---- Written bytes ---- */

unsigned rf_window_written(const rf_finding *f, rf_written out[RF_WRITTEN_MOST]) {
  unsigned count = 0;
  for (unsigned i = 0; i < f->window_size && count < RF_WRITTEN_MOST; i++) {
    int64_t const offset = (int64_t)(f->window_address + i) - (int64_t)(f->block + f->size);
    if (f->window_class[i] == RF_BYTE_BAD && offset > -(1 << 30) && offset < 1 << 30) {
      out[count++] = (rf_written){(int32_t)offset, f->expected[i], f->window[i]};
    }
  }
  return count;
}

bool rf_window_one_bit(const rf_finding *f) {
  unsigned bits = 0;
  for (unsigned i = 0; i < f->window_size; i++) {
    if (f->window_class[i] == RF_BYTE_BAD) {
      bits += (unsigned)__builtin_popcount((unsigned)(f->window[i] ^ f->expected[i]));
    }
  }
  return bits == 1;
}

int64_t rf_written_pack(rf_written w) {
  return (int64_t)w.offset * 65536 + (int64_t)w.expected * 256 + w.value;
}

rf_written rf_written_unpack(int64_t packed) {
  int64_t const offset = packed >= 0 ? packed / 65536 : -((65535 - packed) / 65536);
  int64_t const rest = packed - offset * 65536;
  return (rf_written){(int32_t)offset, (unsigned char)(rest / 256), (unsigned char)(rest % 256)};
}
