#include "tools/service/page/parts.h"

#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/base/words.h"
#include "tools/ringfence/model/record.h"
#include "tools/service/intake/envelope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUILD_ID_WHOLE = 16, BUILD_ID_SHOWN = 12 };

void rf_page_raw(const rf_page *p, const char *markup) {
  rf_sink_str(p->sink, markup);
}

/* ---- The frame ---- */

void rf_page_head(const rf_sink *sink, const char *base, const char *title, const char *active) {
  static const char *const menu[][2] = {{"/", "Findings"},         {"/processes", "Processes"}, {"/builds", "Builds"},
                                        {"/coverage", "Coverage"}, {"/steering", "Steering"},   {"/status", "Status"}};
  rf_markup(
      sink,
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>%s - Ringfence</title>\n<link rel=\"stylesheet\" "
      "href=\"%s/style.css\">\n<link rel=\"icon\" href=\"%s/favicon.svg\">\n<script src=\"%s/script.js\" "
      "defer></script>"
      "\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the content</a>\n<header class=\"top\">\n<a "
      "class=\"brand\" href=\"%s/\"><img src=\"%s/favicon.svg\" alt=\"\" width=\"22\" height=\"22\">Ringfence</a>\n"
      "<nav aria-label=\"Pages\">\n",
      title, base, base, base, base, base);
  for (size_t i = 0; i < sizeof menu / sizeof menu[0]; i++) {
    rf_markup(sink, "<a href=\"%s%s\"", base, menu[i][0]);
    rf_sink_str(sink, strcmp(menu[i][0], active) == 0 ? " aria-current=\"page\"" : "");
    rf_markup(sink, ">%s</a>\n", menu[i][1]);
  }
  rf_sink_str(sink, "</nav>\n<span class=\"live\" id=\"live\" hidden>live</span>\n</header>\n<main id=\"main\">\n");
}

void rf_page_foot(const rf_sink *sink) {
  rf_sink_str(sink, "</main>\n</body>\n</html>\n");
}

void rf_page_message(const rf_sink *sink, const char *base, const char *title, const char *message, const char *back) {
  rf_page_head(sink, base, title, "");
  bool const lower = message[0] >= 'a' && message[0] <= 'z';
  char const first[] = {(char)(lower ? message[0] - 'a' + 'A' : message[0]), '\0'};
  rf_markup(sink, "<div class=\"card narrow\">\n<h1>%s</h1>\n<p>%s%s.</p>\n", title, first,
            message[0] == '\0' ? "" : message + 1);
  if (back != NULL) {
    rf_markup(sink,
              "<form method=\"post\" action=\"%s/sign-in\" class=\"stack-form\">\n<label for=\"token\">Token</label>\n"
              "<input id=\"token\" autofocus name=\"token\" type=\"password\" autocomplete=\"current-password\" "
              "required>\n<input "
              "type=\"hidden\" name=\"back\" value=\"%s\">\n<button class=\"primary\">Sign in</button>\n</form>\n<p "
              "class=\"dim\">The file <code>token</code> in the collector's folder has it; <code>ringfence serve "
              "--open</code> signs a browser in by itself.</p>\n",
              base, back);
  }
  rf_markup(sink, "<p><a href=\"%s/\">To the findings</a></p>\n</div>\n", base);
  rf_page_foot(sink);
}

void rf_page_sign_in_to(const rf_page *p, const char *to, const char *command) {
  rf_markup(p->sink, "<p class=\"dim\">To %s, <a href=\"%s/sign-in?back=%s\">sign in</a> or use <code>%s</code>.</p>\n",
            to, p->base, rf_web_encoded(p->arena, p->back), command);
}

/* ---- Values ---- */

const char *rf_page_plain_number(const rf_page *p, const rf_json *object, const char *name) {
  return rf_bump_arena_print(p->arena, "%" PRIu64, rf_json_unsigned(object, name, 0));
}

const char *rf_page_number(const rf_page *p, uint64_t value) {
  const char *const digits = rf_bump_arena_print(p->arena, "%" PRIu64, value);
  size_t const length = strlen(digits);
  char *const out = (char *)rf_bump_arena_alloc(p->arena, length + length / 3 + 1);
  size_t at = 0;
  for (size_t i = 0; i < length; i++) {
    if (i != 0 && (length - i) % 3 == 0) {
      out[at++] = ',';
    }
    out[at++] = digits[i];
  }
  return out;
}

const char *rf_page_counted(const rf_page *p, uint64_t count, const char *noun) {
  return rf_bump_arena_print(p->arena, "%s %s", rf_page_number(p, count), rf_noun(p->arena, count, noun));
}

const char *rf_page_real(const rf_page *p, const rf_json *object, const char *name) {
  const rf_json *const member = rf_json_member(object, name);
  double const value = member == NULL || member->text == NULL ? 0 : strtod(member->text, NULL);
  return value >= 100 ? rf_page_number(p, (uint64_t)value)
                      : rf_bump_arena_print(p->arena, value >= 1 || value <= 0 ? "%.1f" : "%.3f", value);
}

const char *rf_page_ago(const rf_page *p, const char *time) {
  static const struct {
    int64_t from; /* seconds */
    int64_t unit;
    const char *name;
  } steps[] = {{172800, 86400, "days"}, {7200, 3600, "h"}, {120, 60, "min"}, {10, 1, "s"}};
  int64_t const ms = rf_time_read(time);
  int64_t const seconds = ms < 0 ? -1 : (rf_store_now() - ms) / 1000;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    if (seconds >= steps[i].from) {
      return rf_bump_arena_print(p->arena, "%" PRId64 " %s ago", seconds / steps[i].unit, steps[i].name);
    }
  }
  return seconds < 0 ? "-" : "just now";
}

void rf_page_time(const rf_page *p, const char *time) {
  rf_markup(p->sink, "<time datetime=\"%s\" title=\"%s UTC\">%s</time>", time,
            strlen(time) < 19 ? time : rf_bump_arena_print(p->arena, "%.10s %.8s", time, time + 11),
            rf_page_ago(p, time));
}

static const char *build_text(const rf_page *p, const char *version, const char *name) {
  size_t const length = strlen(name);
  bool const cut = length > BUILD_ID_WHOLE && strspn(name, "0123456789abcdef") == length;
  bool const twice = strcmp(version, name) == 0;
  return rf_bump_arena_print(p->arena, "%s%s%.*s", twice ? "" : version, twice || version[0] == '\0' ? "" : " ",
                             (int)(cut ? BUILD_ID_SHOWN : length), name);
}

const char *rf_page_build(const rf_page *p, const rf_json *object) {
  return build_text(p, rf_json_text(object, "version", ""), rf_json_text(object, "build", ""));
}

const char *rf_page_place(const rf_page *p, const rf_json *finding) {
  const char *const place = rf_json_text(finding, "place", "");
  const char *const blank = strrchr(place, ' ');
  const char *const file = blank == NULL ? place : blank + 1;
  return rf_bump_arena_print(p->arena, "%.*s%s", (int)(file - place), place, rf_path_seen_from(p->source_root, file));
}

void rf_page_build_link(const rf_page *p, const rf_json *build) {
  const char *const name = rf_json_text(build, "name", "");
  rf_markup(p->sink, "<a href=\"%s/?state=all&amp;build=%s\" title=\"%s\">%s</a>", p->base,
            rf_web_encoded(p->arena, name), name, build_text(p, rf_json_text(build, "version", ""), name));
}

void rf_page_state(const rf_page *p, const rf_json *finding) {
  const char *const state = rf_json_bool(finding, "new", false) ? "new" : rf_json_text(finding, "state", "open");
  rf_markup(p->sink, "<span class=\"badge %s\">%s</span>", state, state);
}

/* As a word of a shell. */
static const char *quoted(rf_bump_arena *arena, const char *text) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
  rf_text_sink t;
  if (text[strspn(text, plain)] == '\0') {
    return text;
  }
  rf_text_sink_init(&t, arena);
  rf_sink_char(&t.sink, '\'');
  for (; *text != '\0'; text++) {
    rf_sink_str(&t.sink, *text == '\'' ? "'\\'" : "");
    rf_sink_char(&t.sink, *text);
  }
  rf_sink_char(&t.sink, '\'');
  return t.text;
}

void rf_page_nothing_yet(const rf_page *p, const char *sentence, const char *options, const char *program) {
  char *const whole = realpath(p->directory, NULL);
  rf_markup(p->sink,
            "<div class=\"empty\"><p><b>%s</b></p>\n<p>A checked process that sends to this folder appears here by "
            "itself:</p>\n<pre>RINGFENCE_COLLECTOR=%s ringfence check %s-- %s</pre></div>\n",
            sentence, quoted(p->arena, whole == NULL ? p->directory : whole), options, program);
  free(whole);
}

void rf_page_figure(const rf_page *p, const char *class_name, const char *value, const char *name) {
  rf_markup(p->sink, "<li class=\"%s\"><b>%s</b> %s</li>\n", class_name, value, name);
}

void rf_page_number_cell(const rf_page *p, const rf_json *object, const char *name, const char *one, const char *many) {
  uint64_t const value = rf_json_unsigned(object, name, 0);
  rf_markup(p->sink, "<td class=\"number\" data-name=\"%s\">%s</td>", value == 1 ? one : many,
            rf_page_number(p, value));
}

/* ---- Charts ---- */

static uint64_t value_of(const rf_json *number) {
  uint64_t value = 0;
  for (const char *c = number->text == NULL ? "" : number->text; *c >= '0' && *c <= '9'; c++) {
    value = value * 10 + (uint64_t)(*c - '0');
  }
  return value;
}

uint64_t rf_page_sum(const rf_json *list, uint64_t *most) {
  uint64_t sum = 0;
  *most = 0;
  for (const rf_json *n = list; n != NULL; n = n->next) {
    uint64_t const value = value_of(n);
    sum += value;
    *most = value > *most ? value : *most;
  }
  return sum;
}

static unsigned height_of(uint64_t value, uint64_t most, unsigned full) {
  return value == 0 ? 0 : (unsigned)(1 + (double)value / (double)most * (full - 1));
}

static const char *label_of(const rf_page *p, const rf_json *list) {
  uint64_t most = 0;
  unsigned days = 0;
  uint64_t const sum = rf_page_sum(list, &most);
  for (const rf_json *n = list; n != NULL; n = n->next) {
    days++;
  }
  return sum == 0 ? rf_bump_arena_print(p->arena, "none in %u days", days)
                  : rf_bump_arena_print(p->arena, "%s in %u days, at most %s in one day",
                                        rf_page_counted(p, sum, "event"), days, rf_page_number(p, most));
}

/* One path: a page has a hundred of them. */
void rf_page_bars(const rf_page *p, const rf_json *list, const char *label) {
  enum { HEIGHT = 24, STEP = 4 };
  uint64_t most = 0;
  unsigned x = 0;
  (void)rf_page_sum(list, &most);
  rf_markup(p->sink, "<svg class=\"spark\" role=\"img\" viewBox=\"0 0 120 24\" aria-label=\"%s\"><path d=\"", label);
  for (const rf_json *n = list; n != NULL; n = n->next, x += STEP) {
    unsigned const height = height_of(value_of(n), most, HEIGHT);
    if (height != 0) {
      rf_markup(p->sink, "M%u %uh3v%uh-3z", x, HEIGHT - height, height);
    }
  }
  rf_page_raw(p, "\"/><path class=\"axis\" d=\"M0 23.5h120\"/></svg>");
}

void rf_page_spark(const rf_page *p, const rf_json *list) {
  rf_page_bars(p, list, label_of(p, list));
}

static const char *day_text(const rf_page *p, unsigned days_ago) {
  return rf_time_text(p->arena, rf_store_now() / 1000 - (int64_t)days_ago * 86400, "%Y-%m-%d");
}

void rf_page_chart(const rf_page *p, const rf_json *list, const char *label) {
  enum { HEIGHT = 80, WIDTH = 900 };
  uint64_t most = 0;
  unsigned days = 0;
  unsigned i = 0;
  (void)rf_page_sum(list, &most);
  for (const rf_json *n = list; n != NULL; n = n->next) {
    days++;
  }
  if (days == 0) {
    return;
  }
  unsigned const step = WIDTH / days;
  rf_markup(p->sink,
            "<figure class=\"chart\">\n<figcaption>%s <span class=\"dim\">%s</span></figcaption>\n<svg role=\"img\" "
            "viewBox=\"0 0 %u 80\" preserveAspectRatio=\"none\" aria-label=\"%s\">",
            label, label_of(p, list), step * days, label_of(p, list));
  for (const rf_json *n = list; n != NULL; n = n->next, i++) {
    uint64_t const value = value_of(n);
    unsigned const height = height_of(value, most, HEIGHT);
    if (height != 0) {
      rf_markup(p->sink, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"><title>%s: %s</title></rect>",
                i * step + 1, HEIGHT - height, step - 2, height, day_text(p, days - 1 - i),
                rf_page_counted(p, value, "event"));
    }
  }
  rf_markup(
      p->sink,
      "<path class=\"axis\" d=\"M0 79.5h900\"/></svg>\n<div class=\"scale\"><span>%s</span><span>today</span></div>"
      "\n</figure>\n",
      day_text(p, days - 1));
}

/* ---- Parts of lists ---- */

void rf_page_pager(const rf_page *p, const char *link, const char *noun, uint64_t shown) {
  uint64_t const offset = rf_json_unsigned(p->json, "offset", 0);
  uint64_t const limit = rf_json_unsigned(p->json, "limit", 100);
  uint64_t const total = rf_json_unsigned(p->json, "total", 0);
  rf_markup(p->sink, "<p class=\"pager\"><span>%s of %s</span>", rf_page_counted(p, shown, noun),
            rf_page_number(p, total));
  if (offset > limit) {
    rf_markup(p->sink, " <a rel=\"prev\" href=\"%s&amp;offset=%zu\">Previous</a>", link, (size_t)(offset - limit));
  } else if (offset > 0) {
    rf_markup(p->sink, " <a rel=\"prev\" href=\"%s\">Previous</a>", link);
  }
  if (offset + shown < total) {
    rf_markup(p->sink, " <a rel=\"next\" href=\"%s&amp;offset=%zu\">Next</a>", link, (size_t)(offset + limit));
  }
  rf_page_raw(p, "</p>\n");
}

bool rf_page_is_behind(const rf_page *p, uint64_t total, const char *link) {
  bool const behind = total != 0 && rf_json_unsigned(p->json, "offset", 0) >= total;
  if (behind) {
    rf_markup(p->sink, "<p class=\"empty\">The list ends before this part. <a href=\"%s\">To its beginning</a></p>\n",
              link);
  }
  return behind;
}
