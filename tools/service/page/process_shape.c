/* Sizes of live blocks, and where in memory they are. */
#include "tools/service/page/process_parts.h"

#include "tools/ringfence/base/words.h"

#include <inttypes.h>
#include <stdlib.h>

enum { COLUMNS = 64, CELL_HEIGHT = 12 };

/* ---- Sizes ---- */

static const char *short_bytes(const rf_page *p, uint64_t bytes) {
  static const char units[] = "BKMGTPE";
  size_t unit = 0;
  while (bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    unit++;
  }
  return unit == 0 ? rf_bump_arena_print(p->arena, "%" PRIu64, bytes)
                   : rf_bump_arena_print(p->arena, "%" PRIu64 " %ciB", bytes, units[unit]);
}

static void size_row(const rf_page *p, const rf_json *row, uint64_t most) {
  uint64_t const least = rf_json_unsigned(row, "least", 0);
  uint64_t const bytes = rf_json_unsigned(row, "bytes", 0);
  const char *const range =
      least <= 1 ? short_bytes(p, least)
                 : rf_bump_arena_print(p->arena, "%s to %s", short_bytes(p, least), short_bytes(p, 2 * least));
  rf_markup(p->sink,
            "<tr><th scope=\"row\">%s</th><td class=\"wide-bar\"><svg class=\"share\" viewBox=\"0 0 1000 4\" "
            "preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"%zu\" height=\"4\"/></svg></td><td "
            "class=\"number\">%s</td><td class=\"number\">%s</td></tr>\n",
            range, (size_t)(most == 0 ? 0 : 1000.0 * (double)bytes / (double)most), rf_bytes_text(p->arena, bytes),
            rf_page_number(p, rf_json_unsigned(row, "blocks", 0)));
}

void rf_page_sizes(const rf_process_view *v) {
  const rf_json *const list = rf_json_list(v->snapshot, "sizes");
  uint64_t most = 0;
  if (list == NULL) {
    return;
  }
  for (const rf_json *row = list; row != NULL; row = row->next) {
    uint64_t const bytes = rf_json_unsigned(row, "bytes", 0);
    most = bytes > most ? bytes : most;
  }
  rf_page_raw(v->page, "<section class=\"card\"><h2>Sizes of live blocks</h2>\n<table class=\"plain sizes\"><thead><tr>"
                       "<th scope=\"col\">Bytes each</th><th scope=\"col\"><span class=\"skip\">Share</span></th><th "
                       "scope=\"col\" class=\"number\">Bytes</th><th scope=\"col\" class=\"number\">Blocks</th></tr>"
                       "</thead><tbody>\n");
  for (const rf_json *row = list; row != NULL; row = row->next) {
    size_row(v->page, row, most);
  }
  rf_page_raw(v->page, "</tbody></table>\n</section>\n");
}

/* ---- The map ---- */

typedef struct map {
  const rf_page *page;
  uint64_t cell;
  size_t at; /* the cell that is next in the grid */
  uint64_t live;
  uint64_t cells; /* with something live */
  size_t parts;
} map;

static unsigned shade_of(uint64_t live, uint64_t cell) {
  double const share = cell == 0 ? 0 : (double)live / (double)cell;
  return live == 0 ? 0 : share >= 0.75 ? 4 : share >= 0.5 ? 3 : share >= 0.25 ? 2 : 1;
}

static void put_cell(map *m, uint64_t address, uint64_t live) {
  const rf_page *const p = m->page;
  rf_markup(p->sink,
            "<rect class=\"m%u\" x=\"%zu\" y=\"%zu\" width=\"1\" height=\"1\"><title>%s: %s live</title></rect>",
            shade_of(live, m->cell), m->at % COLUMNS, m->at / COLUMNS,
            rf_bump_arena_print(p->arena, "0x%" PRIx64, address), rf_bytes_text(p->arena, live));
  m->at++;
  m->live += live;
  m->cells += live != 0;
}

static void put_part(map *m, const rf_json *part) {
  uint64_t address = strtoull(rf_json_text(part, "address", "0"), NULL, 16);
  m->at += m->parts++ != 0; /* a gap */
  for (const rf_json *c = rf_json_list(part, "live"); c != NULL; c = c->next, address += m->cell) {
    put_cell(m, address, strtoull(c->text, NULL, 10));
  }
}

static size_t rows_of(const rf_json *parts) {
  size_t cells = 0;
  for (const rf_json *part = parts; part != NULL; part = part->next) {
    cells += cells != 0;
    for (const rf_json *c = rf_json_list(part, "live"); c != NULL; c = c->next) {
      cells++;
    }
  }
  return (cells + COLUMNS - 1) / COLUMNS;
}

void rf_page_map(const rf_process_view *v) {
  const rf_page *const p = v->page;
  const rf_json *const object = rf_json_member(v->snapshot, "map");
  const rf_json *const parts = rf_json_list(object, "parts");
  map m = {.page = p, .cell = rf_json_unsigned(object, "cell", 0)};
  size_t const rows = rows_of(parts);
  if (rows == 0) {
    return;
  }
  rf_markup(
      p->sink,
      "<section class=\"card\"><h2>Map of the heap</h2>\n<svg class=\"map\" role=\"img\" aria-label=\"Live bytes by "
      "address\" width=\"100%s\" height=\"%zu\" viewBox=\"0 0 %u %zu\" preserveAspectRatio=\"none\">",
      "%", rows * CELL_HEIGHT, (unsigned)COLUMNS, rows);
  for (const rf_json *part = parts; part != NULL; part = part->next) {
    put_part(&m, part);
  }
  double const share = m.cells == 0 ? 0 : 100 * (double)m.live / ((double)m.cells * (double)m.cell);
  rf_markup(
      p->sink,
      "</svg>\n<ul class=\"legend\"><li><span class=\"box m0\"></span>empty</li><li><span class=\"box m1\"></span>"
      "up to 25 %s live</li><li><span class=\"box m2\"></span>50 %s</li><li><span class=\"box m3\"></span>75 %s"
      "</li><li><span class=\"box m4\"></span>more</li></ul>\n",
      "%", "%", "%");
  rf_markup(
      p->sink,
      "<p class=\"dim\">By address, %s for each cell, %s of memory. In cells with live bytes, %s of the bytes are live;"
      " the others are free, quarantined, or guards.</p>\n</section>\n",
      rf_bytes_text(p->arena, m.cell), rf_page_counted(p, m.parts, "part"),
      rf_bump_arena_print(p->arena, "%.0f %%", share));
}
