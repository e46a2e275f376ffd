/* Valid UTF-8, for renderings whose readers stop at other bytes. */
#ifndef RINGFENCE_UTF8_H
#define RINGFENCE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Length of the valid UTF-8 sequence at `s`, which ends with a NUL; 0 where there is none. Overlong forms, surrogates
 * and code points above U+10FFFF are not valid. */
static inline unsigned rf_utf8_length(const unsigned char *s) {
  unsigned char const c = s[0];
  unsigned const length = c < 0x80                ? 1
                          : c >= 0xC2 && c < 0xE0 ? 2
                          : c >= 0xE0 && c < 0xF0 ? 3
                          : c >= 0xF0 && c < 0xF5 ? 4
                                                  : 0;
  for (unsigned i = 1; i < length; i++) {
    if ((s[i] & 0xC0U) != 0x80) {
      return 0;
    }
  }
  bool const bad = (c == 0xE0 && s[1] < 0xA0) || (c == 0xED && s[1] >= 0xA0) || (c == 0xF0 && s[1] < 0x90) ||
                   (c == 0xF4 && s[1] >= 0x90);
  return bad ? 0 : length;
}

/* The text of *length bytes behind the mark of UTF-8, which some editors put first; *length becomes its own. */
static inline const char *rf_utf8_behind_mark(const char *text, size_t *length) {
  bool const marked = *length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
  *length -= marked ? 3 : 0;
  return marked ? text + 3 : text;
}

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_UTF8_H */
