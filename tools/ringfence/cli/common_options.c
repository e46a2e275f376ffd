#include "tools/ringfence/cli/common_options.h"

#include "tools/ringfence/base/diagnostics.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

bool rf_common_options_format(rf_common_options *o, const char *name) {
  o->format_given = rf_output_format_from_name(name, &o->format);
  if (!o->format_given) {
    rf_diag("--format %s: use text, json, sarif, junit, html or github", name);
  }
  return o->format_given;
}

bool rf_common_options_colour(rf_common_options *o, const char *name) {
  bool const known = rf_colour_from_name(name, &o->colour);
  if (!known) {
    rf_diag("--color %s: use auto, always or never", name);
  }
  return known;
}

void rf_common_options_suppressions(rf_common_options *o, rf_bump_arena *arena, const char *path) {
  RF_APPENDED(arena, o->suppressions, o->suppressions_count) = path;
}

bool rf_common_options_file(const char **out, const char *name, const char *path, const char *reason) {
  if (path[0] == '\0' || strcmp(path, "-") == 0) {
    rf_diag("--%s needs a file name; %s", name, reason);
    return false;
  }
  *out = path;
  return true;
}

bool rf_common_options_read(const rf_common_options *o, rf_bump_arena *arena, rf_document_options *out) {
  for (size_t i = 0; i < o->suppressions_count; i++) {
    if (!rf_document_suppressions(&out->suppressions, arena, o->suppressions[i])) {
      return false;
    }
  }
  if (o->baseline == NULL) {
    return true;
  }
  out->baseline = (rf_baseline *)rf_bump_arena_alloc(arena, sizeof *out->baseline);
  return rf_baseline_read(out->baseline, arena, o->baseline);
}

const char *rf_current_folder(rf_bump_arena *arena) {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) == NULL ? NULL : rf_bump_arena_text(arena, path, strlen(path));
}
