/* The page of one finding. */
#include "tools/service/page/parts.h"

#include "tools/ringfence/base/words.h"
#include "tools/ringfence/render/html_page.h"
#include "tools/service/intake/names.h"
#include "tools/service/page/finding_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Head ---- */

static void head(const rf_page *p) {
  const rf_json *const f = p->json;
  rf_markup(p->sink, "<p class=\"crumbs\"><a href=\"%s/\">Findings</a> / #%s</p>\n", p->base,
            rf_page_plain_number(p, f, "id"));
  if (rf_json_member(f, "merged_into") != NULL) {
    const char *const into = rf_page_plain_number(p, f, "merged_into");
    rf_markup(p->sink, "<p class=\"note\">Part of finding <a href=\"%s/finding/%s\">#%s</a>, which is %s.</p>\n",
              p->base, into, into, rf_json_bool(f, "new", false) ? "new" : rf_json_text(f, "state", "open"));
  }
  rf_markup(p->sink, "<header class=\"headline %s\">\n<h1>%s ", rf_json_text(f, "level", "error"),
            rf_json_text(f, "bug", ""));
  rf_page_state(p, f);
  rf_markup(p->sink, "</h1>\n<p class=\"title\">%s</p>\n<p class=\"place mono\">%s</p>\n</header>\n",
            rf_json_text(f, "title", ""), rf_page_place(p, f));
  if (rf_json_text(f, "because", NULL) != NULL) {
    rf_markup(p->sink, "<p class=\"note\">Ignored because: %s</p>\n", rf_json_text(f, "because", ""));
  }
}

/* Events that a split could not tell apart. */
static void split_left(const rf_page *p) {
  uint64_t const left = rf_json_unsigned(p->json, "split_left", 0);
  const rf_json *const wanted = rf_json_member(p->json, "split_wanted");
  const char *const rule = rf_json_text(p->json, "split_by", "");
  if (left == 0 || wanted == NULL || (wanted->type == RF_JSON_NUMBER && strcmp(wanted->text, "0") == 0)) {
    return;
  }
  rf_markup(p->sink, "<p class=\"note\">Split by %s. Only counts are kept of %s before, which still count here", rule,
            rf_page_counted(p, left, "event"));
  if (wanted->type == RF_JSON_NUMBER) {
    rf_markup(p->sink, "; %s of them had another %s", rf_page_number(p, rf_json_unsigned(p->json, "split_wanted", 0)),
              rule);
  }
  rf_page_raw(p, ".</p>\n");
}

static void list_figure(const rf_page *p, const char *name, const char *noun) {
  uint64_t const count = rf_json_unsigned(rf_json_member(p->json, "totals"), name, 0);
  rf_page_figure(p, "", rf_page_number(p, count), rf_noun(p->arena, count, noun));
}

static void figures(const rf_page *p) {
  uint64_t const count = rf_json_unsigned(p->json, "count", 0);
  rf_page_raw(p, "<ul class=\"figures\">\n");
  rf_page_figure(p, "", rf_page_number(p, count), rf_noun(p->arena, count, "event"));
  rf_page_figure(p, "", rf_page_ago(p, rf_json_text(p->json, "last_seen", "")), "last seen");
  rf_page_figure(p, "", rf_page_ago(p, rf_json_text(p->json, "first_seen", "")), "first seen");
  list_figure(p, "builds", "build");
  list_figure(p, "programs", "program");
  list_figure(p, "hosts", "host");
  rf_page_raw(p, "</ul>\n");
}

/* ---- Actions ---- */

static void form(const rf_page *p, const char *action, const char *field, const char *hint, const char *button) {
  rf_markup(p->sink, "<form method=\"post\" action=\"%s/finding/%s/%s\">", p->base,
            rf_page_plain_number(p, p->json, "id"), action);
  if (field != NULL) {
    rf_markup(p->sink, "<input name=\"%s\" placeholder=\"%s\" aria-label=\"%s\" maxlength=\"500\"", field, hint, hint);
    rf_page_raw(p, strcmp(action, "fix") == 0 ? ">" : " required>");
  }
  rf_markup(p->sink, "<button>%s</button></form>\n", button);
}

/* By a rule, or made one again where it is split by one. */
static void split_form(const rf_page *p) {
  static const char *const rules[] = {"access", "allocation", "free", "program", "build", "environment", "mode"};
  const char *const by = rf_json_text(p->json, "split_by", NULL);
  rf_markup(p->sink, "<form method=\"post\" action=\"%s/finding/%s/split\">", p->base,
            rf_page_plain_number(p, p->json, "id"));
  if (by != NULL) {
    rf_markup(p->sink,
              "<input type=\"hidden\" name=\"text\" value=\"undo\"><span class=\"dim\">Split by %s.</span>"
              "<button>Make it one again</button></form>\n",
              by);
    return;
  }
  rf_page_raw(p, "<select name=\"text\" aria-label=\"Split by\">");
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    rf_markup(p->sink, "<option value=\"%s\">by %s</option>", rules[i], rules[i]);
  }
  rf_page_raw(p, "</select><button>Split</button></form>\n");
}

static void actions(const rf_page *p) {
  const char *const state = rf_json_text(p->json, "state", "open");
  bool const open = strcmp(state, "open") == 0 || strcmp(state, "reopened") == 0;
  rf_page_raw(p, "<section class=\"actions\" aria-label=\"Actions\">\n");
  if (!p->may_triage) {
    rf_page_sign_in_to(p, "change its state", "ringfence fix");
    rf_page_raw(p, "</section>\n");
    return;
  }
  if (rf_json_member(p->json, "merged_into") != NULL) {
    form(p, "split", NULL, NULL, "Split off again");
  } else if (open) {
    form(p, "fix", "text", "Commit, build or nothing", "Fixed");
    form(p, "ignore", "text", "Reason", "Ignore");
    form(p, "merge", "other", "Number of the other", "Merge it in");
    split_form(p);
  } else {
    form(p, "reopen", NULL, NULL, "Open again");
  }
  rf_page_raw(p, "</section>\n");
}

/* ---- Fixed with a number ---- */

static void fix(const rf_page *p) {
  const rf_json *const since = rf_json_member(p->json, "since_fix");
  const rf_json *const expected = rf_json_member(since, "expected");
  const char *const fixed_in = rf_json_text(p->json, "fixed_in", "the next build");
  bool const fixed = strcmp(rf_json_text(p->json, "state", ""), "fixed") == 0;
  bool const back = strcmp(rf_json_text(p->json, "state", ""), "reopened") == 0;
  if (since == NULL || (!fixed && !back)) {
    return;
  }
  rf_markup(p->sink, "<section class=\"card verdict %s\"><h2>%s %s</h2>\n<p><b>%s</b> in %s process-hours",
            back || rf_json_unsigned(since, "events_after", 0) != 0 ? "bad" : "good",
            back ? "Back after a fix in" : "Fixed in", fixed_in,
            rf_page_counted(p, rf_json_unsigned(since, "events_after", 0), "event"),
            rf_page_real(p, since, "hours_after"));
  if (expected != NULL && expected->type == RF_JSON_NUMBER) {
    rf_markup(p->sink, ", <b>%s</b> expected by the rate before (%s in %s hours)", rf_page_real(p, since, "expected"),
              rf_page_counted(p, rf_json_unsigned(since, "events_before", 0), "event"),
              rf_page_real(p, since, "hours_before"));
  }
  rf_page_raw(p, ".</p>\n</section>\n");
}

static void crash_loops(const rf_page *p) {
  for (const rf_json *l = rf_json_list(p->json, "crash_loops"); l != NULL; l = l->next) {
    rf_markup(p->sink,
              "<section class=\"card verdict bad\"><h2>Crash loop</h2>\n<p><b>%s</b> of %s failed with it from ",
              rf_page_counted(p, rf_json_unsigned(l, "processes", 0), "process"), rf_json_text(l, "program", ""));
    rf_page_time(p, rf_json_text(l, "began", ""));
    rf_page_raw(p, " to ");
    rf_page_time(p, rf_json_text(l, "last", ""));
    rf_page_raw(p, ".</p>\n</section>\n");
  }
}

/* ---- The record ---- */

static void record(const rf_page *p) {
  rf_record *const r = rf_record_read(p->arena, rf_json_member(rf_json_member(p->json, "record"), "finding"));
  if (r == NULL) {
    return;
  }
  rf_sources sources = {.arena = p->arena, .directory = p->source_root, .without = p->directory};
  rf_document const d = {.directory = p->source_root, .sources = &sources};
  rf_html_page const page = {p->arena, &d, p->sink};
  rf_names_apply(p->store, p->arena, r);
  rf_record_trim(r, NULL, false);
  r->directory = p->source_root;
  r->program = rf_json_text(rf_json_member(p->json, "record"), "program", NULL);
  rf_page_raw(p, "<section class=\"card record\">\n<h2>One event, whole</h2>\n");
  rf_html_body(&page, r);
  rf_page_raw(p, "</section>\n");
}

void rf_page_of_finding(const rf_page *page) {
  rf_page_head(page->sink, page->base,
               rf_bump_arena_print(page->arena, "#%" PRIu64 " %s", rf_json_unsigned(page->json, "id", 0),
                                   rf_json_text(page->json, "bug", "")),
               "/");
  head(page);
  split_left(page);
  figures(page);
  actions(page);
  fix(page);
  crash_loops(page);
  rf_page_chart(page, rf_json_list(page->json, "trend"), "Events per day");
  record(page);
  rf_page_written(page);
  rf_page_hardware(page);
  rf_page_raw(page, "<div class=\"columns\">\n");
  rf_page_builds_of(page);
  rf_page_names(page, "programs", "Programs");
  rf_page_names(page, "environments", "Environments");
  rf_page_names(page, "modes", "Modes");
  rf_page_names(page, "hosts", "Hosts");
  rf_page_names(page, "labels", "Labels");
  rf_page_history(page);
  rf_page_raw(page, "</div>\n");
  rf_page_events(page);
  rf_page_related(page);
  rf_page_foot(page->sink);
}
