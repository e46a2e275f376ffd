#include "tools/ringfence/render/json_write.h"

#include <ringfence/report_json.h>
#include <stddef.h>

static void new_line(const rf_json_writer *w) {
  rf_sink_char(w->sink, '\n');
  for (unsigned i = 0; i < w->depth; i++) {
    rf_sink_str(w->sink, "  ");
  }
}

static void begin(rf_json_writer *w, const char *name) {
  rf_sink_str(w->sink, w->more ? "," : "");
  if (w->depth != 0) {
    new_line(w);
  }
  w->more = true;
  if (name != NULL) {
    rf_json_string(name, w->sink);
    rf_sink_str(w->sink, ": ");
  }
}

static void open(rf_json_writer *w, const char *name, char bracket) {
  begin(w, name);
  rf_sink_char(w->sink, bracket);
  w->depth++;
  w->more = false;
}

static void end(rf_json_writer *w, char bracket) {
  w->depth--;
  if (w->more) {
    new_line(w);
  }
  rf_sink_char(w->sink, bracket);
  w->more = true;
}

void rf_json_object(rf_json_writer *w, const char *name) {
  open(w, name, '{');
}

void rf_json_object_end(rf_json_writer *w) {
  end(w, '}');
}

void rf_json_array(rf_json_writer *w, const char *name) {
  open(w, name, '[');
}

void rf_json_array_end(rf_json_writer *w) {
  end(w, ']');
}

void rf_json_put_text(rf_json_writer *w, const char *name, const char *value) {
  if (value != NULL) {
    begin(w, name);
    rf_json_string(value, w->sink);
  }
}

void rf_json_put_number(rf_json_writer *w, const char *name, int64_t value) {
  begin(w, name);
  rf_sink_int(w->sink, value);
}

void rf_json_put_bool(rf_json_writer *w, const char *name, bool value) {
  begin(w, name);
  rf_sink_str(w->sink, value ? "true" : "false");
}
