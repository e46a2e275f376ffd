#include "json_writer.h"

#include <ringfence/report_json.h>

#include "utf8.h"

static const char digits[] = "0123456789abcdef";

/* ---- Strings ---- */

static void escape(unsigned char c, const rf_sink *sink) {
  char text[7] = "\\u0000";
  text[4] = digits[c >> 4];
  text[5] = digits[c & 15];
  rf_sink_str(sink, text);
}

void rf_json_string(const char *text, const rf_sink *sink) {
  if (text == NULL) {
    rf_sink_str(sink, "null");
    return;
  }
  rf_sink_char(sink, '"');
  for (const unsigned char *s = (const unsigned char *)text; *s != 0;) {
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

static void new_line(const rf_json_writer *w) {
  rf_sink_char(w->sink, '\n');
  for (unsigned i = 0; i < w->depth; i++) {
    rf_sink_str(w->sink, "  ");
  }
}

static void begin(rf_json_writer *w, const char *name) {
  rf_sink_str(w->sink, w->more ? "," : "");
  if (w->indented && w->depth != 0) {
    new_line(w);
  }
  w->more = true;
  if (name != NULL) {
    rf_json_string(name, w->sink);
    rf_sink_str(w->sink, w->indented ? ": " : ":");
  }
}

static void open(rf_json_writer *w, const char *name, char bracket) {
  begin(w, name);
  rf_sink_char(w->sink, bracket);
  w->depth++;
  w->more = false;
}

static void close(rf_json_writer *w, char bracket) {
  w->depth--;
  if (w->indented && w->more) {
    new_line(w);
  }
  rf_sink_char(w->sink, bracket);
  w->more = true;
}

void rf_json_begin_object(rf_json_writer *w, const char *name) {
  open(w, name, '{');
}

void rf_json_end_object(rf_json_writer *w) {
  close(w, '}');
}

void rf_json_begin_array(rf_json_writer *w, const char *name) {
  open(w, name, '[');
}

void rf_json_end_array(rf_json_writer *w) {
  close(w, ']');
}

void rf_json_write_text(rf_json_writer *w, const char *name, const char *value) {
  if (value != NULL) {
    begin(w, name);
    rf_json_string(value, w->sink);
  }
}

void rf_json_write_unsigned(rf_json_writer *w, const char *name, uint64_t value) {
  begin(w, name);
  rf_sink_uint(w->sink, value);
}

void rf_json_write_signed(rf_json_writer *w, const char *name, int64_t value) {
  begin(w, name);
  rf_sink_int(w->sink, value);
}

void rf_json_write_bool(rf_json_writer *w, const char *name, bool value) {
  begin(w, name);
  rf_sink_str(w->sink, value ? "true" : "false");
}

void rf_json_write_address(rf_json_writer *w, const char *name, uint64_t value) {
  begin(w, name);
  rf_sink_char(w->sink, '"');
  rf_sink_hex(w->sink, value, 1);
  rf_sink_char(w->sink, '"');
}

void rf_json_write_bytes(rf_json_writer *w, const char *name, const unsigned char *data, size_t size) {
  begin(w, name);
  rf_sink_char(w->sink, '"');
  for (size_t i = 0; i < size; i++) {
    rf_sink_char(w->sink, digits[data[i] >> 4]);
    rf_sink_char(w->sink, digits[data[i] & 15]);
  }
  rf_sink_char(w->sink, '"');
}
