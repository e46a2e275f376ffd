#include "tools/ringfence/xml.h"

#include <ringfence/utf8.h>
#include <stdbool.h>

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
  default:
    return NULL;
  }
}

/* XML 1.0 has no other control characters, and no U+FFFE and U+FFFF. */
static bool allowed(const unsigned char *s, unsigned length) {
  bool const control = s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r';
  bool const last_two = length == 3 && s[0] == 0xEF && s[1] == 0xBF && s[2] >= 0xBE;
  return length != 0 && !control && !last_two;
}

void rf_xml_text(const char *text, const rf_sink *sink) {
  for (const unsigned char *s = (const unsigned char *)text; s != NULL && *s != '\0';) {
    unsigned const length = rf_utf8_length(s);
    const char *const entity = entity_of(*s);
    if (!allowed(s, length)) {
      rf_sink_str(sink, "\xEF\xBF\xBD");
    } else if (entity != NULL) {
      rf_sink_str(sink, entity);
    } else {
      rf_sink_mem(sink, (const char *)s, length);
    }
    s += length == 0 ? 1 : length;
  }
}
