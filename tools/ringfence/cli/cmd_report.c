/* `ringfence report`: reads findings from files and writes them in other forms. */
#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/cli/command.h"
#include "tools/ringfence/cli/report_options.h"
#include "tools/ringfence/model/input.h"
#include "tools/ringfence/render/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct report {
  rf_bump_arena arena;
  rf_report_command_options options;
  rf_run run;
  rf_input_losses losses;
  rf_document_options making;
  rf_document document;
  rf_totals totals;
} report;

/* ---- Before ---- */

static bool read_inputs(report *r) {
  for (int i = 0; i < r->options.input_count; i++) {
    if (!rf_input_read(&r->run, &r->losses, &r->arena, r->options.inputs[i], r->options.from)) {
      return false;
    }
  }
  return true;
}

/* `path` from the root on, without "." and empty parts and, unless it is the root, without a slash at its end, as debug
 * information has paths. */
static const char *absolute_path(rf_bump_arena *arena, const char *path) {
  const char *const here = path[0] == '/' ? "" : rf_current_folder(arena);
  const char *out = here == NULL ? "" : here;
  while (*path != '\0') {
    size_t const length = strcspn(path, "/");
    bool const up = length == 2 && memcmp(path, "..", length) == 0;
    const char *const slash = strrchr(out, '/');
    if (up) {
      out = slash == NULL ? out : rf_bump_arena_text(arena, out, (size_t)(slash - out));
    } else if (length != 0 && (length != 1 || path[0] != '.')) {
      out = rf_bump_arena_print(arena, "%s/%.*s", out, (int)length, path);
    }
    path += length + (path[length] == '/');
  }
  return out[0] == '\0' ? "/" : out;
}

static bool prepare(report *r) {
  r->making.directory =
      r->options.source_root != NULL ? absolute_path(&r->arena, r->options.source_root) : rf_current_folder(&r->arena);
  r->making.image = r->options.image;
  r->making.symbolize = r->options.symbolize;
  r->making.whole = r->options.common.verbose;
  r->making.quiet = r->options.common.quiet;
  return rf_common_options_image(r->options.image) &&
         rf_common_options_read(&r->options.common, &r->arena, &r->making) && read_inputs(r);
}

/* ---- After ---- */

/* "3 findings, 7 times in all; 1 new, 2 known". */
static const char *count_text(report *r) {
  const rf_document *const d = &r->document;
  rf_bump_arena *const arena = &r->arena;
  if (d->count == 0) {
    const char *const lost = rf_document_lost(arena, d);
    return lost == NULL ? "nothing found" : lost;
  }
  const char *text = rf_counted(arena, d->count, "finding");
  if (d->times > d->count) {
    text = rf_bump_arena_print(arena, "%s, %" PRIu64 " times in all", text, d->times);
  }
  if (d->baseline != NULL) {
    text = rf_bump_arena_print(arena, "%s; %zu new, %zu in the baseline", text, rf_document_new(d), d->known);
  }
  return text;
}

static void say_summary(report *r) {
  const rf_document *const d = &r->document;
  const char *text = count_text(r);
  if (d->baseline != NULL && rf_baseline_unmet(d->baseline) != 0) {
    text = rf_bump_arena_print(&r->arena, "%s; %" PRIu64 " of the baseline not found", text,
                               rf_baseline_unmet(d->baseline));
  }
  if (r->totals.uncounted != 0) {
    text =
        rf_bump_arena_print(&r->arena, "%s; %" PRIu64 " only counted, after max_findings", text, r->totals.uncounted);
  }
  if (d->hidden_times != 0) {
    text = rf_bump_arena_print(&r->arena, "%s; %" PRIu64 " suppressed", text, d->hidden_times);
  }
  if (r->losses.missing != 0) {
    text = rf_bump_arena_print(&r->arena, "%s; %s did not arrive", text,
                               rf_counted(&r->arena, r->losses.missing, "finding"));
  }
  if (r->losses.incomplete != 0) {
    text = rf_bump_arena_print(&r->arena, "%s; %zu arrived in part", text, r->losses.incomplete);
  }
  if (d->count != 0 && d->unread != 0) {
    text =
        rf_bump_arena_print(&r->arena, "%s; %s could not be read", text, rf_counted(&r->arena, d->unread, "finding"));
  }
  size_t const damaged = r->losses.damaged + r->run.damaged - d->unread;
  if (damaged != 0) {
    text = rf_bump_arena_print(&r->arena, "%s; %s could not be read", text, rf_counted(&r->arena, damaged, "line"));
  }
  rf_diag("%s", text);
}

static void put_standard(report *r) {
  const rf_common_options *const common = &r->options.common;
  if (common->format != RF_OUTPUT_TEXT) {
    rf_output_put(&r->arena, &r->document, common->format, stdout);
    return;
  }
  rf_colour_sink to;
  rf_colour_sink_init(&to, stdout, rf_colour_wanted(common->colour, stdout));
  rf_document_text(&r->arena, &r->document, &to.sink);
  rf_colour_sink_end(&to);
}

static bool write_all(report *r) {
  bool written = rf_outputs_write(&r->options.common.outputs, &r->arena, &r->document);
  if (r->options.common.outputs.count == 0 || r->options.standard) {
    put_standard(r);
    written = rf_output_close(stdout, NULL) && written;
  }
  if (r->options.common.write_baseline != NULL) {
    written = rf_baseline_write(&r->arena, r->options.common.write_baseline, r->document.records, r->document.count) &&
              written;
  }
  return written;
}

/* As in `check`: a finding without a record may be new. */
static bool has_new(const report *r) {
  return rf_document_new(&r->document) != 0 || r->totals.uncounted != 0 || r->totals.unrecorded;
}

static int report_files(report *r) {
  if (!prepare(r)) {
    return RF_EXIT_USAGE;
  }
  rf_document_make(&r->document, &r->arena, &r->run, &r->making);
  if (r->run.run_count != 0) {
    r->totals = rf_totals_read(&r->run, &r->document);
    r->document.totals = &r->totals;
  }
  bool const written = write_all(r);
  if (!r->options.common.quiet) {
    say_summary(r);
  }
  if (!written) {
    return RF_EXIT_USAGE;
  }
  /* Findings that are written to the baseline are accepted. One that could not be read cannot be. */
  bool const failed = (has_new(r) && r->options.common.write_baseline == NULL) || r->document.unread != 0;
  return failed ? (int)r->options.exitcode : 0;
}

static int run(int argc, char **argv) {
  report r = {0};
  int status = RF_EXIT_USAGE;
  if (rf_report_command_options_parse(&r.options, &r.arena, argc, argv)) {
    if (r.options.common.help) {
      rf_report_command_options_help();
      status = 0;
    } else {
      status = report_files(&r);
    }
  }
  rf_bump_arena_free(&r.arena);
  return status;
}

const rf_command rf_command_report = {"report", "show, merge and convert what was found", run,
                                      rf_report_command_options_help};
