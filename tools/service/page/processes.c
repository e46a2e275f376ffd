/* The list of processes with snapshots, and peaks of programs. */
#include "tools/service/page/process_words.h"

#include "tools/ringfence/base/words.h"

#include <stdlib.h>
#include <string.h>

static const char *bytes_of(const rf_page *p, const rf_json *object, const char *name) {
  uint64_t const bytes = rf_json_unsigned(object, name, 0);
  return bytes == 0 ? "–" : rf_bytes_text(p->arena, bytes);
}

/* A line of live bytes, snapshot by snapshot. */
static void spark(const rf_page *p, const rf_json *list) {
  enum { HEIGHT = 22, WIDTH = 120 };
  uint64_t most = 0;
  unsigned count = 0;
  unsigned i = 0;
  (void)rf_page_sum(list, &most);
  for (const rf_json *n = list; n != NULL; n = n->next) {
    count++;
  }
  rf_markup(p->sink,
            "<svg class=\"spark line\" role=\"img\" viewBox=\"0 0 120 24\" aria-label=\"%s, at most %s live\">",
            rf_page_counted(p, count, "snapshot"), rf_bytes_text(p->arena, most));
  rf_page_raw(p, "<path class=\"axis\" d=\"M0 23.5h120\"/><path d=\"");
  for (const rf_json *n = list; n != NULL; n = n->next, i++) {
    uint64_t const value = strtoull(n->text, NULL, 10);
    unsigned const x = count < 2 ? 0 : i * WIDTH / (count - 1);
    unsigned const y = most == 0 ? HEIGHT : HEIGHT - (unsigned)((double)value / (double)most * (HEIGHT - 2));
    rf_markup(p->sink, i == 0 ? "M%u %u" : "L%u %u", x, y);
  }
  rf_page_raw(p, count == 1 ? "h120\"/></svg>" : "\"/></svg>");
}

static void row(const rf_page *p, const rf_json *f) {
  const char *const id = rf_page_plain_number(p, f, "id");
  rf_markup(p->sink,
            "<tr><td class=\"wrap\"><a class=\"kind\" href=\"%s/process/%s\">%s</a><span class=\"marks\"><span "
            "class=\"mark\">%s</span><span class=\"mark\">%s</span></span>",
            p->base, id, rf_json_text(f, "program", ""), rf_json_text(f, "mode", ""),
            rf_json_text(f, "environment", ""));
  rf_markup(p->sink, "<span class=\"place\">process %s on %s, build %s</span></td><td class=\"trend\">",
            rf_page_plain_number(p, f, "pid"), rf_json_text(f, "host", ""), rf_page_build(p, f));
  spark(p, rf_json_list(f, "trend"));
  rf_markup(p->sink,
            "</td><td class=\"number\" data-name=\"live\">%s</td><td class=\"number\" data-name=\"peak\">%s</td><td "
            "class=\"number\" data-name=\"run\">%s</td>",
            bytes_of(p, f, "bytes"), bytes_of(p, f, "peak"), rf_page_duration(p, f));
  rf_page_number_cell(p, f, "snapshot_count", "snapshot", "snapshots");
  rf_page_raw(p, "<td class=\"seen\" data-name=\"last\">");
  rf_page_time(p, rf_json_text(f, "last_seen", ""));
  rf_page_raw(p, "</td></tr>\n");
}

static void none(const rf_page *p) {
  if (strchr(p->back, '?') != NULL) {
    rf_markup(p->sink, "<p class=\"empty\">No process matches. <a href=\"%s/processes\">All processes</a></p>\n",
              p->base);
    return;
  }
  rf_page_nothing_yet(p, "No process has sent a snapshot of its memory yet.", "-o snapshot_every=60 ", "./server");
  rf_page_raw(p, "<p class=\"dim\">A snapshot is taken every 60 seconds then; others when the program calls "
                 "<code>__ringfence_snapshot(name)</code>, and with <code>-o snapshot_signal=SIGUSR2</code> on that "
                 "signal.</p>\n");
}

/* The highest peak of each day. */
static void put_days(const rf_page *p, const rf_json *list) {
  uint64_t most = 0;
  (void)rf_page_sum(list, &most);
  rf_page_bars(p, list, rf_bump_arena_print(p->arena, "Peaks of 30 days, at most %s", rf_bytes_text(p->arena, most)));
}

static void program_row(const rf_page *p, const rf_json *f) {
  rf_markup(p->sink,
            "<tr><td class=\"wrap mono\">%s</td><td class=\"wrap mono\" data-name=\"build\">%s</td><td><span "
            "class=\"mark\">%s</span></td><td class=\"name\" data-name=\"environment\">%s</td><td class=\"trend\">",
            rf_json_text(f, "program", ""), rf_page_build(p, f), rf_json_text(f, "mode", ""),
            rf_json_text(f, "environment", ""));
  put_days(p, rf_json_list(f, "peaks"));
  rf_markup(p->sink, "</td><td class=\"number\" data-name=\"peak\">%s</td>", bytes_of(p, f, "peak"));
  rf_page_number_cell(p, f, "processes", "process", "processes");
  rf_markup(p->sink, "<td class=\"number\" data-name=\"hours\">%s</td></tr>\n", rf_page_real(p, f, "hours"));
}

static void programs(const rf_page *p) {
  const rf_json *const list = rf_json_list(p->json, "programs");
  if (list == NULL) {
    return;
  }
  rf_page_raw(
      p, "<h2>Peaks of programs</h2>\n<p class=\"dim\">From the summaries of runs that have ended: the highest of each"
         " day and of all, and the build that had it.</p>\n<table class=\"findings\">\n<thead><tr><th "
         "scope=\"col\">Program</th><th scope=\"col\">Build</th><th scope=\"col\">Mode</th><th scope=\"col\">"
         "Environment</th><th scope=\"col\">30 days</th><th scope=\"col\" class=\"number\">Peak</th><th "
         "scope=\"col\" class=\"number\">Processes</th><th scope=\"col\" class=\"number\">Hours</th></tr>"
         "</thead>\n<tbody>\n");
  for (const rf_json *f = list; f != NULL; f = f->next) {
    program_row(p, f);
  }
  rf_page_raw(p, "</tbody></table>\n");
}

void rf_page_processes(const rf_page *page) {
  const rf_json *const list = rf_json_list(page->json, "processes");
  uint64_t const total = rf_json_unsigned(page->json, "total", 0);
  uint64_t shown = 0;
  rf_page_head(page->sink, page->base, "Processes", "/processes");
  rf_page_raw(page, "<h1>Processes</h1>\n<p class=\"dim\">The live memory of each process, by the snapshots that it"
                    " sent; the process heard from last comes first.</p>\n");
  if (list == NULL) {
    none(page);
  } else {
    rf_page_raw(page,
                "<table class=\"findings\">\n<thead><tr><th scope=\"col\">Program</th><th scope=\"col\">Live bytes"
                "</th><th scope=\"col\" class=\"number\">Live</th><th scope=\"col\" class=\"number\">Peak</th><th "
                "scope=\"col\" class=\"number\">Run</th><th scope=\"col\" class=\"number\">Snapshots</th><th "
                "scope=\"col\">Last</th></tr></thead>\n<tbody>\n");
  }
  for (const rf_json *f = list; f != NULL; f = f->next, shown++) {
    row(page, f);
  }
  rf_page_raw(page, list == NULL ? "" : "</tbody></table>\n");
  if (total > shown) {
    rf_markup(page->sink,
              "<p class=\"dim\">%s of %s are shown; <code>ringfence processes --program TEXT</code> finds "
              "others.</p>\n",
              rf_page_number(page, shown), rf_page_number(page, total));
  }
  programs(page);
  rf_page_foot(page->sink);
}
