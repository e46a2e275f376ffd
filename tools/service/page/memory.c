/* Memory over time. */
#include "tools/service/page/process_parts.h"

#include "tools/ringfence/base/words.h"
#include "tools/service/intake/envelope.h"

#include <math.h>
#include <string.h>

#define HEIGHT 160
#define TOP 16
#define WIDTH 1000
#define LINES 4

typedef struct axes {
  int64_t begin; /* ms since 1970 */
  int64_t end;
  double most; /* bytes at the top */
  double step; /* between lines */
  double count;
  bool resident;
} axes;

static int64_t time_of(const rf_json *s) {
  return rf_time_read(rf_json_text(s, "time", ""));
}

/* A power of two, which stands for round KiB and MiB. */
static double step_for(double most) {
  double step = 1;
  while (step * LINES < most) {
    step *= 2;
  }
  return step;
}

static axes measure(const rf_json *list) {
  axes a = {.begin = INT64_MAX, .end = 0};
  for (const rf_json *s = list; s != NULL; s = s->next) {
    int64_t const time = time_of(s);
    double const bytes = (double)rf_json_unsigned(s, "bytes", 0);
    double const resident = (double)rf_json_unsigned(s, "resident", 0);
    a.begin = time < a.begin ? time : a.begin;
    a.end = time > a.end ? time : a.end;
    a.most = bytes > a.most ? bytes : a.most;
    a.most = resident > a.most ? resident : a.most;
    a.resident = a.resident || resident > 0;
    a.count++;
  }
  a.step = step_for(a.most);
  a.most = a.most <= 0 ? 1 : a.step * ceil(a.most / a.step);
  return a;
}

/* From 0 to 1. Snapshots of one moment, as a file has them that was imported, stand in their order. */
static double across(const axes *a, const rf_json *s) {
  if (a->end > a->begin) {
    return 0.01 + 0.98 * (double)(time_of(s) - a->begin) / (double)(a->end - a->begin);
  }
  double after = 0;
  for (const rf_json *n = s->next; n != NULL; n = n->next) {
    after++;
  }
  return 1 - (after + 0.5) / a->count;
}

static double down(const axes *a, double bytes) {
  return HEIGHT * (1 - bytes / a->most);
}

/* ---- Lines ---- */

static void line(const rf_page *p, const axes *a, const rf_json *list, const char *name, const char *class_name) {
  double first = 0;
  double last = 0;
  rf_markup(p->sink, "<path class=\"%s\" d=\"", class_name);
  for (const rf_json *s = list; s != NULL; s = s->next) {
    last = WIDTH * across(a, s);
    first = s == list ? last : first;
    rf_markup(p->sink, "%s%s %s", s == list ? "M" : "L", rf_svg_number(p, last),
              rf_svg_number(p, down(a, (double)rf_json_unsigned(s, name, 0))));
  }
  if (strcmp(class_name, "area") == 0) {
    rf_markup(p->sink, "L%s %uL%s %uz", rf_svg_number(p, last), (unsigned)HEIGHT, rf_svg_number(p, first),
              (unsigned)HEIGHT);
  }
  rf_page_raw(p, "\"/>");
}

static void grid(const rf_page *p, const axes *a) {
  for (unsigned i = 0; i * a->step <= a->most; i++) {
    const char *const y = rf_svg_number(p, TOP + down(a, i * a->step));
    rf_markup(p->sink, "<line class=\"axis\" x1=\"0\" x2=\"100%s\" y1=\"%s\" y2=\"%s\"/>", "%", y, y);
  }
}

/* Over the lines, so that they can be read. */
static void ticks(const rf_page *p, const axes *a) {
  for (unsigned i = 1; i * a->step <= a->most; i++) {
    double const bytes = i * a->step;
    rf_markup(p->sink, "<text class=\"tick\" x=\"0\" y=\"%s\" dy=\"-3\">%s</text>",
              rf_svg_number(p, TOP + down(a, bytes)), rf_bytes_text(p->arena, (uint64_t)bytes));
  }
}

static const char *class_of(const rf_process_view *v, uint64_t id) {
  return v->snapshot != NULL && id == rf_json_unsigned(v->snapshot, "id", 0) ? "point shown"
         : v->against != NULL && id == rf_json_unsigned(v->against, "id", 0) ? "point against"
                                                                             : "point";
}

static void point(const rf_process_view *v, const axes *a, const rf_json *s) {
  const rf_page *const p = v->page;
  uint64_t const bytes = rf_json_unsigned(s, "bytes", 0);
  const char *const id = rf_page_plain_number(p, s, "id");
  rf_markup(p->sink,
            "<a href=\"?snapshot=%s\"><circle class=\"%s\" cx=\"%s%s\" cy=\"%s\" r=\"5\"/><title>%s, %s: %s in %s"
            "</title></a>\n",
            id, class_of(v, rf_json_unsigned(s, "id", 0)), rf_svg_number(p, 100 * across(a, s)), "%",
            rf_svg_number(p, TOP + down(a, (double)bytes)), rf_json_text(s, "name", ""),
            rf_bump_arena_print(p->arena, "%.19s", rf_json_text(s, "time", "")), rf_bytes_text(p->arena, bytes),
            rf_page_counted(p, rf_json_unsigned(s, "blocks", 0), "block"));
}

void rf_page_memory(const rf_process_view *v) {
  const rf_page *const p = v->page;
  const rf_json *const list = rf_json_list(p->json, "snapshots");
  axes const a = measure(list);
  if (list == NULL) {
    return;
  }
  rf_page_raw(p, "<figure class=\"memory\">\n<figcaption>Memory over time <span class=\"key\">live</span>");
  rf_page_raw(p, a.resident ? " <span class=\"key resident\">resident</span>" : "");
  rf_markup(p->sink,
            "</figcaption>\n<svg role=\"group\" aria-label=\"Live bytes over time, a link for each snapshot\" "
            "width=\"100%s\" "
            "height=\"%u\">\n",
            "%", (unsigned)(HEIGHT + TOP + 8));
  grid(p, &a);
  rf_markup(p->sink, "<svg y=\"%u\" width=\"100%s\" height=\"%u\" viewBox=\"0 0 %u %u\" preserveAspectRatio=\"none\">",
            (unsigned)TOP, "%", (unsigned)HEIGHT, (unsigned)WIDTH, (unsigned)HEIGHT);
  line(p, &a, list, "bytes", "area");
  line(p, &a, list, "bytes", "live-line");
  if (a.resident) {
    line(p, &a, list, "resident", "resident-line");
  }
  rf_page_raw(p, "</svg>\n");
  ticks(p, &a);
  for (const rf_json *s = list; s != NULL; s = s->next) {
    if (rf_json_bool(s, "whole", false)) {
      point(v, &a, s);
    }
  }
  rf_markup(p->sink, "</svg>\n<div class=\"scale\"><span>%s</span><span>%s</span></div>\n</figure>\n",
            rf_time_text(p->arena, a.begin / 1000, "%Y-%m-%d %H:%M:%S"),
            rf_time_text(p->arena, a.end / 1000, "%Y-%m-%d %H:%M:%S"));
}
