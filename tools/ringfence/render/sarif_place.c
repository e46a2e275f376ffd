/* SARIF: texts, and the places of calls. */
#include "tools/ringfence/render/sarif_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void rf_sarif_message(rf_sarif *s, const char *name, const char *text) {
  rf_json_open(&s->w, name, "{");
  rf_json_put_text(&s->w, "text", text);
  rf_json_close(&s->w, "}");
}

/* A path as part of a URI (RFC 3986). */
static const char *escaped_path(rf_bump_arena *arena, const char *path) {
  char *const out = (char *)rf_bump_arena_array(arena, strlen(path) + 1, 3);
  size_t at = 0;
  for (; *path != '\0'; path++) {
    unsigned char const c = (unsigned char)*path;
    if (isalnum(c) || strchr("/-._~", c) != NULL) {
      out[at++] = (char)c;
    } else {
      at += (size_t)snprintf(out + at, 4, "%%%02X", c);
    }
  }
  return out;
}

const char *rf_sarif_uri(rf_bump_arena *arena, const char *path) {
  return path[0] == '/' ? rf_bump_arena_print(arena, "file://%s", escaped_path(arena, path))
                        : escaped_path(arena, path);
}

void rf_sarif_artifact(rf_sarif *s, const char *name, const char *path) {
  const char *const seen = rf_path_seen_from(s->d->directory, path);
  rf_json_open(&s->w, name, "{");
  rf_json_put_text(&s->w, "uri", rf_sarif_uri(s->arena, seen));
  if (seen[0] != '/') {
    rf_json_put_text(&s->w, "uriBaseId", "SRCROOT");
  }
  rf_json_close(&s->w, "}");
}

void rf_sarif_region(rf_sarif *s, const rf_frame_view *call) {
  if (call->file == NULL || call->line == 0) {
    return;
  }
  const char *const line = rf_source_text(s->d->sources, s->arena, call);
  rf_json_open(&s->w, "region", "{");
  rf_json_put_number(&s->w, "startLine", call->line);
  if (line != NULL) {
    rf_sarif_message(s, "snippet", line);
  }
  rf_json_close(&s->w, "}");
}

bool rf_sarif_has_file(const rf_frame_view *call) {
  return call->file != NULL || call->module != NULL;
}

static void physical(rf_sarif *s, const rf_frame_view *call) {
  const char *const file = call->file != NULL ? call->file : call->module;
  if (file == NULL) {
    return;
  }
  rf_json_open(&s->w, "physicalLocation", "{");
  rf_sarif_artifact(s, "artifactLocation", file);
  rf_sarif_region(s, call);
  rf_json_close(&s->w, "}");
}

static void logical(rf_sarif *s, const rf_frame_view *call) {
  if (call->function == NULL) {
    return;
  }
  rf_json_open(&s->w, "logicalLocations", "[{");
  rf_json_put_text(&s->w, "name", call->function);
  rf_json_put_text(&s->w, "kind", "function");
  rf_json_close(&s->w, "}]");
}

void rf_sarif_location(rf_sarif *s, const char *name, const rf_frame_view *call, const char *text, int id) {
  rf_json_open(&s->w, name, "{");
  if (id >= 0) {
    rf_json_put_number(&s->w, "id", id);
  }
  physical(s, call);
  logical(s, call);
  if (text != NULL) {
    rf_sarif_message(s, "message", text);
  }
  rf_json_close(&s->w, "}");
}
