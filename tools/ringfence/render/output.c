#include "tools/ringfence/render/output.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/streams.h"
#include "tools/ringfence/base/write_file.h"
#include "tools/ringfence/render/pprof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[RF_OUTPUT_FORMATS] = {
    [RF_OUTPUT_TEXT] = "text", [RF_OUTPUT_JSON] = "json",     [RF_OUTPUT_SARIF] = "sarif", [RF_OUTPUT_JUNIT] = "junit",
    [RF_OUTPUT_HTML] = "html", [RF_OUTPUT_GITHUB] = "github", [RF_OUTPUT_PPROF] = "pprof",
};

bool rf_output_format_from_name(const char *name, rf_output_format *out) {
  for (unsigned i = 0; i < RF_OUTPUT_FORMATS; i++) {
    if (strcmp(name, names[i]) == 0) {
      *out = (rf_output_format)i;
      return true;
    }
  }
  return false;
}

/* By the suffix of a file. */
static bool format_from_path(const char *path, rf_output_format *out) {
  static const struct {
    const char *end;
    rf_output_format format;
  } ends[] = {
      {".sarif", RF_OUTPUT_SARIF}, {".sarif.json", RF_OUTPUT_SARIF}, {".json", RF_OUTPUT_JSON},
      {".jsonl", RF_OUTPUT_JSON},  {".xml", RF_OUTPUT_JUNIT},        {".html", RF_OUTPUT_HTML},
      {".htm", RF_OUTPUT_HTML},    {".txt", RF_OUTPUT_TEXT},         {".log", RF_OUTPUT_TEXT},
      {".pb.gz", RF_OUTPUT_PPROF},
  };
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    if (rf_ends_with(path, ends[i].end)) {
      *out = ends[i].format;
      return true;
    }
  }
  return false;
}

void rf_outputs_add(rf_outputs *outputs, rf_bump_arena *arena, const char *path) {
  rf_output *const output = &RF_APPENDED(arena, outputs->list, outputs->count);
  *output = (rf_output){path, RF_OUTPUT_TEXT, false, false};
  output->settled = format_from_path(path, &output->format);
}

void rf_outputs_add_as(rf_outputs *outputs, rf_bump_arena *arena, const char *path, rf_output_format format) {
  rf_outputs_add(outputs, arena, path);
  outputs->list[outputs->count - 1].format = format;
  outputs->list[outputs->count - 1].fixed = true;
}

size_t rf_outputs_unfixed(const rf_outputs *outputs) {
  size_t count = 0;
  for (size_t i = 0; i < outputs->count; i++) {
    count += !outputs->list[i].fixed;
  }
  return count;
}

bool rf_outputs_settle(rf_outputs *outputs, bool given, rf_output_format format) {
  for (size_t i = 0; i < outputs->count; i++) {
    rf_output *const output = &outputs->list[i];
    if (output->fixed) {
      continue;
    }
    if (given) {
      output->format = format;
    } else if (!output->settled) {
      rf_diag(
          "--output %s: the name does not say the format; use --format, or a name that ends in .txt, .json, .sarif, "
          ".xml, .html or .pb.gz",
          output->path);
      return false;
    }
  }
  return true;
}

FILE *rf_output_open(const char *path) {
  FILE *const file = rf_write_file(path);
  if (file == NULL) {
    rf_diag("cannot write to %s: %s", path, strerror(errno));
  }
  return file;
}

bool rf_output_close(FILE *file, const char *path) {
  bool const closed = file == stdout && rf_streams_was_closed(STDOUT_FILENO);
  int const failed = closed ? EBADF : rf_file_error(file);
  bool const standard = file == stderr || file == stdout;
  if ((standard ? fflush(file) : fclose(file)) != 0 || failed != 0) {
    errno = failed != 0 ? failed : errno;
    rf_diag("cannot write all to %s: %s",
            path != NULL     ? path
            : file == stdout ? "standard output"
                             : "standard error",
            strerror(errno));
    return false;
  }
  return true;
}

bool rf_outputs_try(const rf_outputs *outputs) {
  for (size_t i = 0; i < outputs->count; i++) {
    FILE *const file = rf_output_open(outputs->list[i].path);
    if (file == NULL) {
      return false;
    }
    (void)fclose(file);
  }
  return true;
}

void rf_output_put(rf_bump_arena *arena, const rf_document *d, rf_output_format format, FILE *file) {
  rf_sink const sink = rf_file_sink(file);
  switch (format) {
  case RF_OUTPUT_JSON:
    rf_document_json(arena, d, &sink);
    break;
  case RF_OUTPUT_SARIF:
    rf_document_sarif(arena, d, &sink);
    break;
  case RF_OUTPUT_JUNIT:
    rf_document_junit(arena, d, &sink);
    break;
  case RF_OUTPUT_HTML:
    rf_document_html(arena, d, &sink);
    break;
  case RF_OUTPUT_GITHUB:
    rf_document_github(arena, d, &sink);
    break;
  case RF_OUTPUT_PPROF:
    rf_pprof_snapshots(arena, d->snapshots, d->snapshot_count, d->began * 1000000000, &sink);
    break;
  case RF_OUTPUT_TEXT:
  case RF_OUTPUT_FORMATS:
    rf_document_text(arena, d, &sink);
    break;
  }
}

static bool write_file(rf_bump_arena *arena, const rf_document *d, const char *path, rf_output_format format) {
  FILE *const file = rf_output_open(path);
  if (file == NULL) {
    return false;
  }
  rf_output_put(arena, d, format, file);
  return rf_output_close(file, path);
}

bool rf_outputs_write(const rf_outputs *outputs, rf_bump_arena *arena, const rf_document *d) {
  bool all = true;
  for (size_t i = 0; i < outputs->count; i++) {
    all = write_file(arena, d, outputs->list[i].path, outputs->list[i].format) && all;
  }
  return all;
}

void rf_outputs_write_artifacts(rf_bump_arena *arena, const rf_document *d) {
  static const struct {
    const char *end;
    rf_output_format format;
  } files[] = {
      {"jsonl", RF_OUTPUT_JSON}, {"sarif", RF_OUTPUT_SARIF}, {"xml", RF_OUTPUT_JUNIT}, {"html", RF_OUTPUT_HTML}};
  const char *const folder = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (folder == NULL || folder[0] == '\0' || access(folder, W_OK) != 0 ||
      d->count + d->hidden_count + d->snapshot_count == 0) {
    return;
  }
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    const char *const path = rf_bump_arena_print(arena, "%s/ringfence-%d.%s", folder, (int)getpid(), files[i].end);
    (void)write_file(arena, d, path, files[i].format);
  }
}
