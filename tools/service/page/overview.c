/* Builds, and the store itself. */
#include "tools/service/page/parts.h"

#include "tools/ringfence/base/words.h"

/* ---- Builds ---- */

static void build(const rf_page *p, const rf_json *b) {
  rf_page_raw(p, "<tr><td class=\"wrap mono\">");
  rf_page_build_link(p, b);
  rf_page_raw(p, "</td><td data-name=\"last\">");
  rf_page_time(p, rf_json_text(b, "last_seen", ""));
  rf_page_raw(p, "</td>");
  rf_page_number_cell(p, b, "new_findings", "new", "new");
  rf_page_number_cell(p, b, "findings", "finding", "findings");
  rf_page_number_cell(p, b, "events", "event", "events");
  rf_page_number_cell(p, b, "processes", "process", "processes");
  rf_markup(p->sink, "<td class=\"number\" data-name=\"hours\">%s</td><td class=\"dim\">%s</td></tr>\n",
            rf_page_real(p, b, "hours"), rf_json_bool(b, "order_guessed", false) ? "guessed" : "given");
}

void rf_page_builds(const rf_page *page) {
  const char *const link = rf_bump_arena_print(page->arena, "%s/builds?limit=%s", page->base,
                                               rf_page_plain_number(page, page->json, "limit"));
  rf_page_head(page->sink, page->base, "Builds", "/builds");
  rf_page_raw(page,
              "<h1>Builds</h1>\n<p class=\"dim\">Newest first. The order is as CI gave it (<code>ringfence builds "
              "--add</code>), else guessed from when each was first seen.</p>\n");
  if (rf_json_list(page->json, "builds") == NULL) {
    if (!rf_page_is_behind(page, rf_json_unsigned(page->json, "total", 0), link)) {
      rf_page_nothing_yet(page, "No build is known yet.", "", "./program");
    }
    rf_page_foot(page->sink);
    return;
  }
  rf_page_raw(page,
              "<table class=\"findings\">\n<thead><tr><th "
              "scope=\"col\">Build</th><th scope=\"col\">Last seen</th><th scope=\"col\" class=\"number\">New</th>"
              "<th scope=\"col\" class=\"number\">Findings</th><th scope=\"col\" class=\"number\">Events</th><th "
              "scope=\"col\" class=\"number\">Processes</th><th scope=\"col\" class=\"number\">Hours</th><th "
              "scope=\"col\">Order</th></tr></thead>\n<tbody>\n");
  for (const rf_json *b = rf_json_list(page->json, "builds"); b != NULL; b = b->next) {
    build(page, b);
  }
  rf_page_raw(page, "</tbody></table>\n");
  rf_page_pager(page, link, "build", rf_json_length(rf_json_list(page->json, "builds")));
  rf_page_foot(page->sink);
}

/* ---- Status ---- */

static void size_figure(const rf_page *p, const char *name, const char *title) {
  rf_page_figure(p, "", rf_bytes_text(p->arena, rf_json_unsigned(p->json, name, 0)), title);
}

static void count_figure(const rf_page *p, const char *name, const char *noun) {
  uint64_t const count = rf_json_unsigned(p->json, name, 0);
  rf_page_figure(p, "", rf_page_number(p, count), rf_noun(p->arena, count, noun));
}

static void missing(const rf_page *p) {
  const rf_json *const list = rf_json_list(p->json, "missing");
  if (list == NULL) {
    return;
  }
  rf_page_raw(p, "<h2>Symbols missing</h2>\n<p><code>ringfence symbols upload FILE</code> names functions and lines, "
                 "also of events that are here.</p>\n<table class=\"findings\"><thead><tr><th scope=\"col\">Build-id"
                 "</th><th scope=\"col\">Module</th><th scope=\"col\" class=\"number\">Findings</th><th scope=\"col\" "
                 "class=\"number\">Processes</th></tr></thead><tbody>\n");
  for (const rf_json *m = list; m != NULL; m = m->next) {
    rf_markup(p->sink, "<tr><td class=\"wrap mono\">%s</td><td class=\"wrap\">%s</td>", rf_json_text(m, "build_id", ""),
              rf_json_text(m, "module", ""));
    rf_page_number_cell(p, m, "findings", "finding", "findings");
    rf_page_number_cell(p, m, "processes", "process", "processes");
    rf_page_raw(p, "</tr>\n");
  }
  rf_page_raw(p, "</tbody></table>\n");
}

void rf_page_status(const rf_page *page) {
  rf_page_head(page->sink, page->base, "Status", "/status");
  rf_page_raw(page, "<h1>Status</h1>\n<ul class=\"figures\">\n");
  count_figure(page, "findings", "finding");
  count_figure(page, "events", "event");
  rf_page_figure(page, "", rf_page_number(page, rf_json_unsigned(page->json, "events_kept", 0)), "kept whole");
  count_figure(page, "builds", "build");
  count_figure(page, "processes", "process");
  rf_page_figure(page, "", rf_page_real(page, page->json, "hours"), "process-hours");
  size_figure(page, "database_bytes", "database");
  size_figure(page, "waiting_bytes", "waiting in the spool");
  size_figure(page, "free_bytes", "free on the disk");
  if (rf_json_unsigned(page->json, "repeats_waiting", 0) != 0) {
    rf_page_figure(page, "", rf_page_number(page, rf_json_unsigned(page->json, "repeats_waiting", 0)),
                   "events whose finding has not come");
  }
  rf_markup(page->sink, "</ul>\n<p>Folder: <code>%s</code></p>\n<h2>Lost or not understood</h2>\n",
            rf_json_text(page->json, "directory", ""));
  const rf_json *const losses = rf_json_list(page->json, "losses");
  if (losses == NULL) {
    rf_page_raw(page, "<p class=\"empty\">Nothing was lost.</p>\n");
  } else {
    rf_page_raw(page, "<table class=\"findings\"><thead><tr><th scope=\"col\">Kind</th><th scope=\"col\" "
                      "class=\"number\">Count</th><th scope=\"col\">Last</th></tr></thead><tbody>\n");
    for (const rf_json *l = losses; l != NULL; l = l->next) {
      rf_markup(page->sink, "<tr><td>%s</td>", rf_json_text(l, "what", ""));
      rf_page_number_cell(page, l, "count", "count", "count");
      rf_page_raw(page, "<td>");
      rf_page_time(page, rf_json_text(l, "last_seen", ""));
      rf_page_raw(page, "</td></tr>\n");
    }
    rf_page_raw(page, "</tbody></table>\n");
  }
  missing(page);
  if (page->signed_in) {
    rf_markup(page->sink,
              "<h2>This browser</h2>\n<form method=\"post\" action=\"%s/sign-out\" class=\"stack-form\">\n"
              "<p>It is signed in.</p>\n<button>Sign out</button>\n</form>\n",
              page->base);
  }
  rf_page_foot(page->sink);
}
