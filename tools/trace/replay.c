#define _GNU_SOURCE
#include "tools/trace/replay.h"

#include "tools/trace/libc.h"

#include <ringfence/port.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SAMPLES 64U
#define STEP 16U    /* of footprints, in bytes, */
#define PARTS 1024U /* or of the peak, whichever is more */
#define RUNS 7U
#define BETWEEN_LOOKS 64U /* requests between two looks at the clock */

/* ---- Memory ---- */

replay_memory replay_memory_make(const trace *t, size_t arena_size) {
  replay_memory m = {.arena_size = arena_size};
  m.blocks = (void **)trace_must(calloc(t->ids + 1, sizeof(void *)));
  void *const arena =
      mmap(NULL, arena_size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  m.arena = trace_must(arena == MAP_FAILED ? NULL : arena);
  return m;
}

void replay_memory_free(const trace *t, replay_memory *m) {
  (void)t;
  free(m->blocks);
  (void)munmap(m->arena, m->arena_size + 1);
  *m = (replay_memory){0};
}

rf_allocator *replay_begin(const subject *s, const trace *t, replay_memory *m, size_t arena_size) {
  memset(m->blocks, 0, (t->ids + 1) * sizeof(void *));
  return subject_make(s, m->arena, arena_size, t);
}

void replay_end(const subject *s, const trace *t, replay_memory *m, rf_allocator *a) {
  for (size_t id = 0; !s->arena && id < t->ids; id++) {
    (void)rf_free(a, m->blocks[id]);
  }
  rf_deinit(a);
}

/* ---- Whether it succeeds ---- */

size_t replay_failures(const subject *s, const trace *t, replay_memory *m, size_t arena_size, size_t *first) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  size_t failed = 0;
  if (a == NULL) {
    *first = 0;
    return t->count;
  }
  for (size_t i = 0; i < t->count; i++) {
    if (!replay_op(a, &t->ops[i], m->blocks)) {
      *first = failed == 0 ? i : *first;
      failed++;
    }
  }
  replay_end(s, t, m, a);
  return failed;
}

static bool succeeds(const subject *s, const trace *t, replay_memory *m, size_t arena_size) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  bool good = a != NULL;
  for (size_t i = 0; good && i < t->count; i++) {
    good = replay_op(a, &t->ops[i], m->blocks);
  }
  if (a != NULL) {
    replay_end(s, t, m, a);
  }
  return good;
}

/* ---- Whether it is right ---- */

static unsigned char pattern_of(size_t id, size_t at) {
  return (unsigned char)((id * 0x9e37U >> 3) + at * 7 + id);
}

static void fill(void *block, size_t id, size_t size) {
  for (size_t i = 0; i < size; i++) {
    ((unsigned char *)block)[i] = pattern_of(id, i);
  }
}

static bool is_filled(const void *block, size_t id, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (((const unsigned char *)block)[i] != pattern_of(id, i)) {
      return false;
    }
  }
  return true;
}

/* `sizes` by id: bytes that carry the pattern. */
static bool verify_op(rf_allocator *a, const trace_op *op, void **blocks, size_t *sizes) {
  size_t const id = op->id;
  size_t const kept = op->size < sizes[id] ? op->size : sizes[id];
  if (!is_filled(blocks[id], id, blocks[id] != NULL ? sizes[id] : 0)) {
    return false;
  }
  if (!replay_op(a, op, blocks)) {
    return true;
  }
  bool const good = op->kind != TRACE_REALLOC || is_filled(blocks[id], id, kept);
  sizes[id] = op->size;
  if (blocks[id] == NULL) {
    return good;
  }
  fill(blocks[id], id, op->size);
  return good && (op->size == 0 || op->kind == TRACE_REALLOC ||
                  rf_is_aligned(blocks[id], op->align != 0 ? op->align : RF_ALIGN_DEFAULT));
}

bool replay_verify(const subject *s, const trace *t, replay_memory *m, size_t arena_size) {
  size_t *const sizes = (size_t *)trace_must(calloc(t->ids + 1, sizeof *sizes));
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  bool good = true;
  for (size_t i = 0; a != NULL && good && i < t->count; i++) {
    good = verify_op(a, &t->ops[i], m->blocks, sizes);
  }
  if (a != NULL) {
    replay_end(s, t, m, a);
  }
  free(sizes);
  return good;
}

/* ---- Time ---- */

static double run_all(const subject *s, const trace *t, replay_memory *m, size_t arena_size) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  uint64_t const start = rf_port_now_ns();
  for (size_t i = 0; i < t->count; i++) {
    (void)replay_op(a, &t->ops[i], m->blocks);
  }
  double const took = (double)(rf_port_now_ns() - start);
  replay_end(s, t, m, a);
  return took;
}

/* Each request's time, where it is less than before. */
static void run_each(const subject *s, const trace *t, replay_memory *m, size_t arena_size, float *fastest) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  uint64_t before = rf_port_now_ns();
  for (size_t i = 0; i < t->count; i++) {
    (void)replay_op(a, &t->ops[i], m->blocks);
    uint64_t const after = rf_port_now_ns();
    float const took = (float)(after - before);
    fastest[i] = took < fastest[i] ? took : fastest[i];
    before = after;
  }
  replay_end(s, t, m, a);
}

replay_times replay_measure(const subject *s, const trace *t, replay_memory *m, size_t arena_size, unsigned runs,
                            float *each) {
  float *const fastest = each != NULL ? each : (float *)trace_must(calloc(t->count + 1, sizeof *fastest));
  replay_times out = {0, 0};
  double least = 1e30;
  for (size_t i = 0; i < t->count; i++) {
    fastest[i] = 1e30F;
  }
  for (unsigned run = 0; run < runs; run++) {
    double const took = run_all(s, t, m, arena_size);
    least = took < least ? took : least;
    run_each(s, t, m, arena_size, fastest);
  }
  out.mean_ns = least / (double)(t->count != 0 ? t->count : 1);
  for (size_t i = 0; i < t->count; i++) {
    out.worst_ns = (double)fastest[i] > out.worst_ns ? (double)fastest[i] : out.worst_ns;
  }
  if (each == NULL) {
    free(fastest);
  }
  return out;
}

static double seconds_used(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

replay_part replay_within(const subject *s, const trace *t, replay_memory *m, size_t arena_size, double seconds) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  replay_part out = {0};
  if (a == NULL) {
    return out;
  }
  double const start = seconds_used();
  double used = 0;
  while (out.count < t->count && (seconds <= 0 || used < seconds)) {
    size_t const left = t->count - out.count;
    for (size_t n = left < BETWEEN_LOOKS ? left : BETWEEN_LOOKS; n != 0; n--) {
      (void)replay_op(a, &t->ops[out.count++], m->blocks);
    }
    used = seconds_used() - start;
  }
  out.mean_ns = 1e9 * used / (double)(out.count != 0 ? out.count : 1);
  replay_end(s, t, m, a);
  return out;
}

/* ---- Memory that it needs ---- */

static size_t most_taken(const subject *s, const trace *t, replay_memory *m) {
  rf_allocator *const a = replay_begin(s, t, m, 0);
  void *const held = libc_hold();
  size_t const before = s->taken();
  size_t most = 0;
  uintptr_t top = 0;
  for (size_t i = 0; i < t->count; i++) {
    (void)replay_op(a, &t->ops[i], m->blocks);
    const void *const block = m->blocks[t->ops[i].id];
    if (block != NULL && libc_may_have_grown(block, &top)) {
      size_t const taken = s->taken();
      most = taken > before && taken - before > most ? taken - before : most;
    }
  }
  replay_end(s, t, m, a);
  libc_release(held);
  return most;
}

size_t replay_footprint(const subject *s, const trace *t, replay_memory *m, size_t step) {
  if (!s->arena) {
    return most_taken(s, t, m);
  }
  size_t const unit = step != 0 ? 1 : STEP;
  size_t enough = rf_round_down(m->arena_size, unit);
  size_t low = rf_round_down(t->peak / 2, unit);
  if (!succeeds(s, t, m, enough)) {
    return 0;
  }
  if (step == 0) {
    step = t->peak / PARTS > STEP ? t->peak / PARTS : STEP;
  }
  while (enough > low && enough - low > step) {
    size_t const middle = rf_round_down(low + (enough - low) / 2, unit);
    if (succeeds(s, t, m, middle)) {
      enough = middle;
    } else {
      low = middle;
    }
  }
  return enough;
}

static double fragmentation_of(const rf_stats *s) {
  return s->free_bytes == 0 || s->largest_free >= s->free_bytes ? 0
                                                                : 1 - (double)s->largest_free / (double)s->free_bytes;
}

replay_fragmentation replay_fragment(const subject *s, const trace *t, replay_memory *m, size_t arena_size) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  replay_fragmentation out = {0};
  size_t const every = t->count / SAMPLES + 1;
  if (a == NULL) {
    return out;
  }
  for (size_t i = 0; i < t->count; i++) {
    (void)replay_op(a, &t->ops[i], m->blocks);
    if (i % every == 0 || i + 1 == t->count) {
      rf_stats_get(a, &out.end);
      out.at_end = fragmentation_of(&out.end);
      out.most = out.at_end > out.most ? out.at_end : out.most;
    }
  }
  out.known = out.end.capacity != 0;
  replay_end(s, t, m, a);
  return out;
}

/* ---- Memory over time ---- */

static size_t occupied(const subject *s, rf_allocator *a, size_t before) {
  rf_stats stats;
  if (!s->arena) {
    size_t const taken = s->taken();
    return taken > before ? taken - before : 0;
  }
  rf_stats_get(a, &stats);
  return stats.used + stats.overhead;
}

bool replay_series(const subject *s, const trace *t, replay_memory *m, size_t arena_size, size_t points, size_t *out) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  size_t point = 0;
  if (a == NULL) {
    return false;
  }
  void *const held = s->arena ? NULL : libc_hold();
  size_t const before = s->arena ? 0 : s->taken();
  for (size_t i = 0; i < t->count; i++) {
    (void)replay_op(a, &t->ops[i], m->blocks);
    for (; point < points && i + 1 >= (point + 1) * t->count / points; point++) {
      out[point] = occupied(s, a, before);
    }
  }
  for (; point < points; point++) {
    out[point] = 0; /* a trace without a request */
  }
  replay_end(s, t, m, a);
  libc_release(held);
  return true;
}

/* ---- All of it ---- */

/* As many as fit into the limit, two replays for each. */
static unsigned runs_within(const replay_part *whole, double limit) {
  double const each = 2 * whole->mean_ns * (double)whole->count / 1e9;
  double const fit = limit > 0 && each > 0 ? limit / each : RUNS;
  return fit >= RUNS ? RUNS : fit < 1 ? 1 : (unsigned)fit;
}

replay_figures replay_figures_of(const subject *s, const trace *t, replay_memory *m, size_t arena_size, unsigned runs,
                                 double limit) {
  rf_allocator *const a = replay_begin(s, t, m, arena_size);
  replay_figures f = {.usable = a != NULL};
  if (a == NULL) {
    return f;
  }
  replay_end(s, t, m, a);
  replay_part const first = replay_within(s, t, m, arena_size, limit);
  f.replayed = first.count;
  f.times.mean_ns = first.mean_ns;
  if (first.count < t->count) {
    return f;
  }
  f.runs = runs != 0 ? runs : runs_within(&first, limit);
  f.times = replay_measure(s, t, m, arena_size, f.runs, NULL);
  f.failed = replay_failures(s, t, m, arena_size, &f.first_failed);
  f.footprint = replay_footprint(s, t, m, 0);
  f.fragmentation = replay_fragment(s, t, m, arena_size);
  f.sound = replay_verify(s, t, m, arena_size);
  return f;
}
