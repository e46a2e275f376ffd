/* Coverage of checking: programs, modules with the share of their call sites that was watched, and the call sites of a
 * module. */
#include "tools/service/page/parts.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <string.h>

/* ---- Programs ---- */

/* How many of a list are shown, and a way to those that follow. */
static void part(const rf_page *p, const rf_json *list, const char *total, const char *noun) {
  uint64_t const all = rf_json_unsigned(p->json, total, 0);
  uint64_t const shown = rf_json_length(list);
  uint64_t const offset = rf_json_unsigned(p->json, "offset", 0);
  const char *const module = rf_json_text(p->json, "module", NULL);
  const char *const link =
      rf_bump_arena_print(p->arena, "%s/coverage?limit=%s%s%s", p->base, rf_page_plain_number(p, p->json, "limit"),
                          module == NULL ? "" : "&module=", module == NULL ? "" : rf_web_encoded(p->arena, module));
  if (all <= shown) {
    return;
  }
  rf_markup(p->sink, "<p class=\"pager\"><span>%s of %s</span>", rf_page_number(p, shown),
            rf_page_counted(p, all, noun));
  if (offset != 0) {
    rf_markup(p->sink, " <a rel=\"prev\" href=\"%s\">First</a>", link);
  }
  if (offset + shown < all) {
    rf_markup(p->sink, " <a rel=\"next\" href=\"%s&amp;offset=%zu\">Next</a>", link, (size_t)(offset + shown));
  }
  rf_page_raw(p, "</p>\n");
}

static void program(const rf_page *p, const rf_json *c) {
  rf_markup(
      p->sink,
      "<tr><td class=\"wrap mono\"><span class=\"clip\">%s</span></td><td class=\"wrap mono\" "
      "data-name=\"build\">%s</td><td class=\"nowrap\"><span class=\"mark first\">%s</span></td><td class=\"name\" "
      "data-name=\"environment\"><span class=\"clip\">%s</span></td>",
      rf_json_text(c, "program", ""), rf_page_build(p, c), rf_json_text(c, "mode", ""),
      rf_json_text(c, "environment", ""));
  rf_page_number_cell(p, c, "processes", "process", "processes");
  rf_markup(p->sink, "<td class=\"number\" data-name=\"hours\">%s</td>", rf_page_real(p, c, "hours"));
  rf_page_number_cell(p, c, "allocations", "allocation", "allocations");
  rf_page_number_cell(p, c, "findings", "finding", "findings");
  rf_page_number_cell(p, c, "killed", "killed", "killed");
  rf_page_raw(p, "</tr>\n");
}

static void programs(const rf_page *p, const rf_json *list) {
  rf_page_raw(p, "<h2>Programs</h2>\n<table class=\"findings\">\n<thead><tr><th scope=\"col\">Program</th><th "
                 "scope=\"col\">Build</th><th scope=\"col\">Mode</th><th scope=\"col\">Environment</th><th "
                 "scope=\"col\" class=\"number\">Processes</th><th scope=\"col\" class=\"number\">Hours</th><th "
                 "scope=\"col\" class=\"number\">Allocations</th><th scope=\"col\" class=\"number\">Findings</th><th "
                 "scope=\"col\" class=\"number\">Killed</th></tr></thead>\n<tbody>\n");
  for (const rf_json *c = list; c != NULL; c = c->next) {
    program(p, c);
  }
  rf_page_raw(p, "</tbody></table>\n");
  part(p, list, "program_count", "row");
}

/* ---- Modules ---- */

static const char *percent_text(const rf_page *p, uint64_t part, uint64_t all) {
  return rf_bump_arena_print(p->arena, "%" PRIu64 " %%", all == 0 ? 0 : part * 100 / all);
}

static void site_figures(const rf_page *p, uint64_t watched, uint64_t sites) {
  const char *const noun = sites == 1 ? "call site that allocates" : "call sites that allocate";
  rf_page_figure(p, "", rf_page_number(p, sites), noun);
  rf_page_figure(p, "", percent_text(p, watched, sites), "of them watched");
}

static void bar(const rf_page *p, uint64_t watched, uint64_t sites) {
  rf_markup(p->sink,
            "<svg class=\"share\" role=\"img\" viewBox=\"0 0 1000 4\" preserveAspectRatio=\"none\" aria-label=\"%s of "
            "%s watched\"><rect width=\"%zu\" height=\"4\"/></svg>",
            rf_page_number(p, watched), rf_page_counted(p, sites, "call site"),
            (size_t)(sites == 0 ? 0 : 1000.0 * (double)watched / (double)sites));
}

static void modes(const rf_page *p, const rf_json *m) {
  for (const rf_json *u = rf_json_list(m, "modes"); u != NULL; u = u->next) {
    rf_markup(p->sink, "<span class=\"nowrap\"><span class=\"mark\">%s</span> %s h</span> ",
              rf_json_text(u, "mode", ""), rf_page_real(p, u, "hours"));
  }
}

static const char *build_of(const rf_page *p, const rf_json *m) {
  const char *const version = rf_json_text(m, "version", "");
  return version[0] != '\0' ? version : rf_bump_arena_print(p->arena, "%.12s", rf_json_text(m, "build_id", ""));
}

static void module(const rf_page *p, const rf_json *m) {
  uint64_t const sites = rf_json_unsigned(m, "sites", 0);
  uint64_t const watched = rf_json_unsigned(m, "watched", 0);
  const char *const path = rf_json_text(m, "path", "");
  rf_markup(p->sink,
            "<tr><td class=\"wrap mono\"><a class=\"clip\" href=\"%s/coverage/%s\">%s</a><span "
            "class=\"place\">%s</span></td><td "
            "class=\"wrap mono\" data-name=\"build\">%s</td><td class=\"number\" data-name=\"watched\">%s",
            p->base, rf_page_plain_number(p, m, "id"), rf_base_name(path), path, build_of(p, m),
            percent_text(p, watched, sites));
  bar(p, watched, sites);
  rf_page_raw(p, "</td>");
  rf_page_number_cell(p, m, "sites", "call site", "call sites");
  rf_markup(p->sink, "<td class=\"number\" data-name=\"never watched\">%s</td><td>",
            rf_page_number(p, sites > watched ? sites - watched : 0));
  modes(p, m);
  rf_page_raw(p, "</td><td data-name=\"last\">");
  rf_page_time(p, rf_json_text(m, "last_seen", ""));
  rf_page_raw(p, "</td></tr>\n");
}

static void modules(const rf_page *p, const rf_json *list) {
  rf_page_raw(p, "<h2>Modules</h2>\n<p class=\"dim\">A call site is watched once a block of it has had pages of its "
                 "own, where reads past it and after its end show too: mode page does that with every block, sample "
                 "and guard with some.</p>\n<table class=\"findings\">\n<thead><tr><th scope=\"col\">Module</th><th "
                 "scope=\"col\">Build</th><th scope=\"col\" class=\"number\">Watched</th><th scope=\"col\" "
                 "class=\"number\">Call sites</th><th scope=\"col\" class=\"number\">Never watched</th><th "
                 "scope=\"col\">Hours by mode</th><th scope=\"col\">Last</th></tr></thead>\n<tbody>\n");
  for (const rf_json *m = list; m != NULL; m = m->next) {
    module(p, m);
  }
  rf_page_raw(p, "</tbody></table>\n");
  part(p, list, "module_count", "module");
}

static void sums(const rf_page *p) {
  uint64_t const sites = rf_json_unsigned(p->json, "sites", 0);
  uint64_t const watched = rf_json_unsigned(p->json, "watched", 0);
  rf_page_raw(p, "<ul class=\"figures\">\n");
  uint64_t const count = rf_json_unsigned(p->json, "module_count", 0);
  rf_page_figure(p, "", rf_page_number(p, count), rf_noun(p->arena, count, "module"));
  site_figures(p, watched, sites);
  rf_page_raw(p, "</ul>\n");
}

void rf_page_coverage(const rf_page *page) {
  const rf_json *const list = rf_json_list(page->json, "coverage");
  const rf_json *const of_modules = rf_json_list(page->json, "modules");
  uint64_t const programs_all = rf_json_unsigned(page->json, "program_count", 0);
  rf_page_head(page->sink, page->base, "Coverage of checking", "/coverage");
  rf_page_raw(page, "<h1>Coverage of checking</h1>\n<p class=\"dim\">The programs that ran checked, how, and for how "
                    "long.");
  rf_page_raw(page, rf_json_length(list) == programs_all
                        ? " A program that is missing here has reported no checked run.</p>\n"
                        : " The list of programs is shown in part.</p>\n");
  if (rf_json_unsigned(page->json, "module_count", 0) != 0) {
    sums(page);
  }
  if (of_modules != NULL) {
    modules(page, of_modules);
  }
  if (list != NULL) {
    programs(page, list);
  } else if (!rf_page_is_behind(page, programs_all, rf_bump_arena_print(page->arena, "%s/coverage", page->base)) &&
             programs_all == 0) {
    rf_page_nothing_yet(page, "No process has reported a run yet.", "", "./program");
  }
  rf_page_foot(page->sink);
}

/* ---- The call sites of a module ---- */

static void tab(const rf_page *p, const char *watched, const char *title, uint64_t count) {
  bool const shown = strcmp(rf_json_text(p->json, "shown", "no"), watched) == 0;
  rf_markup(p->sink, "<a href=\"?watched=%s\"", watched);
  rf_page_raw(p, shown ? " aria-current=\"page\"" : "");
  rf_markup(p->sink, ">%s <b>%s</b></a>\n", title, rf_page_number(p, count));
}

static void site(const rf_page *p, const rf_json *s) {
  const char *const function = rf_json_text(s, "function", NULL);
  const char *const file = rf_json_text(s, "file", NULL);
  rf_markup(p->sink, "<tr><td class=\"wrap mono\">%s", function == NULL ? rf_json_text(s, "offset", "") : function);
  if (file != NULL) {
    rf_markup(p->sink, "<span class=\"place\">%s:%s</span>", file, rf_page_plain_number(p, s, "line"));
  } else if (function != NULL) {
    rf_markup(p->sink, "<span class=\"place\">%s</span>", rf_json_text(s, "offset", ""));
  }
  rf_page_raw(p, "</td>");
  rf_page_number_cell(p, s, "processes", "process", "processes");
  rf_page_number_cell(p, s, "blocks", "block watched", "blocks watched");
  rf_page_raw(p, "<td>");
  for (const rf_json *m = rf_json_list(s, "modes"); m != NULL; m = m->next) {
    rf_markup(p->sink, "<span class=\"nowrap\"><span class=\"mark\">%s</span> %s</span> ", rf_json_text(m, "mode", ""),
              rf_page_number(p, rf_json_unsigned(m, "blocks", 0)));
  }
  rf_page_raw(p, "</td><td data-name=\"last watched\">");
  if (rf_json_text(s, "last_watched", NULL) != NULL) {
    rf_page_time(p, rf_json_text(s, "last_watched", ""));
  } else {
    rf_page_raw(p, "never");
  }
  rf_page_raw(p, "</td><td data-name=\"last seen\">");
  rf_page_time(p, rf_json_text(s, "last_seen", ""));
  rf_page_raw(p, "</td></tr>\n");
}

static void pager(const rf_page *p, const char *link, uint64_t count, uint64_t all) {
  uint64_t const offset = rf_json_unsigned(p->json, "offset", 0);
  uint64_t const limit = rf_json_unsigned(p->json, "limit", 0);
  if (all <= count && offset == 0) {
    return;
  }
  rf_markup(p->sink, "<p class=\"pager\"><span>%s of %s</span>",
            rf_bump_arena_print(p->arena, "%" PRIu64 " to %" PRIu64, offset + 1, offset + count),
            rf_page_number(p, all));
  if (offset != 0) {
    rf_markup(p->sink, " <a rel=\"prev\" href=\"%s&amp;offset=%zu\">Previous</a>", link,
              (size_t)(offset > limit ? offset - limit : 0));
  }
  if (offset + count < all) {
    rf_markup(p->sink, " <a rel=\"next\" href=\"%s&amp;offset=%zu\">Next</a>", link, (size_t)(offset + count));
  }
  rf_page_raw(p, "</p>\n");
}

static void sites_table(const rf_page *p, uint64_t all) {
  uint64_t count = 0;
  const rf_json *const list = rf_json_list(p->json, "list");
  const char *const link = rf_bump_arena_print(p->arena, "?watched=%s&limit=%s", rf_json_text(p->json, "shown", "no"),
                                               rf_page_plain_number(p, p->json, "limit"));
  if (list == NULL) {
    if (!rf_page_is_behind(p, all, link)) {
      rf_page_raw(p, "<p class=\"empty\">There are none.</p>\n");
    }
    return;
  }
  rf_page_raw(p, "<table class=\"findings\">\n<thead><tr><th scope=\"col\">Call site</th><th scope=\"col\" "
                 "class=\"number\">Processes</th><th scope=\"col\" class=\"number\">Blocks watched</th><th "
                 "scope=\"col\">In mode</th><th scope=\"col\">Last watched</th><th scope=\"col\">Last seen</th></tr>"
                 "</thead>\n<tbody>\n");
  for (const rf_json *s = list; s != NULL; s = s->next, count++) {
    site(p, s);
  }
  rf_page_raw(p, "</tbody></table>\n");
  pager(p, link, count, all);
}

static void head(const rf_page *p, uint64_t sites, uint64_t watched) {
  const char *const path = rf_json_text(p->json, "path", "");
  rf_markup(p->sink,
            "<p class=\"crumbs\"><a href=\"%s/coverage\">Coverage</a></p>\n<h1 class=\"wrap\">%s</h1>\n<p class=\"dim "
            "mono wrap\">%s, "
            "build-id %s</p>\n<ul class=\"figures\">\n",
            p->base, rf_base_name(path), path, rf_json_text(p->json, "build_id", "none"));
  site_figures(p, watched, sites);
  for (const rf_json *u = rf_json_list(p->json, "modes"); u != NULL; u = u->next) {
    rf_page_figure(p, "", rf_page_real(p, u, "hours"),
                   rf_bump_arena_print(p->arena, "hours in %s", rf_json_text(u, "mode", "")));
  }
  rf_page_raw(p, "</ul>\n");
  bar(p, watched, sites);
  rf_page_raw(p, "<p class=\"dim wrap\">In ");
  for (const rf_json *n = rf_json_list(p->json, "programs"); n != NULL; n = n->next) {
    rf_markup(p->sink, "<code>%s</code>%s", n->text == NULL ? "" : n->text, n->next == NULL ? "" : ", ");
  }
  rf_page_raw(p, "</p>\n");
}

void rf_page_module(const rf_page *page) {
  uint64_t const sites = rf_json_unsigned(page->json, "sites", 0);
  uint64_t const watched = rf_json_unsigned(page->json, "watched", 0);
  uint64_t const never = sites > watched ? sites - watched : 0;
  const char *const shown = rf_json_text(page->json, "shown", "no");
  rf_page_head(page->sink, page->base, "Call sites", "/coverage");
  head(page, sites, watched);
  rf_page_raw(page, "<nav class=\"tabs\" aria-label=\"Call sites\">\n");
  tab(page, "no", "Never watched", never);
  tab(page, "yes", "Watched", watched);
  tab(page, "all", "All", sites);
  rf_page_raw(page, "</nav>\n");
  sites_table(page, strcmp(shown, "yes") == 0 ? watched : strcmp(shown, "all") == 0 ? sites : never);
  rf_page_foot(page->sink);
}
