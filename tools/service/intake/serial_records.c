#include "tools/service/intake/serial_parts.h"

#include "checkers/os/clock.h"
#include "checkers/report/fnv.h"
#include "checkers/report/json_writer.h"
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <ringfence/report_json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void put_label(rf_json_writer *w, const char *name, const char *value) {
  if (value[0] != '\0') {
    rf_json_put_text(w, name, value);
  }
}

/* Ids of a file are made of its contents: read again after a restart, its findings count once. */
static const char *id_of(rf_serial_source *s, const char *json, size_t length) {
  uint64_t const number = s->file ? rf_fnv_bytes(RF_FNV_START, json, length) : ++s->number;
  const char *const again = s->generation == 0 ? "" : rf_bump_arena_print(&s->arena, ".%" PRIu64, s->generation);
  return rf_bump_arena_print(&s->arena, "serial-%016" PRIx64 "%s-%" PRIu32 "-%" PRIx64, s->start, again, s->starts,
                             number);
}

static const char *time_now(rf_bump_arena *arena) {
  const char *const text =
      rf_time_text(arena, (int64_t)(rf_clock_ns(CLOCK_REALTIME) / 1000000000U), "%Y-%m-%dT%H:%M:%S.000000Z");
  return text == NULL ? "1970-01-01T00:00:00.000000Z" : text;
}

static void put_envelope(rf_serial_source *s, rf_json_writer *w, const char *mode, const char *id) {
  const char *const build_id = s->build_id[0] != '\0' ? s->build_id : s->image->build_id;
  rf_json_put_text(w, "record", "finding");
  rf_json_put_number(w, "version", 1);
  rf_json_put_text(w, "id", id);
  rf_json_put_text(w, "time", time_now(&s->arena));
  rf_json_put_number(w, "pid", 0);
  rf_json_put_text(w, "host", s->device[0] != '\0' ? s->device : s->path);
  rf_json_put_text(w, "program", s->image->path != NULL ? s->image->path : "");
  rf_json_put_text(w, "mode", mode == NULL ? "guard" : mode);
  rf_json_put_text(w, "environment", rf_env_or("RINGFENCE_ENVIRONMENT", "development"));
  rf_json_open(w, "build", "{");
  put_label(w, "version", rf_env_or("RINGFENCE_VERSION", ""));
  put_label(w, "commit", rf_env_or("RINGFENCE_COMMIT", ""));
  put_label(w, "build_id", build_id);
  rf_json_close(w, "}");
  rf_json_open(w, "labels", "{");
  put_label(w, "device", s->device);
  put_label(w, "boot", s->boot);
  put_label(w, "reset", s->reset);
  rf_json_close(w, "}");
  rf_json_put_number(w, "count", 1);
  rf_json_put_number(w, "dropped", 0);
}

/* `json`: of the finding, without a line feed. */
static void send(rf_serial_source *s, const char *mode, const char *id, const char *json, size_t length) {
  rf_text_sink line;
  rf_text_sink_init(&line, &s->arena);
  rf_sink_char(&line.sink, '\n'); /* the spool's own byte */
  rf_json_writer w = {.sink = &line.sink};
  rf_json_open(&w, NULL, "{");
  put_envelope(s, &w, mode, id);
  rf_sink_str(&line.sink, ",\"finding\":");
  rf_sink_mem(&line.sink, json, length);
  rf_sink_str(&line.sink, "}\n");
  bool const written = rf_spool_file_append(s->spool, line.text + 1, line.length - 1, true);
  if (!written && !s->failed) {
    rf_diag("%s: a finding cannot be written to the spool", s->path);
  }
  s->failed = !written;
}

/* A board knows addresses; the image is what they lie in. */
static void place_frames(const rf_serial_source *s, const rf_record *record, const char *build_id) {
  rf_frame *f = NULL;
  for (unsigned i = 0; s->image->path != NULL && (f = rf_record_frame(record, i)) != NULL; i++) {
    if ((f->module == NULL || f->module == s->image->path) && f->address != 0) {
      f->module = s->image->path;
      f->build_id = build_id;
      f->offset = f->address;
    }
  }
}

static rf_text_sink json_of(rf_serial_source *s, rf_record *record, const char *build_id) {
  rf_text_sink t;
  rf_text_sink_init(&t, &s->arena);
  place_frames(s, record, build_id);
  rf_symbolizer const symbolizer = rf_record_symbolizer(record);
  rf_report_json(&record->finding, &symbolizer, &t.sink);
  return t;
}

/* The id is made without the build-id that the board told of: that may have been in a file before this one. */
void rf_serial_take_finding(void *context, rf_record *record) {
  rf_serial_source *const s = (rf_serial_source *)context;
  s->starts += record->finding.sequence <= s->last;
  s->last = (uint32_t)record->finding.sequence;
  rf_text_sink json = json_of(s, record, s->image->build_id);
  const char *const id = id_of(s, json.text, json.length - 1);
  if (s->build_id[0] != '\0') {
    json = json_of(s, record, s->build_id);
  }
  send(s, record->finding.mode, id, json.text, json.length - 1);
}

static void keep_text(char out[RF_SERIAL_NAME], const rf_json *object, const char *name) {
  const char *const text = rf_json_text(object, name, NULL);
  const rf_json *const value = rf_json_member(object, name);
  const char *const shown = text != NULL ? text : value != NULL && value->text != NULL ? value->text : "";
  (void)snprintf(out, RF_SERIAL_NAME, "%s", shown);
}

/* A JSON line in the serial form: of the device itself, or a finding. */
void rf_serial_take_text(void *context, const char *line, size_t length) {
  rf_serial_source *const s = (rf_serial_source *)context;
  const rf_json *const root = rf_json_parse(&s->arena, line, length);
  const char *const type = rf_json_text(root, "type", "");
  if (strcmp(type, "device") == 0) {
    keep_text(s->device, root, "device");
    keep_text(s->boot, root, "boot");
    keep_text(s->reset, root, "reset");
    keep_text(s->build_id, root, "build_id");
  } else if (strcmp(type, "finding") == 0 && memchr(line, '\n', length) == NULL) {
    send(s, rf_json_text(root, "mode", NULL), id_of(s, line, length), line, length);
  }
}
