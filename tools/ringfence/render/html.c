/* The document as one HTML page that needs nothing else: no network, no fonts, no script to be read. It is well-formed
 * XML as well, so that tools can take it apart. The style and the script are page/style.css and page/script.js.
 */
#include "tools/ringfence/render/html_page.h"

#include "tools/ringfence/base/version.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/render/markup.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

static const char style[] =
#include "tools/ringfence/render/page/style.inc"
    ;
static const char script[] =
#include "tools/ringfence/render/page/script.inc"
    ;

/* More findings than this make a browser slow, and nobody reads them. */
#define SHOWN_MOST ((size_t)1000)

static void raw(const rf_html_page *p, const char *text) {
  rf_sink_str(p->sink, text);
}

static size_t count_shown(const rf_html_page *p) {
  return p->d->count < SHOWN_MOST ? p->d->count : SHOWN_MOST;
}

/* ---- Head ---- */

static void head(const rf_html_page *p) {
  rf_markup(
      p->sink,
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"generator\" content=\"Ringfence %s\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\"/>\n<title>%s - Ringfence</title>\n<style>\n",
      RF_VERSION, rf_counted(p->arena, p->d->count, "finding"));
  raw(p, style);
  raw(p, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#findings\">To the findings</a>\n");
}

static void figure(const rf_html_page *p, const char *class_name, const char *value, const char *name) {
  rf_markup(p->sink, "<li class=\"%s\"><b>%s</b> %s</li>\n", class_name, value, name);
}

static void counted_figure(const rf_html_page *p, const char *class_name, uint64_t value, const char *name) {
  figure(p, class_name, rf_bump_arena_print(p->arena, "%" PRIu64, value), name);
}

static void run_figures(const rf_html_page *p, const rf_totals *t) {
  counted_figure(p, "", t->processes, rf_noun(p->arena, t->processes, "process"));
  counted_figure(p, "", t->allocations, rf_noun(p->arena, t->allocations, "allocation"));
  figure(p, "", rf_bytes_text(p->arena, t->peak), "at the peak");
  if (WIFSIGNALED(t->wait_status)) {
    figure(p, "error", strsignal(WTERMSIG(t->wait_status)), "ended the program");
  } else {
    counted_figure(p, "", (uint64_t)WEXITSTATUS(t->wait_status), "exit status of the program");
  }
}

static void figures(const rf_html_page *p) {
  const rf_document *const d = p->d;
  const char *const verdict = rf_document_new(d) != 0 || rf_document_lost(p->arena, d) != NULL ? "error" : "good";
  raw(p, "<ul class=\"figures\">\n");
  counted_figure(p, verdict, d->count, rf_noun(p->arena, d->count, "finding"));
  if (d->baseline != NULL) {
    counted_figure(p, verdict, rf_document_new(d), "new");
    counted_figure(p, "", d->known, "known (baseline)");
    counted_figure(p, "", rf_baseline_unmet(d->baseline), "of the baseline not found");
  }
  if (d->times > d->count) {
    counted_figure(p, "", d->times, "times found in all");
  }
  if (d->hidden_times != 0) {
    counted_figure(p, "", d->hidden_times, "suppressed");
  }
  if (d->totals != NULL) {
    run_figures(p, d->totals);
  }
  raw(p, "</ul>\n");
}

static void banner(const rf_html_page *p) {
  raw(p, "<header>\n<h1>Ringfence report</h1>\n");
  if (p->d->command != NULL) {
    rf_markup(p->sink, "<p class=\"command\"><code>%s</code></p>\n", p->d->command);
  }
  if (p->d->began != 0) {
    rf_markup(p->sink, "<p class=\"dim\"><time>%s</time></p>\n",
              rf_time_text(p->arena, p->d->began, "%Y-%m-%d %H:%M:%S UTC"));
  }
  figures(p);
  raw(p, "</header>\n<main>\n");
}

/* ---- Tools and list ---- */

static size_t count_kind(const rf_html_page *p, rf_bug bug) {
  size_t count = 0;
  for (size_t i = 0; i < count_shown(p); i++) {
    count += p->d->records[i]->finding.bug == bug;
  }
  return count;
}

/* A filter for one kind alone would do nothing. */
static void kind_filters(const rf_html_page *p) {
  for (unsigned bug = 0; bug < RF_BUG_COUNT; bug++) {
    size_t const count = count_kind(p, (rf_bug)bug);
    const char *const name = rf_bug_name((rf_bug)bug);
    if (count != 0 && count != count_shown(p)) {
      rf_markup(p->sink, "<button type=\"button\" aria-pressed=\"false\" data-kind-filter=\"%s\">%s %zu</button>\n",
                name, name, count);
    }
  }
}

static void tools(const rf_html_page *p) {
  if (p->d->count == 0) {
    return;
  }
  raw(p, "<div class=\"tools\" id=\"tools\" role=\"group\" aria-label=\"Filter and sort\" hidden=\"hidden\">\n"
         "<input type=\"search\" id=\"search\" placeholder=\"Function, file, kind, address\" aria-label=\"Search\"/>\n"
         "<label>Sort by <select id=\"order\"><option value=\"index\">order found</option>"
         "<option value=\"kind\">kind</option><option value=\"place\">place</option>"
         "<option value=\"times\">times found</option><option value=\"size\">size</option></select></label>\n");
  kind_filters(p);
  if (p->d->known != 0) {
    raw(p, "<button type=\"button\" aria-pressed=\"false\" id=\"hide-known\">Hide known</button>\n");
  }
  raw(p, "<button type=\"button\" id=\"open-all\">Open all</button>\n"
         "<button type=\"button\" id=\"close-all\">Close all</button>\n"
         "<span class=\"shown\" id=\"shown\" role=\"status\"></span>\n</div>\n");
}

static void list_row(const rf_html_page *p, const rf_record *record, size_t index) {
  rf_markup(p->sink, "<tr id=\"row-f%zu\"", index + 1);
  rf_html_sort_keys(p, record, index);
  rf_markup(p->sink, "><td><a href=\"#f%zu\">%s</a></td><td>%s", index + 1, rf_bug_name(record->finding.bug),
            rf_document_title(p->arena, record));
  raw(p, record->known ? " <span class=\"mark\">known</span>" : "");
  rf_markup(p->sink, "</td><td class=\"place mono\">%s</td><td class=\"number\">%u</td></tr>\n",
            rf_html_place(p, record, rf_stack_view_blamed(record)), record->times);
}

static void list(const rf_html_page *p) {
  if (p->d->count < 2) {
    return;
  }
  raw(p, "<div class=\"scroll\"><table class=\"list\" id=\"list\">\n<thead><tr><th scope=\"col\">Kind</th>"
         "<th scope=\"col\">What</th><th scope=\"col\">Place</th><th scope=\"col\" class=\"number\">Times</th></tr>"
         "</thead>\n<tbody>\n");
  for (size_t i = 0; i < count_shown(p); i++) {
    list_row(p, p->d->records[i], i);
  }
  raw(p, "</tbody></table></div>\n");
}

static void findings(const rf_html_page *p) {
  raw(p, "<h2>Findings</h2>\n");
  if (count_shown(p) < p->d->count) {
    rf_markup(p->sink, "<p>The first %zu findings; %zu more are left out. JSON, SARIF and text have all.</p>\n",
              count_shown(p), p->d->count - count_shown(p));
  }
  tools(p);
  list(p);
  raw(p, p->d->count < 2 ? "" : "<h2>Each in detail</h2>\n");
  raw(p, "<div id=\"findings\">\n");
  for (size_t i = 0; i < count_shown(p); i++) {
    rf_html_finding(p, p->d->records[i], i);
  }
  const char *const lost = rf_document_lost(p->arena, p->d);
  if (lost != NULL) {
    rf_markup(p->sink, "<p class=\"lost\">%s.</p>\n", lost);
  } else if (p->d->count == 0) {
    raw(p, "<p class=\"empty\">Nothing was found.</p>\n");
  }
  raw(p, "</div>\n");
}

/* ---- Snapshots ---- */

static int64_t magnitude(int64_t value) {
  return value < 0 ? -value : value;
}

static int64_t largest(const rf_snapshot_table *t) {
  int64_t most = 1;
  for (size_t i = 0; i < t->count; i++) {
    most = magnitude(t->rows[i].bytes) > most ? magnitude(t->rows[i].bytes) : most;
  }
  return most;
}

/* With a bar of its share of `most`, unless that is 0. */
static void signed_cell(const rf_html_page *p, int64_t value, bool difference, int64_t most) {
  const char *const change = !difference || value == 0 ? "" : value > 0 ? " grow" : " shrink";
  rf_markup(p->sink, "<td class=\"number%s\" data-value=\"%s\">%s", change,
            rf_bump_arena_print(p->arena, "%" PRId64, value),
            rf_bump_arena_print(p->arena, difference ? "%+" PRId64 : "%" PRId64, value));
  if (most != 0) {
    rf_markup(p->sink, "<span class=\"bar\" style=\"width:%u%s\"></span>",
              (unsigned)(100.0 * (double)magnitude(value) / (double)most), "%");
  }
  raw(p, "</td>");
}

/* The place, and the calls that led to it. */
static void origin_cell(const rf_html_page *p, const rf_record *origin) {
  enum { CALLERS = 3 };
  rf_stack_view const view = rf_stack_view_of(p->arena, origin, RF_STACK_ALLOCATED);
  const rf_frame_view *const top = rf_stack_view_top(&view);
  unsigned shown = 0;
  rf_markup(p->sink, "<td class=\"place mono\">%s", rf_html_place(p, origin, RF_STACK_ALLOCATED));
  for (size_t i = 0; i < view.count && shown < CALLERS; i++) {
    if (!view.list[i].runtime && !view.list[i].system_header && top != NULL && &view.list[i] > top) {
      raw(p, shown == 0 ? "<br/><span class=\"chain\">from " : ", ");
      rf_markup(p->sink, "%s", rf_frame_view_text(p->arena, &view.list[i], origin->directory));
      shown++;
    }
  }
  raw(p, shown != 0 ? "</span></td>" : "</td>");
}

static void snapshot_head(const rf_html_page *p, const rf_snapshot_table *t) {
  if (t->since == NULL) {
    rf_markup(p->sink, "<h2>Snapshot \"%s\"</h2>\n<p class=\"dim\">%s live", t->name,
              rf_snapshot_table_sums(p->arena, t));
  } else {
    rf_markup(p->sink, "<h2>From \"%s\" to \"%s\": allocated since and not freed</h2>\n<p class=\"dim\">%s", t->since,
              t->name, rf_snapshot_table_sums(p->arena, t));
  }
  if (t->allocator != NULL) {
    rf_markup(p->sink, ", allocator %s", t->allocator);
  }
  if (t->process != 0) {
    rf_markup(p->sink, ", process %u", (unsigned)t->process);
  }
  if (t->omitted != 0) {
    rf_markup(p->sink, "; %s of call sites that did not fit", rf_counted(p->arena, t->omitted, "block"));
  }
  raw(p, "</p>\n");
}

static void snapshot(const rf_html_page *p, const rf_snapshot_table *t) {
  bool const difference = t->since != NULL;
  int64_t const most = largest(t);
  snapshot_head(p, t);
  if (t->count == 0) {
    raw(p, difference ? "<p class=\"empty\">No difference.</p>\n" : "<p class=\"empty\">Nothing was live.</p>\n");
    return;
  }
  raw(p, "<div class=\"scroll\"><table class=\"list sortable\">\n<thead><tr><th scope=\"col\" class=\"number\" "
         "aria-sort=\"descending\">Bytes</th><th scope=\"col\" class=\"number\">Blocks</th><th scope=\"col\">Call "
         "site</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < t->count; i++) {
    raw(p, "<tr>");
    signed_cell(p, t->rows[i].bytes, difference, most);
    signed_cell(p, t->rows[i].blocks, difference, 0);
    origin_cell(p, t->rows[i].origin);
    raw(p, "</tr>\n");
  }
  raw(p, "</tbody></table></div>\n");
}

/* ---- Suppressions ---- */

static void suppressions(const rf_html_page *p) {
  if (p->d->rule_count == 0) {
    return;
  }
  raw(p, "<h2>Suppressions used</h2>\n<div class=\"scroll\"><table class=\"list sortable\">\n<thead><tr>"
         "<th scope=\"col\" class=\"number\">Times</th><th scope=\"col\" class=\"number\">Bytes</th>"
         "<th scope=\"col\">Rule</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < p->d->rule_count; i++) {
    const rf_used_rule *const rule = &p->d->rules[i];
    rf_markup(p->sink,
              "<tr><td class=\"number\">%zu</td><td class=\"number\">%zu</td><td class=\"place mono\">%s</td></tr>\n",
              (size_t)rule->count, (size_t)rule->bytes, rule->rule);
  }
  raw(p, "</tbody></table></div>\n");
}

void rf_document_html(rf_bump_arena *arena, const rf_document *d, const rf_sink *sink) {
  rf_html_page const p = {arena, d, sink};
  head(&p);
  banner(&p);
  findings(&p);
  for (size_t i = 0; i < d->snapshot_count; i++) {
    snapshot(&p, d->snapshots[i]);
  }
  suppressions(&p);
  raw(&p, "</main>\n<footer>Written by Ringfence " RF_VERSION ".</footer>\n<script>\n");
  raw(&p, script);
  raw(&p, "</script>\n</body>\n</html>\n");
}
