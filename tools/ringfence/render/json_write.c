#include "tools/ringfence/render/json_write.h"

#include <ringfence/report_json.h>
#include <stddef.h>

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

void rf_json_open(rf_json_writer *w, const char *name, const char *brackets) {
  for (; *brackets != '\0'; brackets++, name = NULL) {
    begin(w, name);
    rf_sink_char(w->sink, *brackets);
    w->depth++;
    w->more = false;
  }
}

void rf_json_close(rf_json_writer *w, const char *brackets) {
  for (; *brackets != '\0'; brackets++) {
    rf_sink_char(w->sink, *brackets);
    w->depth--;
    w->more = true;
  }
}

void rf_json_put_text_or_null(rf_json_writer *w, const char *name, const char *value) {
  begin(w, name);
  rf_json_string(value, w->sink);
}

void rf_json_put_text(rf_json_writer *w, const char *name, const char *value) {
  if (value != NULL) {
    rf_json_put_text_or_null(w, name, value);
  }
}

void rf_json_put_number(rf_json_writer *w, const char *name, int64_t value) {
  begin(w, name);
  rf_sink_int(w->sink, value);
}

void rf_json_put_raw(rf_json_writer *w, const char *name, const char *json) {
  begin(w, name);
  rf_sink_str(w->sink, json);
}

void rf_json_put_bool(rf_json_writer *w, const char *name, bool value) {
  begin(w, name);
  rf_sink_str(w->sink, value ? "true" : "false");
}
