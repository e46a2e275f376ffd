#include "tools/trace/synthetic.h"

#include "lib/core/random.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Making ---- */

typedef struct maker {
  trace t;
  uint64_t random;
  size_t *sizes; /* of live blocks, by id */
  size_t live;   /* bytes */
} maker;

/* low … high */
static size_t between(maker *m, size_t low, size_t high) {
  return low + (size_t)(rf_random_next(&m->random) % (high - low + 1));
}

static maker start(const char *name, uint64_t seed, size_t ids) {
  maker m = {.t = {.name = name, .ids = ids}, .random = seed * 0x2545f4914f6cdd1d + 1};
  m.sizes = (size_t *)trace_must(calloc(ids, sizeof *m.sizes));
  return m;
}

static void add(maker *m, trace_kind kind, size_t id, size_t size) {
  trace *const t = &m->t;
  trace_op const op = {.kind = kind, .id = id, .size = size};
  trace_add(t, &op);
  m->live = m->live - m->sizes[id] + size;
  m->sizes[id] = size;
  t->peak = m->live > t->peak ? m->live : t->peak;
}

static trace finish(maker *m) {
  free(m->sizes);
  return m->t;
}

typedef size_t (*size_fn)(maker *m);

/* A random one of `ids` slots at a time: freed where it is live, else allocated. Half are live in the long run. */
static trace churn(const char *name, uint64_t seed, size_t ids, size_t count, size_fn size) {
  maker m = start(name, seed, ids);
  while (m.t.count < count) {
    size_t const id = between(&m, 0, ids - 1);
    bool const live = m.sizes[id] != 0;
    add(&m, live ? TRACE_FREE : TRACE_ALLOC, id, live ? 0 : size(&m));
  }
  return finish(&m);
}

/* ---- The mixed traces ---- */

static size_t uniform_size(maker *m) {
  return between(m, 1, 256);
}

/* Sizes above s are half as frequent as above s / 2. */
static size_t power_size(maker *m) {
  size_t const size = ((size_t)16 << 16) / between(m, 1, 1 << 16);
  return size < 8192 ? size : 8192;
}

static size_t small_size(maker *m) {
  return between(m, 0, 9) != 0 ? between(m, 1, 64) : between(m, 65, 1024);
}

static size_t heap_5k_size(maker *m) {
  return between(m, 4, 120);
}

static trace uniform(const char *name, uint64_t seed) {
  return churn(name, seed, 600, 8000, uniform_size);
}

static trace power_law(const char *name, uint64_t seed) {
  return churn(name, seed, 600, 8000, power_size);
}

static trace mostly_small(const char *name, uint64_t seed) {
  return churn(name, seed, 600, 8000, small_size);
}

static trace heap_5k(const char *name, uint64_t seed) {
  return churn(name, seed, 90, 3000, heap_5k_size);
}

static trace every_other(const char *name, uint64_t seed) {
  enum { BLOCKS = 800 };
  maker m = start(name, seed, BLOCKS + BLOCKS / 2);
  for (size_t i = 0; i < BLOCKS; i++) {
    add(&m, TRACE_ALLOC, i, between(&m, 16, 128));
  }
  for (size_t i = 0; i < BLOCKS; i += 2) {
    add(&m, TRACE_FREE, i, 0);
  }
  for (size_t i = 0; i < BLOCKS / 2; i++) {
    add(&m, TRACE_ALLOC, BLOCKS + i, between(&m, 16, 128));
  }
  return finish(&m);
}

static trace lifo(const char *name, uint64_t seed) {
  enum { DEPTH = 500 };
  maker m = start(name, seed, DEPTH);
  size_t depth = 0;
  while (m.t.count < 8000) {
    if (depth == 0 || (depth < DEPTH && between(&m, 0, 99) < 55)) {
      add(&m, TRACE_ALLOC, depth++, between(&m, 1, 300));
    } else {
      add(&m, TRACE_FREE, --depth, 0);
    }
  }
  return finish(&m);
}

static trace fifo(const char *name, uint64_t seed) {
  enum { LENGTH = 400 };
  maker m = start(name, seed, LENGTH);
  for (size_t i = 0; m.t.count < 8000; i++) {
    if (i >= LENGTH) {
      add(&m, TRACE_FREE, i % LENGTH, 0);
    }
    add(&m, TRACE_ALLOC, i % LENGTH, between(&m, 1, 300));
  }
  return finish(&m);
}

static trace vectors(const char *name, uint64_t seed) {
  enum { VECTORS = 40 };
  maker m = start(name, seed, VECTORS);
  while (m.t.count < 4000) {
    size_t const id = between(&m, 0, VECTORS - 1);
    size_t const size = m.sizes[id];
    if (size == 0) {
      add(&m, TRACE_ALLOC, id, 16);
    } else if (size > 2000 || between(&m, 0, 30) == 0) {
      add(&m, TRACE_FREE, id, 0);
    } else {
      add(&m, TRACE_REALLOC, id, size + size / 2);
    }
  }
  return finish(&m);
}

static const struct {
  const char *name;
  trace (*make)(const char *name, uint64_t seed);
} kinds[] = {
    {"uniform", uniform},           /* 1 to 256 bytes, 300 live, in random order */
    {"power law", power_law},       /* 16 to 8192 bytes, twice the size half as often, 300 live */
    {"mostly small", mostly_small}, /* nine of ten up to 64 bytes, the others up to 1024, 300 live */
    {"every other", every_other},   /* 800 blocks of 16 to 128 bytes, every other freed, 400 more */
    {"LIFO", lifo},                 /* a stack of up to 500 blocks of 1 to 300 bytes */
    {"FIFO", fifo},                 /* a queue of 400 blocks of 1 to 300 bytes */
    {"vectors", vectors},           /* 40 arrays that grow by half through realloc, up to 3 KiB */
    {"5 KiB heap", heap_5k},        /* 4 to 120 bytes, 45 live */
};

size_t trace_kinds(void) {
  return sizeof kinds / sizeof kinds[0];
}

const char *trace_name(size_t kind) {
  return kinds[kind].name;
}

trace trace_make(size_t kind, uint64_t seed) {
  return kinds[kind].make(kinds[kind].name, seed);
}

/* ---- For arenas of any size ---- */

/* Any number of bits equally often, from one to those of `largest`. */
static size_t any_size(maker *m, size_t largest) {
  size_t const limit = largest >> between(m, 0, (size_t)__builtin_ctzl(largest));
  return between(m, 1, limit);
}

trace trace_make_random(uint64_t seed, size_t count, size_t blocks, size_t largest) {
  maker m = start("random", seed, blocks);
  while (m.t.count < count) {
    size_t const id = between(&m, 0, blocks - 1);
    bool const live = m.sizes[id] != 0;
    add(&m, live ? TRACE_FREE : TRACE_ALLOC, id, live ? 0 : any_size(&m, largest));
  }
  return finish(&m);
}

trace trace_make_comb(uint64_t seed, size_t teeth, size_t largest) {
  maker m = start("comb", seed, 3 * teeth);
  for (size_t i = 0; i < 3 * teeth; i++) {
    add(&m, TRACE_ALLOC, i, any_size(&m, largest));
  }
  for (size_t i = 1; i < 3 * teeth; i += 2) {
    add(&m, TRACE_FREE, i, 0);
  }
  for (size_t i = 0; i < 3 * teeth; i += 2) {
    add(&m, TRACE_FREE, i, 0);
  }
  return finish(&m);
}
