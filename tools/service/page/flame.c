/* The flame graph: bytes by call, callers above. Each box is a link that makes it the widest. */
#include "tools/service/page/process_parts.h"

#include "checkers/report/fnv.h"
#include "tools/ringfence/base/words.h"

#include <stdlib.h>
#include <string.h>

enum { ROW = 20, DEPTH_MOST = 256, BOXES_MOST = 1500, CHILDREN_MOST = 4096 };

/* Narrower boxes are left out, in parts of the whole. */
static const double least = 0.003;

typedef struct node {
  const rf_json *call; /* NULL: the root */
  uint64_t call_sum;
  size_t parent;
  size_t first; /* child; 0: none, as the next */
  size_t next;
  int64_t bytes;
  int64_t blocks;
} node;

typedef struct graph {
  const rf_process_view *view;
  node *nodes; /* the first is the root */
  size_t count;
  size_t *slots; /* by parent and call; 0: free */
  size_t mask;
  uint64_t *sums; /* of the calls */
  size_t boxes;
} graph;

/* ---- The tree ---- */

static uint64_t sum_of(const rf_json *call) {
  uint64_t sum = rf_fnv_text(RF_FNV_START, rf_json_text(call, "function", ""));
  sum = rf_fnv_text(sum, rf_json_text(call, "file", ""));
  sum = rf_fnv_text(sum, rf_json_text(call, "function", NULL) == NULL ? rf_json_text(call, "offset", "") : "");
  uint64_t const line = rf_json_unsigned(call, "line", 0);
  return rf_fnv_bytes(sum, &line, sizeof line);
}

static size_t child_of(graph *g, size_t parent, size_t call) {
  uint64_t const sum = g->sums[call];
  size_t at = (size_t)((sum ^ (uint64_t)parent * UINT64_C(0x9E3779B97F4A7C15)) >> 7) & g->mask;
  for (; g->slots[at] != 0; at = (at + 1) & g->mask) {
    const node *const n = &g->nodes[g->slots[at]];
    if (n->parent == parent && n->call_sum == sum) {
      return g->slots[at];
    }
  }
  g->slots[at] = g->count;
  g->nodes[g->count] =
      (node){.call = g->view->calls[call], .call_sum = sum, .parent = parent, .next = g->nodes[parent].first};
  g->nodes[parent].first = g->count;
  return g->count++;
}

static size_t depth_of(const rf_json *site) {
  size_t depth = 0;
  for (const rf_json *s = rf_json_list(site, "stack"); s != NULL; s = s->next) {
    depth++;
  }
  return depth;
}

/* The growth, where it is a difference; what shrank has no box. */
static int64_t value_of(const graph *g, const rf_json *site, const char *bytes, const char *more) {
  int64_t const value = rf_json_signed(site, g->view->against == NULL ? bytes : more, 0);
  return value < 0 ? 0 : value;
}

static void add_site(graph *g, const rf_json *site) {
  size_t stack[DEPTH_MOST];
  size_t depth = 0;
  int64_t const bytes = value_of(g, site, "bytes", "more_bytes");
  int64_t const blocks = value_of(g, site, "blocks", "more_blocks");
  for (const rf_json *s = rf_json_list(site, "stack"); s != NULL && depth < DEPTH_MOST; s = s->next) {
    stack[depth++] = (size_t)strtoull(s->text, NULL, 10);
  }
  size_t at = 0;
  g->nodes[0].bytes += bytes;
  g->nodes[0].blocks += blocks;
  for (; bytes != 0 && depth != 0; depth--) {
    if (stack[depth - 1] < g->view->call_count) {
      at = child_of(g, at, stack[depth - 1]);
      g->nodes[at].bytes += bytes;
      g->nodes[at].blocks += blocks;
    }
  }
}

static graph make(const rf_process_view *v) {
  rf_bump_arena *const arena = v->page->arena;
  const rf_json *const sites = rf_json_list(v->snapshot, "sites");
  size_t room = 2;
  for (const rf_json *s = sites; s != NULL; s = s->next) {
    room += depth_of(s);
  }
  graph g = {.view = v, .count = 1, .mask = 63};
  while (g.mask < 2 * room) {
    g.mask = 2 * g.mask + 1;
  }
  g.nodes = (node *)rf_bump_arena_array(arena, room, sizeof *g.nodes);
  g.slots = (size_t *)rf_bump_arena_array(arena, g.mask + 1, sizeof *g.slots);
  g.sums = (uint64_t *)rf_bump_arena_array(arena, v->call_count + 1, sizeof *g.sums);
  for (size_t i = 0; i < v->call_count; i++) {
    g.sums[i] = sum_of(v->calls[i]);
  }
  for (const rf_json *s = sites; s != NULL; s = s->next) {
    add_site(&g, s);
  }
  return g;
}

/* ---- Boxes ---- */

static const char *class_of(const graph *g, const node *n) {
  static const char *const warm[] = {"w0", "w1", "w2", "w3", "w4"};
  static const char *const grown[] = {"g0", "g1", "g2", "g3", "g4"};
  if (n->call == NULL || rf_json_bool(n->call, "runtime", false)) {
    return "w";
  }
  size_t const shade = (size_t)(rf_fnv_text(RF_FNV_START, rf_json_text(n->call, "function", "")) >> 8) % 5;
  return g->view->against == NULL ? warm[shade] : grown[shade];
}

static const char *name_of(const graph *g, const node *n) {
  return n->call == NULL ? "all" : rf_call_name(g->view, n->call);
}

static const char *share_text(const graph *g, const node *n) {
  double const all = g->nodes[0].bytes == 0 ? 1 : (double)g->nodes[0].bytes;
  return rf_bump_arena_print(g->view->page->arena, "%.1f %%", 100 * (double)n->bytes / all);
}

static const char *link_of(const graph *g, size_t index) {
  return rf_bump_arena_print(g->view->page->arena, "%s&zoom=%zu#flame", g->view->link, index);
}

static void box(graph *g, size_t index, size_t row, double x, double width, const char *more_class) {
  const rf_page *const p = g->view->page;
  const node *const n = &g->nodes[index];
  const char *const place = n->call == NULL ? NULL : rf_call_place(g->view, n->call);
  rf_markup(p->sink, "<a href=\"%s\"><svg x=\"%s%s\" y=\"%zu\" width=\"%s%s\" height=\"19\"><title>%s",
            link_of(g, index), rf_svg_number(p, 100 * x), "%", row * ROW, rf_svg_number(p, 100 * width), "%",
            name_of(g, n));
  rf_markup(p->sink, "%s%s: %s, %s of all, %s</title><rect class=\"%s%s\" width=\"100%s\" height=\"19\"/>",
            place == NULL ? "" : " ", place == NULL ? "" : place, rf_bytes_text(p->arena, (uint64_t)n->bytes),
            share_text(g, n), rf_page_counted(p, (uint64_t)n->blocks, "block"), class_of(g, n), more_class, "%");
  if (width > 0.015) {
    rf_markup(p->sink, "<text x=\"5\" y=\"14\">%s</text>", name_of(g, n));
  }
  rf_page_raw(p, "</svg></a>\n");
  g->boxes++;
}

static int by_bytes(const void *a, const void *b, void *context) {
  const graph *const g = (const graph *)context;
  int64_t const left = g->nodes[*(const size_t *)a].bytes;
  int64_t const right = g->nodes[*(const size_t *)b].bytes;
  return (left < right) - (left > right);
}

typedef struct place {
  size_t node;
  size_t row;
  double x;
} place;

/* The children of a box, widest first, that are wide enough. */
static size_t children_of(graph *g, size_t parent, double scale, size_t out[CHILDREN_MOST]) {
  size_t count = 0;
  for (size_t c = g->nodes[parent].first; c != 0 && count < CHILDREN_MOST; c = g->nodes[c].next) {
    if ((double)g->nodes[c].bytes * scale >= least) {
      out[count++] = c;
    }
  }
  qsort_r(out, count, sizeof *out, by_bytes, g);
  return count;
}

static void boxes_from(graph *g, size_t root, size_t row) {
  place *const stack = (place *)rf_bump_arena_array(g->view->page->arena, g->count + 1, sizeof *stack);
  size_t *const children = (size_t *)rf_bump_arena_array(g->view->page->arena, CHILDREN_MOST, sizeof *children);
  double const scale = g->nodes[root].bytes == 0 ? 0 : 1 / (double)g->nodes[root].bytes;
  size_t used = 1;
  stack[0] = (place){root, row, 0};
  while (used != 0 && g->boxes < BOXES_MOST) {
    place const at = stack[--used];
    double x = at.x;
    box(g, at.node, at.row, at.x, (double)g->nodes[at.node].bytes * scale, "");
    size_t const count = children_of(g, at.node, scale, children);
    for (size_t i = 0; i < count && at.row < DEPTH_MOST; i++) {
      stack[used++] = (place){children[i], at.row + 1, x};
      x += (double)g->nodes[children[i]].bytes * scale;
    }
  }
}

/* The callers of the box that is the widest: as wide as it is, so that each leads out again. */
static size_t callers(graph *g, size_t root) {
  size_t path[DEPTH_MOST];
  size_t count = 0;
  for (size_t at = root; at != 0 && count < DEPTH_MOST; at = g->nodes[at].parent) {
    path[count++] = g->nodes[at].parent;
  }
  for (size_t i = 0; i < count; i++) {
    box(g, path[count - 1 - i], i, 0, 1, " caller");
  }
  return count;
}

/* ---- The section ---- */

static size_t rows_below(const graph *g, size_t root) {
  size_t most = 1;
  double const all = (double)g->nodes[root].bytes;
  for (size_t i = 1; i < g->count; i++) {
    size_t depth = 1;
    size_t at = i;
    if ((double)g->nodes[i].bytes < least * all) {
      continue;
    }
    for (; at != root && at != 0; at = g->nodes[at].parent) {
      depth++;
    }
    most = at == root && depth > most ? depth : most;
  }
  return most;
}

static size_t rows_above(const graph *g, size_t root) {
  size_t count = 0;
  for (size_t at = root; at != 0; at = g->nodes[at].parent) {
    count++;
  }
  return count;
}

void rf_page_flame(const rf_process_view *v) {
  const rf_page *const p = v->page;
  graph g = make(v);
  size_t const root = p->zoom > 0 && (size_t)p->zoom < g.count ? (size_t)p->zoom : 0;
  rf_markup(p->sink,
            "<section class=\"card wide\" id=\"flame\"><h2>%s by call <span class=\"dim\">%s%s%s</span></h2>\n",
            v->against == NULL ? "Live bytes" : "Bytes grown", rf_bytes_text(p->arena, (uint64_t)g.nodes[root].bytes),
            root == 0 ? "" : " within ", root == 0 ? "" : name_of(&g, &g.nodes[root]));
  if (g.nodes[0].bytes == 0) {
    rf_markup(p->sink, "<p class=\"dim\">%s.</p>\n</section>\n",
              v->against == NULL ? "Nothing is live" : "Nothing has grown");
    return;
  }
  if (root != 0) {
    rf_markup(p->sink, "<p class=\"reset\"><a href=\"%s#flame\">Show all</a></p>\n", v->link);
  }
  rf_markup(p->sink,
            "<a class=\"skip\" href=\"#sites\">Past the graph</a><div class=\"flame-box\"><svg class=\"flame\" "
            "role=\"group\" aria-label=\"Bytes by call, callers above\" "
            "width=\"100%s\" height=\"%zu\">\n",
            "%", (rows_above(&g, root) + rows_below(&g, root)) * ROW);
  boxes_from(&g, root, callers(&g, root));
  rf_page_raw(p,
              "</svg></div>\n<p class=\"dim\">Callers are above; a box leads to a view in which it is the widest. Boxes"
              " below 0.3 % are left out.</p>\n</section>\n");
}
