/* The page of one process: its memory over time, and one snapshot whole. */
#include "tools/service/page/process_parts.h"

#include "tools/ringfence/base/paths.h"
#include "tools/ringfence/base/words.h"

/* ---- Head ---- */

static void head(const rf_page *p) {
  const rf_json *const f = p->json;
  const char *const ended = rf_json_text(f, "ended", "");
  rf_markup(p->sink,
            "<p class=\"crumbs\"><a href=\"%s/processes\">Processes</a> / #%s</p>\n<header class=\"headline\">\n<h1>%s "
            "<span class=\"badge %s\">%s</span></h1>\n",
            p->base, rf_page_plain_number(p, f, "id"), rf_base_name(rf_json_text(f, "program", "")),
            ended[0] == '\0' ? "fixed" : "", ended[0] == '\0' ? "not ended" : ended);
  rf_markup(p->sink,
            "<p class=\"title\"><span class=\"mark first\">%s</span><span class=\"mark\">%s</span> process %s on %s, "
            "build %s</p>\n<p class=\"place mono\">%s</p>\n</header>\n",
            rf_json_text(f, "mode", ""), rf_json_text(f, "environment", ""), rf_page_plain_number(p, f, "pid"),
            rf_json_text(f, "host", ""), rf_page_build(p, f), rf_json_text(f, "program", ""));
}

static void bytes_figure(const rf_page *p, const char *name, const char *title) {
  uint64_t const bytes = rf_json_unsigned(p->json, name, 0);
  if (bytes != 0) {
    rf_page_figure(p, "", rf_bytes_text(p->arena, bytes), title);
  }
}

static void figures(const rf_page *p) {
  uint64_t const blocks = rf_json_unsigned(p->json, "blocks", 0);
  uint64_t const snapshots = rf_json_unsigned(p->json, "snapshot_count", 0);
  rf_page_raw(p, "<ul class=\"figures\">\n");
  bytes_figure(p, "bytes", "live");
  rf_page_figure(p, "", rf_page_number(p, blocks),
                 rf_bump_arena_print(p->arena, "live %s", rf_noun(p->arena, blocks, "block")));
  bytes_figure(p, "peak", "peak");
  bytes_figure(p, "resident", "resident");
  rf_page_figure(p, "", rf_page_duration(p, p->json), "run time");
  rf_page_figure(p, "", rf_page_number(p, snapshots), rf_noun(p->arena, snapshots, "snapshot"));
  rf_page_figure(p, "", rf_page_ago(p, rf_json_text(p->json, "last_seen", "")), "last heard from");
  rf_page_raw(p, "</ul>\n");
}

/* ---- Which snapshot ---- */

static void option(const rf_page *p, const rf_json *s, const rf_json *chosen) {
  const char *const id = rf_page_plain_number(p, s, "id");
  bool const selected = chosen != NULL && rf_json_unsigned(s, "id", 0) == rf_json_unsigned(chosen, "id", 0);
  rf_markup(p->sink, "<option value=\"%s\"%s>%s", id, selected ? " selected" : "", rf_json_text(s, "name", ""));
  rf_markup(p->sink, ", %s, %s</option>", rf_bytes_text(p->arena, rf_json_unsigned(s, "bytes", 0)),
            rf_bump_arena_print(p->arena, "%.19s", rf_json_text(s, "time", "")));
}

static void options(const rf_page *p, const rf_json *chosen) {
  bool seen = chosen == NULL;
  for (const rf_json *s = rf_json_list(p->json, "snapshots"); s != NULL; s = s->next) {
    if (rf_json_bool(s, "whole", false)) {
      option(p, s, chosen);
      seen = seen || rf_json_unsigned(s, "id", 0) == rf_json_unsigned(chosen, "id", 0);
    }
  }
  if (!seen) {
    option(p, chosen, chosen); /* of another process */
  }
}

static void choice(const rf_process_view *v) {
  const rf_page *const p = v->page;
  rf_markup(p->sink, "<form class=\"tools\" action=\"%s/process/%s\">\n<label>Snapshot <select name=\"snapshot\">",
            p->base, rf_page_plain_number(p, p->json, "id"));
  options(p, v->snapshot);
  rf_page_raw(p, "</select></label>\n<label>Difference from <select name=\"against\"><option value=\"\">none</option>");
  options(p, v->against);
  rf_page_raw(p, "</select></label>\n<button>Show</button>\n</form>\n");
}

static void about(const rf_process_view *v) {
  const rf_page *const p = v->page;
  uint64_t const omitted = rf_json_unsigned(v->snapshot, "omitted_bytes", 0);
  rf_markup(p->sink, "<h2 class=\"shown-snapshot\">Snapshot “%s” <span class=\"dim\">of %s, ",
            rf_json_text(v->snapshot, "name", ""), rf_json_text(v->snapshot, "allocator", ""));
  rf_page_time(p, rf_json_text(v->snapshot, "time", ""));
  if (v->against != NULL) {
    int64_t const growth = rf_json_signed(v->snapshot, "bytes", 0) - rf_json_signed(v->against, "bytes", 0);
    rf_markup(p->sink, "; since “%s” <b class=\"%s\">%s</b>", rf_json_text(v->against, "name", ""),
              growth > 0 ? "grow" : "shrink", rf_signed_bytes(p, growth));
  }
  rf_page_raw(p, "</span></h2>\n");
  if (omitted != 0) {
    rf_markup(p->sink, "<p class=\"note\">%s of %s at call sites with few bytes did not fit into the record.</p>\n",
              rf_bytes_text(p->arena, omitted),
              rf_page_counted(p, rf_json_unsigned(v->snapshot, "omitted_blocks", 0), "block"));
  }
}

/* ---- The page ---- */

static rf_process_view view_of(const rf_page *p) {
  rf_process_view v = {.page = p,
                       .snapshot = rf_json_member(p->json, "snapshot"),
                       .against = rf_json_member(rf_json_member(p->json, "snapshot"), "against")};
  for (const rf_json *c = rf_json_list(v.snapshot, "calls"); c != NULL; c = c->next) {
    RF_APPENDED(p->arena, v.calls, v.call_count) = c;
  }
  v.link = v.against == NULL
               ? rf_bump_arena_print(p->arena, "?snapshot=%s", rf_page_plain_number(p, v.snapshot, "id"))
               : rf_bump_arena_print(p->arena, "?snapshot=%s&against=%s", rf_page_plain_number(p, v.snapshot, "id"),
                                     rf_page_plain_number(p, v.against, "id"));
  return v;
}

void rf_page_process(const rf_page *page) {
  rf_process_view const v = view_of(page);
  rf_page_head(page->sink, page->base,
               rf_bump_arena_print(page->arena, "%s %s", rf_base_name(rf_json_text(page->json, "program", "")),
                                   rf_page_plain_number(page, page->json, "pid")),
               "/processes");
  head(page);
  figures(page);
  rf_page_memory(&v);
  if (v.snapshot == NULL) {
    rf_page_raw(page, "<p class=\"empty\">No snapshot of this process is kept whole any more.</p>\n");
    rf_page_foot(page->sink);
    return;
  }
  choice(&v);
  about(&v);
  rf_page_flame(&v);
  rf_page_sites(&v);
  rf_page_raw(page, "<div class=\"pair\">\n");
  rf_page_sizes(&v);
  rf_page_map(&v);
  rf_page_raw(page, "</div>\n");
  rf_page_foot(page->sink);
}
