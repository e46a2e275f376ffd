/* The list of findings. */
#include "tools/service/page/parts.h"

#include "tools/ringfence/base/words.h"

#include <string.h>

static const char *state_of(const rf_page *p) {
  return p->state == NULL || p->state[0] == '\0' ? "open" : p->state;
}

static bool is_given(const char *text) {
  return text != NULL && text[0] != '\0';
}

static const char *with(const rf_page *p, const char *name, const char *value) {
  return !is_given(value) ? "" : rf_bump_arena_print(p->arena, "&%s=%s", name, rf_web_encoded(p->arena, value));
}

static const char *link_to(const rf_page *p, const char *state) {
  return rf_bump_arena_print(p->arena, "%s/?state=%s%s%s%s%s%s%s", p->base, state,
                             with(p, "environment", p->environment), with(p, "build", p->build),
                             with(p, "new_in", p->new_in), with(p, "search", p->search), with(p, "order", p->order),
                             with(p, "limit", p->limit));
}

/* ---- Head ---- */

/* Findings of all states, which search, environment and build let through. */
static uint64_t count_all(const rf_page *p) {
  static const char *const states[] = {"open", "reopened", "fixed", "ignored"};
  const rf_json *const counts = rf_json_member(p->json, "counts");
  uint64_t all = 0;
  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    all += rf_json_unsigned(counts, states[i], 0);
  }
  return all;
}

static bool is_filtered(const rf_page *p) {
  return is_given(p->search) || is_given(p->environment) || is_given(p->build) || is_given(p->new_in);
}

static void tabs(const rf_page *p) {
  static const char *const states[][2] = {{"open", "Open"},   {"new", "New"},         {"reopened", "Reopened"},
                                          {"fixed", "Fixed"}, {"ignored", "Ignored"}, {"all", "All"}};
  const rf_json *const counts = rf_json_member(p->json, "counts");
  uint64_t const all = count_all(p);
  rf_page_raw(p, "<nav class=\"tabs\" aria-label=\"State\">\n");
  for (size_t i = 0; i < 6; i++) {
    uint64_t count = i == 5 ? all : rf_json_unsigned(counts, states[i][0], 0);
    count += i == 0 ? rf_json_unsigned(counts, "reopened", 0) : 0;
    rf_markup(p->sink, "<a href=\"%s\"", link_to(p, states[i][0]));
    rf_page_raw(p, strcmp(state_of(p), states[i][0]) == 0 ? " aria-current=\"page\"" : "");
    rf_markup(p->sink, ">%s <b>%s</b></a>\n", states[i][1], rf_page_number(p, count));
  }
  rf_page_raw(p, "</nav>\n");
}

static void option(const rf_page *p, const char *value, const char *text, const char *chosen) {
  rf_markup(p->sink, "<option value=\"%s\"", value);
  rf_page_raw(p, chosen != NULL && strcmp(value, chosen) == 0 ? " selected>" : ">");
  rf_markup(p->sink, "%s</option>", text);
}

/* The one that was chosen is among them, be it none of those that are known: the form would leave it out. */
static void environments(const rf_page *p) {
  bool met = !is_given(p->environment);
  rf_page_raw(p, "<label>Environment <select name=\"environment\">");
  option(p, "", "any", p->environment);
  for (const rf_json *e = rf_json_list(p->json, "environments"); e != NULL; e = e->next) {
    option(p, e->text, e->text, p->environment);
    met = met || strcmp(e->text, p->environment) == 0;
  }
  if (!met) {
    option(p, p->environment, p->environment, p->environment);
  }
  rf_page_raw(p, "</select></label>\n");
}

static void tools(const rf_page *p) {
  rf_markup(
      p->sink,
      "<form class=\"tools\" role=\"search\" action=\"%s/\">\n<input type=\"hidden\" name=\"state\" value=\"%s\">\n"
      "<input type=\"search\" id=\"search\" name=\"search\" value=\"%s\" placeholder=\"Function, file, kind, "
      "program\" aria-label=\"Search findings\">\n",
      p->base, state_of(p), p->search == NULL ? "" : p->search);
  if (is_given(p->build)) {
    rf_markup(p->sink, "<label>Build <input name=\"build\" value=\"%s\" placeholder=\"any\"></label>\n", p->build);
  }
  if (is_given(p->new_in)) {
    rf_markup(p->sink, "<label>New in <input name=\"new_in\" value=\"%s\" placeholder=\"any\"></label>\n", p->new_in);
  }
  if (is_given(p->limit)) {
    rf_markup(p->sink, "<input type=\"hidden\" name=\"limit\" value=\"%s\">\n", p->limit);
  }
  environments(p);
  rf_page_raw(p, "<label>Order <select name=\"order\">");
  option(p, "last", "last seen", p->order);
  option(p, "first", "first seen", p->order);
  option(p, "count", "events", p->order);
  rf_page_raw(p, "</select></label>\n<button>Apply</button>\n</form>\n");
}

/* ---- Rows ---- */

static void marks(const rf_page *p, const rf_json *f) {
  uint64_t const merged = rf_json_unsigned(f, "merged", 0);
  uint64_t const one_bit = rf_json_unsigned(f, "one_bit", 0);
  for (const rf_json *e = rf_json_list(f, "environments"); e != NULL; e = e->next) {
    rf_markup(p->sink, "<span class=\"mark\">%s</span>", e->text);
  }
  if (merged != 0) {
    rf_markup(p->sink, "<span class=\"mark\">%s merged</span>", rf_page_number(p, merged + 1));
  }
  if (one_bit != 0 && one_bit == rf_json_unsigned(f, "damaged", 0)) {
    rf_page_raw(p, "<span class=\"mark\">one bit off</span>");
  }
}

static void row(const rf_page *p, const rf_json *f) {
  const char *const id = rf_page_plain_number(p, f, "id");
  rf_markup(p->sink,
            "<tr class=\"%s\"><td class=\"main\"><a class=\"kind\" href=\"%s/finding/%s\">%s</a> "
            "<span class=\"dim\">#%s</span> ",
            rf_json_text(f, "level", "error"), p->base, id, rf_json_text(f, "bug", ""), id);
  rf_page_state(p, f);
  rf_page_raw(p, "<span class=\"marks\">");
  marks(p, f);
  rf_markup(p->sink,
            "</span><span class=\"title\">%s</span><span class=\"place mono\">%s</span></td><td class=\"trend\">",
            rf_json_text(f, "title", ""), rf_page_place(p, f));
  rf_page_spark(p, rf_json_list(f, "trend"));
  rf_page_raw(p, "</td>");
  rf_page_number_cell(p, f, "count", "event", "events");
  rf_page_raw(p, "<td class=\"seen\" data-name=\"last\">");
  rf_page_time(p, rf_json_text(f, "last_seen", ""));
  rf_page_raw(p, "</td><td class=\"seen age\" data-name=\"first\">");
  rf_page_time(p, rf_json_text(f, "first_seen", ""));
  rf_page_raw(p, "</td></tr>\n");
}

static void nothing(const rf_page *p) {
  const char *const state = state_of(p);
  if (is_filtered(p) || strcmp(state, "new") == 0) {
    rf_markup(p->sink, "<p class=\"empty\">No finding matches. <a href=\"%s/\">All open findings</a></p>\n", p->base);
    return;
  }
  if (strcmp(state, "open") != 0 && strcmp(state, "all") != 0) {
    rf_markup(p->sink, "<p class=\"empty\">No finding is %s.</p>\n", state);
    return;
  }
  rf_markup(p->sink, "<p class=\"empty\"><b>Nothing is open.</b> <a href=\"%s/?state=all\">All findings</a></p>\n",
            p->base);
}

void rf_page_findings(const rf_page *page) {
  const rf_json *f = rf_json_list(page->json, "findings");
  uint64_t shown = 0;
  rf_page_head(page->sink, page->base, "Findings", "/");
  rf_page_raw(page, "<h1>Findings</h1>\n");
  if (count_all(page) == 0 && !is_filtered(page)) {
    rf_page_nothing_yet(page, "No finding has come in yet.", "", "./program");
    rf_page_foot(page->sink);
    return;
  }
  rf_page_chart(page, rf_json_list(page->json, "trend"), "Events per day");
  tabs(page);
  tools(page);
  if (f == NULL) {
    if (!rf_page_is_behind(page, rf_json_unsigned(page->json, "total", 0), link_to(page, state_of(page)))) {
      nothing(page);
    }
  } else {
    rf_page_raw(page, "<table class=\"findings\" id=\"findings\">\n<thead><tr><th scope=\"col\">Finding</th><th "
                      "scope=\"col\">30 days</th><th scope=\"col\" class=\"number\">Events</th><th scope=\"col\">Last "
                      "seen</th><th scope=\"col\" class=\"age\">First seen</th></tr></thead>\n<tbody>\n");
    for (; f != NULL; f = f->next) {
      row(page, f);
      shown++;
    }
    rf_page_raw(page, "</tbody></table>\n");
    rf_page_pager(page, link_to(page, state_of(page)), "finding", shown);
  }
  rf_page_foot(page->sink);
}
