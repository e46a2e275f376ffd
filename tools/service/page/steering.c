/* Steering: the rules that hold, the call sites near findings, and each step with its reason. */
#include "tools/service/page/parts.h"

#include <string.h>

static const char *or_any(const char *text) {
  return text[0] == '\0' ? "any" : text;
}

/* ---- Rules ---- */

static void taken(const rf_page *p, const rf_json *r) {
  uint64_t const reached = rf_json_unsigned(r, "reached", 0);
  rf_markup(p->sink, "<td class=\"number\" data-name=\"taken\">%s</td><td class=\"seen\" data-name=\"last\">",
            rf_page_number(p, reached));
  if (reached != 0) {
    rf_page_time(p, rf_json_text(r, "last_reached", ""));
  }
  rf_page_raw(p, "</td>");
}

static void unset_form(const rf_page *p, const rf_json *r) {
  if (p->may_steer) {
    rf_markup(p->sink,
              "<td><form method=\"post\" action=\"%s/steering\" class=\"tools\"><input type=\"hidden\" name=\"action\" "
              "value=\"unset\"><input type=\"hidden\" name=\"rule\" value=\"%s\"><input name=\"because\" "
              "aria-label=\"Reason to end rule %s\" placeholder=\"Reason\" required><button>End</button></form></td>",
              p->base, rf_page_plain_number(p, r, "rule"), rf_page_plain_number(p, r, "rule"));
  }
}

static void rule(const rf_page *p, const rf_json *r) {
  const char *const kind = rf_json_text(r, "kind", "");
  rf_markup(p->sink,
            "<tr><td class=\"wrap\"><b>%s</b> <span class=\"mono\">%s</span><br>%s</td><td class=\"wrap mono\" "
            "data-name=\"program\">%s</td><td class=\"wrap mono\" data-name=\"build\">%s</td><td class=\"wrap\" "
            "data-name=\"environment\">%s</td>",
            rf_page_plain_number(p, r, "rule"), strcmp(kind, "options") == 0 ? rf_json_text(r, "options", "") : kind,
            rf_json_text(r, "because", ""), or_any(rf_json_text(r, "program", "")),
            or_any(rf_json_text(r, "build", "")), or_any(rf_json_text(r, "environment", "")));
  taken(p, r);
  unset_form(p, r);
  rf_page_raw(p, "</tr>\n");
}

static void rules(const rf_page *p) {
  const rf_json *r = rf_json_list(p->json, "rules");
  if (r == NULL) {
    rf_page_raw(p, "<p class=\"empty\">There are no rules: processes run with their own options.</p>\n");
    return;
  }
  rf_page_raw(p, "<table class=\"findings\"><thead><tr><th scope=\"col\">Rule</th><th scope=\"col\">Program</th><th "
                 "scope=\"col\">Build</th><th scope=\"col\">Environment</th><th scope=\"col\" class=\"number\">Taken"
                 "</th><th scope=\"col\">Last</th>");
  rf_page_raw(p, p->may_steer ? "<th scope=\"col\">End</th></tr></thead>\n<tbody>\n" : "</tr></thead>\n<tbody>\n");
  for (; r != NULL; r = r->next) {
    rule(p, r);
  }
  rf_page_raw(p, "</tbody></table>\n");
}

static void set_form(const rf_page *p) {
  if (!p->may_steer) {
    rf_page_sign_in_to(p, "change rules", "ringfence steer");
    return;
  }
  rf_markup(
      p->sink,
      "<form method=\"post\" action=\"%s/steering\" class=\"tools\">\n<label>Action <select name=\"action\"><option "
      "value=\"set\">set options</option><option value=\"sweep\">sweep now</option><option value=\"snapshot\">"
      "snapshot now</option></select></label>\n<label>Options <input name=\"options\" "
      "placeholder=\"sample_rate=1000:raise=8\"></label>\n<label>Program <input name=\"program\" "
      "placeholder=\"any\"></label>\n<label>Build <input name=\"build\" placeholder=\"any\"></label>\n<label>"
      "Environment <input name=\"environment\" placeholder=\"any\"></label>\n<label>Reason <input name=\"because\" "
      "required></label>\n<button>Apply</button>\n</form>\n",
      p->base);
}

/* ---- Sites and steps ---- */

static void finding_link(const rf_page *p, const rf_json *object) {
  const char *const id = rf_page_plain_number(p, object, "finding");
  rf_markup(p->sink, "<a href=\"%s/finding/%s\">finding %s</a>", p->base, id, id);
}

static void sites(const rf_page *p) {
  const rf_json *s = rf_json_list(p->json, "sites");
  if (s == NULL) {
    return;
  }
  rf_page_raw(p, "<h2>Call sites near open findings</h2>\n<p class=\"dim\">The "
                 "option <code>raise=N</code> has processes look at these more often.</p>\n<table "
                 "class=\"findings\"><thead><tr><th scope=\"col\">Near"
                 "</th><th scope=\"col\">Finding</th><th scope=\"col\">Build</th></tr></thead><tbody>\n");
  for (; s != NULL; s = s->next) {
    rf_page_raw(p, "<tr><td>");
    finding_link(p, s);
    rf_markup(p->sink, "</td><td class=\"wrap\">%s</td><td class=\"wrap mono\">%s</td></tr>\n",
              rf_json_text(s, "title", ""), rf_page_build(p, s));
  }
  rf_page_raw(p, "</tbody></table>\n");
}

static void step(const rf_page *p, const rf_json *s) {
  rf_page_raw(p, "<tr><td class=\"seen\">");
  rf_page_time(p, rf_json_text(s, "time", ""));
  rf_page_raw(p, "</td><td>");
  if (rf_json_unsigned(s, "finding", 0) != 0) {
    finding_link(p, s);
  } else {
    rf_markup(p->sink, "rule %s", rf_page_plain_number(p, s, "rule"));
  }
  rf_markup(p->sink, "</td><td class=\"wrap mono\">%s</td><td class=\"wrap\">%s</td></tr>\n",
            rf_json_text(s, "done", ""), rf_json_text(s, "because", ""));
}

static void steps(const rf_page *p) {
  const rf_json *s = rf_json_list(p->json, "steps");
  if (s == NULL) {
    return;
  }
  rf_page_raw(p, "<h2>Steps</h2>\n<table class=\"findings\"><thead><tr><th scope=\"col\">When</th><th scope=\"col\">For"
                 "</th><th scope=\"col\">Step</th><th scope=\"col\">Because</th></tr></thead><tbody>\n");
  for (; s != NULL; s = s->next) {
    step(p, s);
  }
  rf_page_raw(p, "</tbody></table>\n");
}

void rf_page_steering(const rf_page *page) {
  rf_page_head(page->sink, page->base, "Steering", "/steering");
  rf_page_raw(page,
              "<h1>Steering</h1>\n<p class=\"dim\">Rules for checked processes of this user: taken when a process "
              "begins, and sample_rate, watch, raise, sweeps and snapshots while it runs. The RINGFENCE_OPTIONS "
              "of a process win.</p>\n");
  rules(page);
  set_form(page);
  sites(page);
  steps(page);
  rf_page_foot(page->sink);
}
