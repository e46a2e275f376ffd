/* The call sites of a snapshot, most bytes or most growth first. */
#include "tools/service/page/process_parts.h"

#include "tools/ringfence/base/words.h"

#include <stdlib.h>

enum { SITES_SHOWN = 50, CALLERS_SHOWN = 3 };

typedef struct table {
  const rf_process_view *view;
  int64_t most; /* the longest bar */
  int64_t all;
  size_t left; /* sites that are not shown */
} table;

static const rf_json *call_of(const rf_process_view *v, const rf_json *index) {
  size_t const at = index == NULL ? v->call_count : (size_t)strtoull(index->text, NULL, 10);
  return at < v->call_count ? v->calls[at] : NULL;
}

static const rf_json *top_of(const rf_process_view *v, const rf_json *site) {
  const rf_json *index = rf_json_list(site, "stack");
  for (uint64_t skip = rf_json_unsigned(site, "top", 0); skip != 0 && index != NULL; skip--) {
    index = index->next;
  }
  return call_of(v, index);
}

static void put_call(const rf_process_view *v, const rf_json *call, const char *tag) {
  const char *const place = call == NULL ? NULL : rf_call_place(v, call);
  rf_markup(v->page->sink, "<%s><span class=\"function\">%s</span> <span class=\"where\">%s</span></%s>\n", tag,
            call == NULL ? "(not known)" : rf_call_name(v, call), place == NULL ? "" : place, tag);
}

/* The callers: where many sites are one function, they tell them apart. */
static void put_callers(const rf_process_view *v, const rf_json *site) {
  const rf_json *index = rf_json_list(site, "stack");
  unsigned shown = 0;
  for (uint64_t skip = rf_json_unsigned(site, "top", 0); skip != 0 && index != NULL; skip--) {
    index = index->next;
  }
  index = index == NULL ? NULL : index->next;
  for (; shown < CALLERS_SHOWN && index != NULL; shown++, index = index->next) {
    const rf_json *const call = call_of(v, index);
    rf_page_raw(v->page, shown == 0 ? "<span class=\"chain\">from " : ", ");
    rf_markup(v->page->sink, "%s", call == NULL ? "(not known)" : rf_call_name(v, call));
  }
  rf_page_raw(v->page, shown != 0 ? "</span>" : "");
}

static void put_stack(const rf_process_view *v, const rf_json *site) {
  const rf_json *index = rf_json_list(site, "stack");
  const rf_json *const top = top_of(v, site);
  rf_page_raw(v->page, "<td class=\"wrap mono\"><details><summary>");
  put_call(v, top, "span");
  put_callers(v, site);
  rf_page_raw(v->page, "</summary><ol class=\"calls\">\n");
  for (; index != NULL; index = index->next) {
    put_call(v, call_of(v, index), "li");
  }
  rf_page_raw(v->page, "</ol></details></td>");
}

static void put_bar(const table *t, int64_t value) {
  int64_t const size = value < 0 ? -value : value;
  rf_markup(t->view->page->sink,
            "<svg class=\"share %s\" viewBox=\"0 0 1000 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect "
            "width=\"%zu\" height=\"4\"/></svg>",
            t->view->against == NULL ? ""
            : value < 0              ? "less"
                                     : "more",
            (size_t)(t->most == 0 ? 0 : 1000.0 * (double)size / (double)t->most));
}

static void row(const table *t, const rf_json *site) {
  const rf_page *const p = t->view->page;
  bool const difference = t->view->against != NULL;
  int64_t const bytes = rf_json_signed(site, difference ? "more_bytes" : "bytes", 0);
  int64_t const blocks = rf_json_signed(site, difference ? "more_blocks" : "blocks", 0);
  const char *const change = !difference || bytes == 0 ? "" : bytes > 0 ? "grow" : "shrink";
  rf_markup(p->sink, "<tr><td class=\"number %s\">%s", change,
            difference ? rf_signed_bytes(p, bytes) : rf_bytes_text(p->arena, (uint64_t)bytes));
  put_bar(t, bytes);
  if (!difference) {
    rf_markup(p->sink, "</td><td class=\"number dim\">%s",
              rf_bump_arena_print(p->arena, "%.1f %%", t->all == 0 ? 0 : 100 * (double)bytes / (double)t->all));
  } else {
    rf_markup(p->sink, "</td><td class=\"number dim\">%s", rf_bytes_text(p->arena, rf_json_unsigned(site, "bytes", 0)));
  }
  rf_markup(p->sink, "</td><td class=\"number\">%s</td>",
            difference ? rf_signed_count(p, blocks) : rf_page_number(p, (uint64_t)blocks));
  put_stack(t->view, site);
  rf_page_raw(p, "</tr>\n");
}

static table measure(const rf_process_view *v) {
  table t = {.view = v, .all = rf_json_signed(v->snapshot, "bytes", 0)};
  size_t count = 0;
  for (const rf_json *s = rf_json_list(v->snapshot, "sites"); s != NULL; s = s->next, count++) {
    int64_t const value = rf_json_signed(s, v->against == NULL ? "bytes" : "more_bytes", 0);
    int64_t const size = value < 0 ? -value : value;
    t.most = size > t.most ? size : t.most;
  }
  t.left = count > SITES_SHOWN ? count - SITES_SHOWN : 0;
  return t;
}

void rf_page_sites(const rf_process_view *v) {
  const rf_page *const p = v->page;
  table const t = measure(v);
  const rf_json *site = rf_json_list(v->snapshot, "sites");
  rf_markup(p->sink, "<section class=\"card wide\" id=\"sites\"><h2>%s</h2>\n",
            v->against == NULL ? "Call sites with the most live bytes" : "Call sites by growth");
  if (site == NULL) {
    rf_markup(p->sink, "<p class=\"dim\">%s.</p>\n</section>\n",
              v->against == NULL ? "Nothing is live" : "No call site has grown or shrunk");
    return;
  }
  rf_markup(p->sink,
            "<table class=\"plain sites\"><thead><tr><th scope=\"col\" class=\"number\">%s</th><th scope=\"col\" "
            "class=\"number\">%s</th><th scope=\"col\" class=\"number\">Blocks</th><th scope=\"col\">Call site</th>"
            "</tr></thead><tbody>\n",
            v->against == NULL ? "Bytes" : "Growth", v->against == NULL ? "Of all" : "Now");
  for (size_t i = 0; site != NULL && i < SITES_SHOWN; site = site->next, i++) {
    row(&t, site);
  }
  rf_page_raw(p, "</tbody></table>\n");
  if (t.left != 0) {
    rf_markup(p->sink, "<p class=\"dim\">%s more: <a href=\"%s/api/v1/processes/%s%s\">as JSON</a>.</p>\n",
              rf_page_counted(p, t.left, "call site"), p->base, rf_page_plain_number(p, p->json, "id"), v->link);
  }
  rf_page_raw(p, "</section>\n");
}
