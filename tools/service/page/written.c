/* The bytes written over all events: a table of offsets and values. */
#include "tools/service/page/finding_parts.h"

#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OFFSETS = 16, VALUES = 12 };

typedef struct grid {
  int64_t offsets[OFFSETS];
  unsigned offset_count;
  unsigned values[VALUES];
  unsigned value_count;
  uint64_t counts[OFFSETS][VALUES];
  uint64_t most;
  uint64_t left_out; /* bytes of offsets and values that have no room */
  uint64_t sum;
} grid;

static unsigned index_of_offset(grid *g, int64_t offset) {
  unsigned i = 0;
  while (i < g->offset_count && g->offsets[i] != offset) {
    i++;
  }
  if (i == g->offset_count && i < OFFSETS) {
    g->offsets[g->offset_count++] = offset;
  }
  return i;
}

static unsigned index_of_value(grid *g, unsigned value) {
  unsigned i = 0;
  while (i < g->value_count && g->values[i] != value) {
    i++;
  }
  if (i == g->value_count && i < VALUES) {
    g->values[g->value_count++] = value;
  }
  return i;
}

static grid read_grid(const rf_json *list) {
  grid g = {.most = 0};
  for (const rf_json *w = list; w != NULL; w = w->next) {
    unsigned const value = (unsigned)rf_json_unsigned(w, "value", 0) & 255U;
    uint64_t const count = rf_json_unsigned(w, "count", 0);
    unsigned const row = index_of_offset(&g, rf_json_signed(w, "offset", 0));
    unsigned const column = index_of_value(&g, value);
    g.sum += count;
    if (row == OFFSETS || column == VALUES) {
      g.left_out += count;
      continue;
    }
    g.counts[row][column] += count;
    g.most = g.counts[row][column] > g.most ? g.counts[row][column] : g.most;
  }
  return g;
}

static int by_offset(const void *a, const void *b, void *context) {
  const grid *const g = (const grid *)context;
  int64_t const left = g->offsets[*(const unsigned *)a];
  int64_t const right = g->offsets[*(const unsigned *)b];
  return (left > right) - (left < right);
}

static const char *offset_text(const rf_page *p, int64_t offset) {
  return rf_bump_arena_print(p->arena, "%+" PRId64, offset);
}

/* The sentence that a person would say. */
static const char *meaning(const rf_page *p, const grid *g) {
  if (g->offset_count == 1 && g->value_count == 1 && g->left_out == 0) {
    bool const terminator = g->offsets[0] == 0 && g->values[0] == 0;
    return rf_bump_arena_print(p->arena, "Always at %s, always %02x%s.", offset_text(p, g->offsets[0]), g->values[0],
                               terminator ? ": the NUL at the end of a string that was not counted" : "");
  }
  if (g->offset_count == 1 && g->left_out == 0) {
    return rf_bump_arena_print(p->arena, "Always at %s, with different values: one element too many.",
                               offset_text(p, g->offsets[0]));
  }
  if (g->value_count == 1 && g->left_out == 0) {
    return rf_bump_arena_print(p->arena, "Always %02x, at different places: a fill that is too long.", g->values[0]);
  }
  return "Different values at different places.";
}

static void cell(const rf_page *p, const grid *g, uint64_t count) {
  if (count == 0) {
    rf_page_raw(p, "<td></td>");
    return;
  }
  unsigned const shade = 1 + (unsigned)((double)count / (double)g->most * 3.999);
  rf_markup(p->sink, "<td class=\"q%u\">%s</td>", shade, rf_page_number(p, count));
}

void rf_page_written(const rf_page *p) {
  const rf_json *const list = rf_json_list(p->json, "written");
  unsigned order[OFFSETS];
  if (list == NULL) {
    return;
  }
  grid g = read_grid(list);
  for (unsigned i = 0; i < g.offset_count; i++) {
    order[i] = i;
  }
  qsort_r(order, g.offset_count, sizeof order[0], by_offset, &g);
  rf_markup(
      p->sink,
      "<section class=\"card wide\"><h2>What was written, over all events</h2>\n<p>%s <span class=\"dim\">Offsets "
      "count from the end of the block.</span></p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"Offsets and values\"><table class=\"heat\">\n<thead><tr><th scope=\"col\">offset</th>",
      meaning(p, &g));
  for (unsigned i = 0; i < g.value_count; i++) {
    rf_markup(p->sink, "<th scope=\"col\">%s</th>", rf_bump_arena_print(p->arena, "%02x", g.values[i]));
  }
  rf_page_raw(p, "</tr></thead>\n<tbody>\n");
  for (unsigned i = 0; i < g.offset_count; i++) {
    rf_markup(p->sink, "<tr><th scope=\"row\">%s</th>", offset_text(p, g.offsets[order[i]]));
    for (unsigned k = 0; k < g.value_count; k++) {
      cell(p, &g, g.counts[order[i]][k]);
    }
    rf_page_raw(p, "</tr>\n");
  }
  rf_page_raw(p, "</tbody></table></div>\n");
  if (g.left_out != 0) {
    rf_markup(p->sink, "<p class=\"dim\">%s of rarer offsets and values are left out.</p>\n",
              rf_page_counted(p, g.left_out, "byte"));
  }
  rf_page_raw(p, "</section>\n");
}

void rf_page_hardware(const rf_page *p) {
  uint64_t const damaged = rf_json_unsigned(p->json, "damaged", 0);
  uint64_t const one_bit = rf_json_unsigned(p->json, "one_bit", 0);
  if (damaged == 0 || one_bit == 0) {
    return;
  }
  rf_markup(p->sink,
            "<section class=\"card wide\"><h2>One bit off</h2>\n<p>In <b>%s</b> of %s with damage, one bit "
            "differs from the bytes that were expected. ",
            rf_page_number(p, one_bit), rf_page_counted(p, damaged, "event"));
  rf_page_raw(p, one_bit == damaged ? "A program rarely writes so: memory that fails is likely, above all where one "
                                      "host stands out."
                                    : "The other events point to the program.");
  rf_page_raw(p, "</p>\n<table class=\"plain\"><tbody>\n");
  const rf_json *const hosts = one_bit * 2 < damaged ? NULL : rf_json_list(p->json, "one_bit_hosts");
  for (const rf_json *h = hosts; h != NULL; h = h->next) {
    rf_markup(p->sink, "<tr><td>%s</td><td class=\"number\">%s</td></tr>\n", rf_json_text(h, "name", ""),
              rf_page_number(p, rf_json_unsigned(h, "count", 0)));
  }
  rf_page_raw(p, "</tbody></table>\n</section>\n");
}
