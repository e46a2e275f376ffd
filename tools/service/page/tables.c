/* Tables on the page of a finding. */
#include "tools/service/page/finding_parts.h"

#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <string.h>

static void bar_row(const rf_page *p, const rf_json *n, uint64_t most) {
  uint64_t const count = rf_json_unsigned(n, "count", 0);
  rf_markup(p->sink,
            "<tr><td class=\"wrap\">%s<svg class=\"share\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" "
            "aria-hidden=\"true\"><rect width=\"%zu\" height=\"4\"/></svg></td><td class=\"number\">%s</td></tr>\n",
            rf_json_text(n, "name", ""), (size_t)(most == 0 ? 0 : 100 * count / most), rf_page_number(p, count));
}

static uint64_t largest(const rf_json *list) {
  uint64_t most = 0;
  for (const rf_json *n = list; n != NULL; n = n->next) {
    uint64_t const count = rf_json_unsigned(n, "count", 0);
    most = count > most ? count : most;
  }
  return most;
}

static uint64_t left_out(const rf_page *p, const char *name) {
  uint64_t const total = rf_json_unsigned(rf_json_member(p->json, "totals"), name, 0);
  uint64_t const shown = rf_json_length(rf_json_list(p->json, name));
  return total > shown ? total - shown : 0;
}

static void more(const rf_page *p, const char *name) {
  uint64_t const left = left_out(p, name);
  if (left != 0) {
    rf_markup(p->sink, "<p class=\"dim\">%s more: <a href=\"%s/finding/%s?limit=1000\">all</a>.</p>\n",
              rf_page_number(p, left), p->base, rf_page_plain_number(p, p->json, "id"));
  }
}

void rf_page_names(const rf_page *p, const char *name, const char *title) {
  const rf_json *const list = rf_json_list(p->json, name);
  if (list == NULL) {
    return;
  }
  rf_markup(p->sink, "<section class=\"card\"><h2>%s</h2>\n<table class=\"plain\"><tbody>\n", title);
  for (const rf_json *n = list; n != NULL; n = n->next) {
    bar_row(p, n, largest(list));
  }
  rf_page_raw(p, "</tbody></table>\n");
  more(p, name);
  rf_page_raw(p, "</section>\n");
}

void rf_page_builds_of(const rf_page *p) {
  const rf_json *const list = rf_json_list(p->json, "builds");
  bool guessed = false;
  rf_page_raw(p, "<section class=\"card\"><h2>Builds</h2>\n<table class=\"plain\"><tbody>\n");
  for (const rf_json *b = list; b != NULL; b = b->next) {
    guessed = guessed || rf_json_bool(b, "order_guessed", false);
    rf_page_raw(p, "<tr><td class=\"wrap mono\">");
    rf_page_build_link(p, b);
    rf_page_raw(p, "</td><td>");
    rf_page_time(p, rf_json_text(b, "last_seen", ""));
    rf_markup(p->sink, "</td><td class=\"number\">%s</td></tr>\n", rf_page_number(p, rf_json_unsigned(b, "count", 0)));
  }
  rf_page_raw(p, "</tbody></table>\n");
  more(p, "builds");
  if (guessed) {
    rf_page_raw(p, "<p class=\"dim\">Newest first, by the time when each was first seen: a guess. <code>ringfence "
                   "builds --add</code> "
                   "tells their order.</p>\n");
  }
  rf_page_raw(p, "</section>\n");
}

static const char *roles_of(const rf_page *p, const rf_json *e) {
  static const char *const roles[] = {"first", "last", "richest"};
  const char *text = "";
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    if (rf_json_bool(e, roles[i], false)) {
      text = rf_bump_arena_print(p->arena, "%s%s%s", text, text[0] == '\0' ? "" : ", ", roles[i]);
    }
  }
  return text;
}

void rf_page_events(const rf_page *p) {
  uint64_t const shown = rf_json_unsigned(p->json, "event", 0);
  const char *const finding = rf_page_plain_number(p, p->json, "id");
  rf_page_raw(p,
              "<section class=\"card wide\"><h2>Events kept</h2>\n<div class=\"scroll\" tabindex=\"0\" "
              "role=\"region\" aria-label=\"Events kept\"><table class=\"plain\">\n<thead><tr><th scope=\"col\">Event"
              "</th><th scope=\"col\">Time</th><th scope=\"col\">Build</th><th scope=\"col\">Program</th><th "
              "scope=\"col\">Host</th><th scope=\"col\">Environment</th><th scope=\"col\">Mode</th></tr></thead>\n"
              "<tbody>\n");
  for (const rf_json *e = rf_json_list(p->json, "events"); e != NULL; e = e->next) {
    static const char *const texts[] = {"program", "host", "environment", "mode"};
    uint64_t const id = rf_json_unsigned(e, "id", 0);
    const char *const number = rf_bump_arena_print(p->arena, "%" PRIu64, id);
    rf_page_raw(p, id == shown ? "<tr class=\"shown\"><td>" : "<tr><td>");
    rf_markup(p->sink, "<a href=\"%s/finding/%s?event=%s\">%s</a> <span class=\"dim\">%s</span></td><td>", p->base,
              finding, number, number, roles_of(p, e));
    rf_page_time(p, rf_json_text(e, "time", ""));
    rf_markup(p->sink, "</td><td class=\"wrap mono\" title=\"%s\">%s</td>", rf_json_text(e, "build", ""),
              rf_page_build(p, e));
    for (size_t i = 0; i < 4; i++) {
      rf_markup(p->sink, "<td class=\"wrap\">%s</td>", rf_json_text(e, texts[i], ""));
    }
    rf_page_raw(p, "</tr>\n");
  }
  rf_page_raw(p, "</tbody></table></div>\n");
  uint64_t const left = left_out(p, "events");
  if (left != 0) {
    rf_markup(
        p->sink, "<p class=\"dim\">%s kept.</p>\n",
        rf_bump_arena_print(p->arena, "%s more %s", rf_page_number(p, left), left == 1 ? "event is" : "events are"));
  }
  rf_page_raw(p, "</section>\n");
}

static void other(const rf_page *p, const rf_json *o, const char *why) {
  const char *const id = rf_page_plain_number(p, o, "id");
  rf_markup(p->sink,
            "<tr><td class=\"wrap\"><a href=\"%s/finding/%s\">#%s</a> %s <span class=\"place mono\">%s</span></td>"
            "<td class=\"dim\">%s</td></tr>\n",
            p->base, id, id, rf_json_text(o, "title", ""), rf_page_place(p, o), why);
}

/* "same allocation and free" */
static const char *shared_text(const rf_page *p, const rf_json *related) {
  static const char *const stacks[][2] = {
      {"same_access", "access"}, {"same_allocation", "allocation"}, {"same_free", "free"}};
  const char *text = "same";
  for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
    if (rf_json_bool(related, stacks[i][0], false)) {
      text = rf_bump_arena_print(p->arena, "%s%s %s", text, strcmp(text, "same") == 0 ? "" : " and", stacks[i][1]);
    }
  }
  return text;
}

void rf_page_related(const rf_page *p) {
  const rf_json *const related = rf_json_list(p->json, "related");
  const rf_json *const merged = rf_json_list(p->json, "merged");
  if (related == NULL && merged == NULL) {
    return;
  }
  rf_page_raw(p, "<section class=\"card wide\"><h2>Related findings</h2>\n<table class=\"plain\"><tbody>\n");
  for (const rf_json *m = merged; m != NULL; m = m->next) {
    other(p, m, "merged into this one");
  }
  for (const rf_json *r = related; r != NULL; r = r->next) {
    other(p, r, shared_text(p, r));
  }
  rf_page_raw(p, "</tbody></table>\n");
  uint64_t const left = left_out(p, "merged");
  if (left != 0) {
    rf_markup(p->sink, "<p class=\"dim\">%s merged into this one.</p>\n",
              rf_bump_arena_print(p->arena, "%s more %s", rf_page_number(p, left),
                                  left == 1 ? "finding is" : "findings are"));
  }
  rf_page_raw(p, "</section>\n");
}

void rf_page_history(const rf_page *p) {
  static const char *const keys[][2] = {
      {"key", "Group"}, {"access_key", "Access"}, {"allocation_key", "Allocation"}, {"free_key", "Free"}};
  rf_page_raw(p, "<section class=\"card\"><h2>History</h2>\n<table class=\"plain\"><tbody>\n");
  for (const rf_json *a = rf_json_list(p->json, "activity"); a != NULL; a = a->next) {
    const char *const environment = rf_json_text(a, "environment", "");
    const char *const text = rf_json_text(a, "text", "");
    rf_page_raw(p, "<tr><td>");
    rf_page_time(p, rf_json_text(a, "time", ""));
    rf_markup(p->sink, "</td><td class=\"wrap\"><b>%s</b>%s<bdi>%s</bdi>%s<bdi>%s</bdi></td></tr>\n",
              rf_json_text(a, "kind", ""), environment[0] == '\0' ? "" : " in ", environment,
              text[0] == '\0' ? "" : ": ", text);
  }
  rf_page_raw(p, "</tbody></table>\n</section>\n<section class=\"card\"><h2>Identity</h2>\n<dl class=\"facts\">\n");
  for (size_t i = 0; i < 4; i++) {
    const char *const key = rf_json_text(p->json, keys[i][0], NULL);
    if (key != NULL) {
      rf_markup(p->sink, "<div><dt>%s</dt><dd class=\"mono\">%s</dd></div>\n", keys[i][1], key);
    }
  }
  rf_markup(p->sink, "<div><dt>Algorithm</dt><dd class=\"mono\">%s</dd></div>\n</dl>\n</section>\n",
            rf_page_plain_number(p, p->json, "algorithm"));
}
