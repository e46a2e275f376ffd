#include "tools/ringfence/cli/common_options.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/elf.h"
#include "tools/ringfence/base/read_file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

bool rf_common_options_format(rf_common_options *o, const char *name) {
  o->format_given = rf_output_format_from_name(name, &o->format);
  if (!o->format_given) {
    rf_diag("--format %s: use text, json, sarif, junit, html, github or pprof", name);
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
  if (path[0] == '\0' || strcmp(path, "-") == 0 || strcmp(path, "--") == 0) {
    rf_diag("--%s needs a file name; %s", name, reason);
    return false;
  }
  *out = path;
  return true;
}

static bool read_skip_rules(rf_bump_arena *arena, const char *path, rf_skip_rules *out) {
  size_t length = 0;
  const char *const text = rf_read_file(arena, path, &length);
  if (text == NULL) {
    rf_diag("cannot read %s: %s", path, strerror(errno));
    return false;
  }
  unsigned const wrong = rf_skip_rules_parse(out, arena, text, length);
  if (wrong != 0) {
    rf_diag("%s:%u: no rule; use function:PATTERN or module:PATTERN", path, wrong);
  }
  return wrong == 0;
}

bool rf_common_options_read(const rf_common_options *o, rf_bump_arena *arena, rf_document_options *out) {
  for (size_t i = 0; i < o->suppressions_count; i++) {
    if (!rf_document_suppressions(&out->suppressions, arena, o->suppressions[i])) {
      return false;
    }
  }
  if (o->skip_frames != NULL && !read_skip_rules(arena, o->skip_frames, &out->skipped)) {
    return false;
  }
  if (o->baseline == NULL) {
    return true;
  }
  out->baseline = (rf_baseline *)rf_bump_arena_alloc(arena, sizeof *out->baseline);
  return rf_baseline_read(out->baseline, arena, o->baseline);
}

bool rf_common_options_image(const char *path) {
  rf_bump_arena arena = {NULL};
  rf_elf elf;
  rf_elf_status const status = path == NULL ? RF_ELF_OK : rf_elf_open(&elf, path, &arena);
  int const error = errno;
  if (path != NULL && status == RF_ELF_OK) {
    rf_elf_close(&elf);
  }
  rf_bump_arena_free(&arena);
  if (status == RF_ELF_UNREADABLE) {
    rf_diag("cannot read the image %s: %s", path, strerror(error));
  } else if (status == RF_ELF_BYTE_ORDER) {
    rf_diag("--image %s: a program of the other byte order, whose addresses cannot be named", path);
  } else if (status != RF_ELF_OK) {
    rf_diag("--image %s: use the ELF file that the firmware was made of", path);
  }
  return status == RF_ELF_OK;
}

const char *rf_current_folder(rf_bump_arena *arena) {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) == NULL ? NULL : rf_bump_arena_copy(arena, path);
}
