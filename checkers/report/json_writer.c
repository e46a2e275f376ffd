#include "json_writer.h"

#include <ringfence/report_json.h>

#include "lib/core/compiler.h"
#include "utf8.h"

static const char digits[] = "0123456789abcdef";

/* ---- Strings ---- */

static void escape(unsigned char c, const rf_sink *sink) {
  char text[7] = "\\u0000";
  text[4] = digits[c >> 4];
  text[5] = digits[c & 15];
  rf_sink_str(sink, text);
}

/* The number of characters from `s` on that stand for themselves: printable ASCII without quotes and backslashes. */
static size_t plain_length(const unsigned char *s) {
  size_t length = 0;
  while (s[length] >= 0x20 && s[length] < 0x7F && s[length] != '"' && s[length] != '\\') {
    length++;
  }
  return length;
}

RF_COLD void rf_json_string(const char *text, const rf_sink *sink) {
  if (text == NULL) {
    rf_sink_str(sink, "null");
    return;
  }
  rf_sink_char(sink, '"');
  for (const unsigned char *s = (const unsigned char *)text; *s != 0;) {
    size_t const plain = plain_length(s);
    if (plain != 0) {
      rf_sink_mem(sink, (const char *)s, plain);
      s += plain;
      continue;
    }
    unsigned const length = rf_utf8_length(s);
    if (length == 0) {
      rf_sink_str(sink, "\\ufffd");
      s++;
      continue;
    }
    if (*s == '"' || *s == '\\') {
      rf_sink_char(sink, '\\');
    }
    if (*s < 0x20 || *s == 0x7F) {
      escape(*s, sink);
    } else {
      rf_sink_mem(sink, (const char *)s, length);
    }
    s += length;
  }
  rf_sink_char(sink, '"');
}

/* ---- Members and elements ---- */

static void begin(rf_json_writer *w, const char *name) {
  rf_sink_str(w->sink, w->more ? "," : "");
  if (w->depth != 0 && w->depth <= w->lines) {
    rf_sink_char(w->sink, '\n');
  }
  w->more = true;
  if (name != NULL) {
    rf_json_string(name, w->sink);
    rf_sink_char(w->sink, ':');
  }
}

RF_COLD void rf_json_open(rf_json_writer *w, const char *name, const char *brackets) {
  for (; *brackets != '\0'; brackets++, name = NULL) {
    begin(w, name);
    rf_sink_char(w->sink, *brackets);
    w->depth++;
    w->more = false;
  }
}

RF_COLD void rf_json_close(rf_json_writer *w, const char *brackets) {
  for (; *brackets != '\0'; brackets++) {
    rf_sink_char(w->sink, *brackets);
    w->depth--;
    w->more = true;
  }
}

RF_COLD void rf_json_put_text_or_null(rf_json_writer *w, const char *name, const char *value) {
  begin(w, name);
  rf_json_string(value, w->sink);
}

RF_COLD void rf_json_put_text(rf_json_writer *w, const char *name, const char *value) {
  if (value != NULL) {
    rf_json_put_text_or_null(w, name, value);
  }
}

RF_COLD void rf_json_put_raw(rf_json_writer *w, const char *name, const char *json) {
  begin(w, name);
  rf_sink_str(w->sink, json);
}

RF_COLD void rf_json_put_unsigned(rf_json_writer *w, const char *name, uint64_t value) {
  begin(w, name);
  rf_sink_uint(w->sink, value);
}

RF_COLD void rf_json_put_number(rf_json_writer *w, const char *name, int64_t value) {
  begin(w, name);
  rf_sink_int(w->sink, value);
}

RF_COLD void rf_json_put_bool(rf_json_writer *w, const char *name, bool value) {
  begin(w, name);
  rf_sink_str(w->sink, value ? "true" : "false");
}

RF_COLD void rf_json_put_address(rf_json_writer *w, const char *name, uint64_t value) {
  begin(w, name);
  rf_sink_char(w->sink, '"');
  rf_sink_hex(w->sink, value, 1);
  rf_sink_char(w->sink, '"');
}

RF_COLD void rf_json_put_bytes(rf_json_writer *w, const char *name, const unsigned char *data, size_t size) {
  begin(w, name);
  rf_sink_char(w->sink, '"');
  for (size_t i = 0; i < size; i++) {
    rf_sink_char(w->sink, digits[data[i] >> 4]);
    rf_sink_char(w->sink, digits[data[i] & 15]);
  }
  rf_sink_char(w->sink, '"');
}
