#include "tools/ringfence/cli/replay_compare.h"

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/render/markup.h"
#include "tools/ringfence/render/output.h"

#include <ringfence/layout.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 200U
#define WIDTH 960U
#define HEIGHT 320U
#define LEGEND 18U /* height of a line */

typedef struct row {
  replay_figures figures;
  size_t series[POINTS]; /* where the picture is wanted */
} row;

replay_figures rf_replay_figures(const rf_replay_compare_options *o, const subject *s, const trace *t,
                                 replay_memory *m) {
  replay_figures const f = replay_figures_of(s, t, m, o->arena, o->runs, o->limit);
  if (f.usable && f.replayed == t->count && !f.sound) {
    rf_diag("%s handed out blocks that overlap, or are not aligned", s->name);
    abort();
  }
  return f;
}

static bool is_whole(const replay_figures *f, const trace *t) {
  return f->usable && f->replayed == t->count;
}

static row measure(const rf_replay_compare_options *o, const subject *s, const trace *t, replay_memory *m) {
  row r = {.figures = rf_replay_figures(o, s, t, m)};
  if (is_whole(&r.figures, t) && o->svg != NULL) {
    (void)replay_series(s, t, m, o->arena, POINTS, r.series);
  }
  return r;
}

/* ---- The table ---- */

static int widest(const rf_subject_list *on) {
  size_t width = sizeof "allocator" - 1;
  for (size_t i = 0; i < on->count; i++) {
    size_t const length = strlen(on->items[i]->name);
    width = length > width ? length : width;
  }
  return (int)width;
}

/* Behind the name, which stands there since its replay began. */
static void print_row(const replay_figures *f, const trace *t, double limit, rf_bump_arena *memory) {
  if (!f->usable) {
    (void)printf("  cannot use such an arena\n");
    return;
  }
  if (f->replayed < t->count) {
    (void)printf(" %9.1f  too slow: %.1f %% of the requests in %g s\n", f->times.mean_ns,
                 100 * (double)f->replayed / (double)t->count, limit);
    return;
  }
  const char *const footprint = f->footprint == 0 ? "too large" : rf_trace_bytes(memory, f->footprint);
  (void)printf(" %9.1f %9.0f %9zu %11s", f->times.mean_ns, f->times.worst_ns, f->failed, footprint);
  if (f->footprint != 0 && t->peak != 0) {
    (void)printf(" %9.3f", (double)f->footprint / (double)t->peak);
  } else {
    (void)printf(" %9s", "");
  }
  if (f->fragmentation.known) {
    (void)printf(" %7.1f %% %7.1f %%", 100 * f->fragmentation.at_end, 100 * f->fragmentation.most);
  }
  (void)printf("\n");
}

/* ---- The picture ---- */

static const char *const colours[] = {"#3366cc", "#dc3912", "#ff9900", "#109618", "#990099", "#0099c6", "#dd4477",
                                      "#66aa00", "#b82e2e", "#316395", "#994499", "#22aa99", "#aaaa11", "#6633cc"};

static const char *colour_of(size_t i) {
  return colours[i % (sizeof colours / sizeof colours[0])];
}

static void write_line(const rf_sink *sink, const size_t *series, size_t top, const char *colour) {
  rf_markup(sink, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);
  for (size_t i = 0; i < POINTS; i++) {
    size_t const y = HEIGHT - (size_t)((double)series[i] * HEIGHT / (double)top);
    rf_markup(sink, "%s%zu,%zu", i == 0 ? "" : " ", i * WIDTH / (POINTS - 1), y);
  }
  rf_sink_str(sink, "\"/>\n");
}

static void write_svg(const rf_sink *sink, const rf_replay_compare_options *o, const row *all, size_t top,
                      const trace *t, rf_bump_arena *memory) {
  unsigned const height = HEIGHT + (unsigned)(o->on->count + 1) * LEGEND + LEGEND;
  rf_markup(sink,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-8 -24 %u %u\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<title>Memory that each allocator occupies over the trace</title>\n"
            "<rect x=\"-8\" y=\"-24\" width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n"
            "<text x=\"0\" y=\"-8\">%s</text>\n<path d=\"M0 0H%uM0 %uH%u\" stroke=\"#bbbbbb\"/>\n",
            WIDTH + 16, height + 24, WIDTH + 16, height + 24, rf_trace_bytes(memory, top), WIDTH, HEIGHT, WIDTH);
  for (size_t i = 0; i < o->on->count; i++) {
    unsigned const y = HEIGHT + (unsigned)(i + 1) * LEGEND;
    if (is_whole(&all[i].figures, t)) {
      write_line(sink, all[i].series, top, colour_of(i));
      rf_markup(sink, "<path d=\"M0 %uH24\" stroke=\"%s\" stroke-width=\"3\"/><text x=\"32\" y=\"%u\">%s</text>\n", y,
                colour_of(i), y + 4, o->on->items[i]->name);
    }
  }
  rf_sink_str(sink, "</svg>\n");
}

static size_t highest(const rf_replay_compare_options *o, const row *all) {
  size_t top = 1;
  for (size_t i = 0; i < o->on->count; i++) {
    for (size_t at = 0; at < POINTS; at++) {
      top = all[i].series[at] > top ? all[i].series[at] : top;
    }
  }
  return top;
}

static bool save_svg(const rf_replay_compare_options *o, const row *all, const trace *t, rf_bump_arena *memory) {
  FILE *const file = rf_output_open(o->svg);
  if (file == NULL) {
    return false;
  }
  rf_sink const sink = rf_file_sink(file);
  write_svg(&sink, o, all, highest(o, all), t, memory);
  return rf_output_close(file, o->svg);
}

int rf_replay_compare(const rf_replay_compare_options *o, const trace *t, rf_bump_arena *memory) {
  row *const all = rf_bump_arena_array(memory, o->on->count, sizeof *all);
  int const width = widest(o->on);
  int status = 0;
  replay_memory m = replay_memory_make(t, o->most);
  (void)printf("arenas of %s\n%-*s %9s %9s %9s %11s %9s %9s %9s\n", rf_trace_bytes(memory, o->arena), width,
               "allocator", "ns/request", "slowest", "failures", "footprint", "over peak", "frag. end", "at most");
  for (size_t i = 0; i < o->on->count; i++) {
    (void)printf("%-*s", width, o->on->items[i]->name);
    (void)fflush(stdout);
    all[i] = measure(o, o->on->items[i], t, &m);
    status = !is_whole(&all[i].figures, t) || all[i].figures.failed != 0 ? 1 : status;
    print_row(&all[i].figures, t, o->limit, memory);
    (void)fflush(stdout);
  }
  replay_memory_free(t, &m);
  return o->svg == NULL || save_svg(o, all, t, memory) ? status : RF_EXIT_USAGE;
}
