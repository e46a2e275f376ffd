#include "tools/trace/tune.h"

#include "tools/trace/demand.h"

#include <ringfence/layout.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 3U
#define GRAINS (RF_POOL_SIZE_MAX / DEMAND_GRAIN)
#define ARENA_UNIT 16U

/* ---- Arenas ---- */

static const subject *subject_of(const tune_result *r, subject_pools *pools) {
  if (r->class_count == 0) {
    return r->heap;
  }
  subject_with_pools(pools, r->classes, r->class_count, r->heap);
  return &pools->self;
}

static replay_memory memory_for(const trace *t, size_t arena) {
  size_t const most = t->peak * REPLAY_PEAKS_MOST + REPLAY_ARENA_LEAST;
  return replay_memory_make(t, most > arena ? most : arena);
}

static int by_size(const void *a, const void *b) {
  size_t const x = *(const size_t *)a;
  size_t const y = *(const size_t *)b;
  return x < y ? -1 : x > y;
}

/* Counts what fails; true where enough of the traces do not. */
static bool try_arena(const tune_set *set, tune_result *r) {
  subject_pools pools;
  const subject *const s = subject_of(r, &pools);
  r->failed_traces = 0;
  r->failed_requests = 0;
  for (size_t i = 0; i < set->count; i++) {
    size_t first;
    replay_memory m = memory_for(&set->traces[i], r->arena);
    size_t const failed = replay_failures(s, &set->traces[i], &m, r->arena, &first);
    r->failed_traces += failed != 0 ? 1 : 0;
    r->failed_requests += failed;
    replay_memory_free(&set->traces[i], &m);
  }
  return set->count - r->failed_traces >= set->enough;
}

/* Replays all traces once, in roomy arenas, each within the limit; else fills in what it took. */
static bool is_fast(const tune_set *set, tune_result *r) {
  subject_pools pools;
  const subject *const s = subject_of(r, &pools);
  double used_ns = 0;
  size_t requests = 0;
  for (size_t i = 0; i < set->count && set->limit > 0 && !r->slow; i++) {
    replay_memory m = memory_for(&set->traces[i], 0);
    replay_part const part = replay_within(s, &set->traces[i], &m, m.arena_size, set->limit);
    replay_memory_free(&set->traces[i], &m);
    used_ns += part.mean_ns * (double)part.count;
    requests += part.count;
    r->slow = part.count < set->traces[i].count;
  }
  r->mean_ns = used_ns / (double)(requests != 0 ? requests : 1);
  return !r->slow;
}

/* A larger arena may fail where a smaller one does not, so the arena that one trace needs is tried on all. `most`: the
 * largest one to try; 0: many times the peak. */
static void find_arena(const tune_set *set, tune_result *r, size_t most) {
  subject_pools pools;
  const subject *const s = subject_of(r, &pools);
  size_t *const needs = (size_t *)trace_must(calloc(set->count, sizeof *needs));
  for (size_t i = 0; i < set->count; i++) {
    replay_memory m = most != 0 ? replay_memory_make(&set->traces[i], most) : memory_for(&set->traces[i], 0);
    size_t const need = replay_footprint(s, &set->traces[i], &m, 0);
    needs[i] = need != 0 ? rf_round_down(need + ARENA_UNIT - 1, ARENA_UNIT) : SIZE_MAX;
    replay_memory_free(&set->traces[i], &m);
  }
  qsort(needs, set->count, sizeof *needs, by_size);
  r->arena = 0;
  for (size_t i = set->enough - 1; i < set->count && r->arena == 0 && needs[i] != SIZE_MAX; i++) {
    r->arena = needs[i];
    r->arena = try_arena(set, r) ? r->arena : 0;
  }
  r->total = r->arena != 0 ? r->arena + s->control : 0;
  free(needs);
}

tune_result tune_bare(const tune_set *set, const subject *heap) {
  tune_result const no_pools = {.heap = heap};
  return tune_heap(set, &no_pools, heap);
}

tune_result tune_heap(const tune_set *set, const tune_result *pools, const subject *heap) {
  tune_result r = *pools;
  r.heap = heap;
  if (is_fast(set, &r)) {
    find_arena(set, &r, 0);
  }
  return r;
}

void tune_measure(const tune_set *set, tune_result *r) {
  subject_pools pools;
  const subject *const s = subject_of(r, &pools);
  double sum = 0;
  size_t requests = 0;
  for (size_t i = 0; i < set->count; i++) {
    replay_memory m = memory_for(&set->traces[i], r->arena);
    sum += replay_measure(s, &set->traces[i], &m, r->arena, RUNS, NULL).mean_ns * (double)set->traces[i].count;
    requests += set->traces[i].count;
    replay_memory_free(&set->traces[i], &m);
  }
  r->mean_ns = sum / (double)(requests != 0 ? requests : 1);
}

/* ---- Classes ---- */

/* By first and last size of a range, in grains: the most blocks that are live at once, with which enough of the traces
 * get along. */
typedef struct demand_table {
  size_t blocks[GRAINS][GRAINS];
} demand_table;

static void demand_of_trace(const trace *t, demand_table *out) {
  demand_table live = {{{0}}};
  unsigned char *const now = (unsigned char *)trace_must(malloc(t->ids + 1));
  memset(now, (int)GRAINS, t->ids + 1);
  memset(out, 0, sizeof *out);
  for (size_t i = 0; i < t->count; i++) {
    const trace_op *const op = &t->ops[i];
    unsigned const from = now[op->id];
    unsigned const to = op->kind == TRACE_FREE ? (unsigned)GRAINS : demand_class_of(op, GRAINS);
    now[op->id] = (unsigned char)to;
    for (unsigned first = 0; from < GRAINS && first <= from; first++) {
      for (unsigned last = from; last < GRAINS; last++) {
        live.blocks[first][last]--;
      }
    }
    for (unsigned first = 0; to < GRAINS && first <= to; first++) {
      for (unsigned last = to; last < GRAINS; last++) {
        size_t const n = ++live.blocks[first][last];
        out->blocks[first][last] = n > out->blocks[first][last] ? n : out->blocks[first][last];
      }
    }
  }
  free(now);
}

static void demand_of_set(const tune_set *set, demand_table *out) {
  demand_table *const each = (demand_table *)trace_must(calloc(set->count, sizeof *each));
  size_t *const sorted = (size_t *)trace_must(calloc(set->count, sizeof *sorted));
  for (size_t i = 0; i < set->count; i++) {
    demand_of_trace(&set->traces[i], &each[i]);
  }
  for (unsigned first = 0; first < GRAINS; first++) {
    for (unsigned last = 0; last < GRAINS; last++) {
      for (size_t i = 0; i < set->count; i++) {
        sorted[i] = each[i].blocks[first][last];
      }
      qsort(sorted, set->count, sizeof *sorted, by_size);
      out->blocks[first][last] = sorted[set->enough - 1];
    }
  }
  free(sorted);
  free(each);
}

/* Bytes of a class for the range, state bytes included. */
static size_t cost_of(const demand_table *d, unsigned first, unsigned last) {
  return d->blocks[first][last] * (DEMAND_GRAIN * (last + 1) + 1);
}

/* The partition of the first `sizes` grains into `wanted` ranges that costs least; returns the number of classes, those
 * without a block left out. */
static unsigned partition(const demand_table *d, unsigned sizes, unsigned wanted, rf_pool_class *classes) {
  size_t least[RF_POOL_CLASSES_MAX + 1][GRAINS + 1];
  unsigned from[RF_POOL_CLASSES_MAX + 1][GRAINS + 1] = {{0}};
  unsigned count = 0;
  for (unsigned i = 0; i <= sizes; i++) {
    least[0][i] = i == 0 ? 0 : SIZE_MAX / 2;
  }
  for (unsigned k = 1; k <= wanted; k++) {
    least[k][0] = 0;
    for (unsigned end = 1; end <= sizes; end++) {
      least[k][end] = SIZE_MAX / 2;
      for (unsigned begin = 0; begin < end; begin++) {
        size_t const cost = least[k - 1][begin] + cost_of(d, begin, end - 1);
        if (cost < least[k][end]) {
          least[k][end] = cost;
          from[k][end] = begin;
        }
      }
    }
  }
  rf_pool_class reverse[RF_POOL_CLASSES_MAX];
  for (unsigned k = wanted, end = sizes; end > 0; end = from[k--][end]) {
    size_t const blocks = d->blocks[from[k][end]][end - 1];
    if (blocks != 0) {
      reverse[count++] = (rf_pool_class){(size_t)DEMAND_GRAIN * end, blocks};
    }
  }
  for (unsigned i = 0; i < count; i++) {
    classes[i] = reverse[count - 1 - i];
  }
  return count;
}

/* Tries the classes of *r, and keeps them in *best where they need less. The first replay, in the largest arena that
 * would be less, is the last one of most classes. */
static void keep_better(const tune_set *set, tune_result *r, tune_result *best) {
  subject_pools pools;
  size_t const control = subject_of(r, &pools)->control;
  size_t const most =
      best->arena != 0 && best->total > control ? rf_round_down(best->total - control - 1, ARENA_UNIT) : 0;
  if (best->arena != 0 && most == 0) {
    return;
  }
  find_arena(set, r, most);
  if (r->arena != 0 && (best->arena == 0 || r->total < best->total)) {
    *best = *r;
  }
}

/* ---- Choices of classes ---- */

#define PARTS_OF_COUNTS 4U /* 7 to 4 eighths */
#define CHOICES_MOST 64U

typedef struct choices {
  tune_result list[CHOICES_MOST];
  unsigned count;
} choices;

static void tell(const tune_set *set, unsigned number, const choices *all) {
  if (set->progress != NULL) {
    set->progress(number, all->count + PARTS_OF_COUNTS);
  }
}

/* Parts of the counts: not all classes are full at once, and what finds its pool full goes on to the heap. */
static void try_parts(const tune_set *set, const choices *all, tune_result *best) {
  tune_result const whole = *best;
  for (unsigned skipped = 0; skipped < PARTS_OF_COUNTS && whole.class_count != 0; skipped++) {
    tune_result r = whole;
    r.class_count = 0;
    for (unsigned i = 0; i < whole.class_count; i++) {
      size_t const count = whole.classes[i].count * (7 - skipped) / 8;
      if (count != 0) {
        r.classes[r.class_count++] = (rf_pool_class){whole.classes[i].size, count};
      }
    }
    tell(set, all->count + skipped + 1, all);
    if (r.class_count != 0) {
      keep_better(set, &r, best);
    }
  }
}

static bool has_classes_of(const choices *all, const tune_result *r) {
  for (unsigned i = 0; i < all->count; i++) {
    const tune_result *const other = &all->list[i];
    if (other->class_count == r->class_count &&
        memcmp(other->classes, r->classes, r->class_count * sizeof *r->classes) == 0) {
      return true;
    }
  }
  return false;
}

/* Partitions up to several bounds into several numbers of ranges, each once. */
static void list_choices(const tune_set *set, const subject *heap, unsigned limit, choices *out) {
  static const unsigned bounds[] = {1, 2, 3, 4, 6, 8, 12, GRAINS};
  demand_table *const d = (demand_table *)trace_must(malloc(sizeof *d));
  demand_of_set(set, d);
  out->count = 0;
  for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
    for (unsigned wanted = 1; wanted <= limit && wanted <= bounds[b]; wanted += wanted < 4 ? 1 : 2) {
      tune_result r = {.heap = heap};
      r.class_count = partition(d, bounds[b], wanted, r.classes);
      if (r.class_count != 0 && !has_classes_of(out, &r)) {
        out->list[out->count++] = r;
      }
    }
  }
  free(d);
}

tune_result tune_pools(const tune_set *set, const tune_result *bare, unsigned most) {
  choices all;
  tune_result best = *bare;
  list_choices(set, bare->heap, most < RF_POOL_CLASSES_MAX ? most : RF_POOL_CLASSES_MAX, &all);
  for (unsigned i = 0; i < all.count; i++) {
    tell(set, i + 1, &all);
    keep_better(set, &all.list[i], &best);
  }
  try_parts(set, &all, &best);
  return best;
}
