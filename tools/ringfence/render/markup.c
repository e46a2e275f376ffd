#include "tools/ringfence/render/markup.h"

#include "checkers/report/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static const char *entity_of(unsigned char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  case '\r': /* else a reader takes it for the end of a line */
    return "&#13;";
  default:
    return NULL;
  }
}

/* XML 1.0 has no other control characters, and no U+FFFE and U+FFFF; HTML neither those from U+007F to U+009F. */
static bool allowed(const unsigned char *s, unsigned length) {
  bool const low = s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r';
  bool const control = low || s[0] == 0x7F || (s[0] == 0xC2 && s[1] < 0xA0);
  bool const last_two = length == 3 && s[0] == 0xEF && s[1] == 0xBF && s[2] >= 0xBE;
  return length != 0 && !control && !last_two;
}

/* Characters that turn the direction of the text around them, and could make a name look like another: U+061C, U+200E,
 * U+200F, U+202A to U+202E, U+2066 to U+2069. 0 for any other. */
static unsigned turns(const unsigned char *s, unsigned length) {
  if (length == 2 && s[0] == 0xD8 && s[1] == 0x9C) {
    return 0x061C;
  }
  if (length != 3 || s[0] != 0xE2) {
    return 0;
  }
  unsigned const code = 0x2000U + ((s[1] & 0x3FU) << 6) + (s[2] & 0x3FU);
  bool const marks = code == 0x200E || code == 0x200F;
  bool const embeddings = code >= 0x202A && code <= 0x202E;
  bool const isolates = code >= 0x2066 && code <= 0x2069;
  return marks || embeddings || isolates ? code : 0;
}

/* As source code would write it. */
static void put_code(unsigned code, const rf_sink *sink) {
  static const char digits[] = "0123456789ABCDEF";
  rf_sink_str(sink, "\\u");
  for (int shift = 12; shift >= 0; shift -= 4) {
    rf_sink_char(sink, digits[code >> shift & 15U]);
  }
}

/* The bytes at `s` that stand for themselves. */
static size_t plain_length(const unsigned char *s) {
  size_t length = 0;
  while (s[length] >= 0x20 && s[length] < 0x7F && entity_of(s[length]) == NULL) {
    length++;
  }
  return length;
}

void rf_markup_text(const char *text, const rf_sink *sink) {
  for (const unsigned char *s = (const unsigned char *)text; s != NULL && *s != '\0';) {
    size_t const plain = plain_length(s);
    if (plain != 0) {
      rf_sink_mem(sink, (const char *)s, plain);
      s += plain;
      continue;
    }
    unsigned const length = rf_utf8_length(s);
    const char *const entity = entity_of(*s);
    if (!allowed(s, length)) {
      rf_sink_str(sink, "\xEF\xBF\xBD");
    } else if (turns(s, length) != 0) {
      put_code(turns(s, length), sink);
    } else if (entity != NULL) {
      rf_sink_str(sink, entity);
    } else {
      rf_sink_mem(sink, (const char *)s, length);
    }
    s += length == 0 ? 1 : length;
  }
}

void rf_markup(const rf_sink *sink, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  for (;;) {
    size_t const plain = strcspn(format, "%");
    rf_sink_mem(sink, format, plain);
    format += plain;
    if (format[0] == '\0') {
      break;
    }
    if (format[1] == '%') {
      rf_sink_char(sink, '%');
    } else if (format[1] == 's') {
      rf_markup_text(va_arg(arguments, const char *), sink);
    } else if (format[1] == 'u') {
      rf_sink_uint(sink, va_arg(arguments, unsigned));
    } else {
      rf_sink_uint(sink, va_arg(arguments, size_t));
    }
    format += format[1] == 'z' ? 3 : 2;
  }
  va_end(arguments);
}
