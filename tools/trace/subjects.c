#include "tools/trace/subjects.h"

#include "tools/trace/demand.h"
#include "tools/trace/libc.h"

#include <ringfence/blockgroup_allocator.h>
#include <ringfence/handle_allocator.h>
#include <ringfence/lock.h>
#include <ringfence/memblocks_allocator.h>
#include <ringfence/memheap.h>
#include <ringfence/mempool.h>
#include <ringfence/pool.h>
#include <ringfence/simple.h>
#include <ringfence/sizeclass.h>
#include <ringfence/slab.h>
#include <ringfence/smallmem.h>
#include <ringfence/std.h>
#include <ringfence/tlsf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_LIMIT ((size_t)1000000000)
#define LONGEST_HEAP 16U /* in letters, so that names with pools fit */

_Static_assert(SUBJECT_NAME_BYTES > 5 + RF_POOL_CLASSES_MAX * 14 + LONGEST_HEAP + 1, "a name fits");

/* ---- Heaps ---- */

static rf_tlsf tlsf;

static rf_allocator *make_tlsf(void *arena, size_t size, const trace *t) {
  (void)t;
  return rf_tlsf_init(&tlsf, arena, size) == RF_OK ? &tlsf.base : NULL;
}

static rf_allocator *make_simple(void *arena, size_t size, const trace *t) {
  static rf_simple heap;
  (void)t;
  return rf_simple_init(&heap, arena, size) == RF_OK ? &heap.base : NULL;
}

static rf_allocator *make_smallmem(void *arena, size_t size, const trace *t) {
  static rf_smallmem heap;
  (void)t;
  return rf_smallmem_init(&heap, arena, size) == RF_OK ? &heap.base : NULL;
}

static rf_allocator *make_slab(void *arena, size_t size, const trace *t) {
  static rf_slab heap;
  (void)t;
  return rf_slab_init(&heap, arena, size) == RF_OK ? &heap.base : NULL;
}

static rf_allocator *make_memheap(void *arena, size_t size, const trace *t) {
  static rf_memheap heap;
  static rf_memheap_region region;
  (void)t;
  return rf_memheap_init(&heap) == RF_OK && rf_memheap_add(&heap, &region, "arena", arena, size) == RF_OK ? &heap.base
                                                                                                          : NULL;
}

static rf_allocator *make_sizeclass(void *arena, size_t size, const trace *t) {
  static rf_sizeclass heap;
  (void)t;
  return rf_sizeclass_init(&heap, arena, size, NULL) == RF_OK ? &heap.base : NULL;
}

static rf_allocator *make_handle(void *arena, size_t size, const trace *t) {
  static rf_handle_heap heap;
  static rf_handle_allocator pinned;
  (void)t;
  return rf_handle_heap_init(&heap, arena, size, NULL) == RF_OK && rf_handle_allocator_init(&pinned, &heap) == RF_OK
             ? &pinned.base
             : NULL;
}

static rf_allocator *make_std(void *arena, size_t size, const trace *t) {
  static rf_std heap;
  (void)arena;
  (void)size;
  (void)t;
  return rf_std_init(&heap) == RF_OK ? &heap.base : NULL;
}

static rf_allocator *make_libc(void *arena, size_t size, const trace *t) {
  (void)arena;
  (void)size;
  (void)t;
  return libc_allocator();
}

/* ---- Blocks of 64 bytes (memblocks: runs of them); what they keep outside the blocks is taken from the arena as
 * well ---- */

#define BLOCK ((size_t)64)

static rf_allocator *make_mempool(void *arena, size_t size, const trace *t) {
  static rf_mempool pool;
  (void)t;
  return rf_mempool_init(&pool, arena, size, BLOCK, RF_ALIGN_DEFAULT) == RF_OK ? &pool.base : NULL;
}

/* A block, a word for its size, a bit in a bitmap of whole words. */
static rf_allocator *make_memblocks(void *arena, size_t size, const trace *t) {
  static rf_memblocks blocks;
  static rf_memblocks_allocator heap;
  size_t const lost = rf_align_gap(arena, RF_ALIGN_DEFAULT) + sizeof(size_t);
  size_t const count = size < lost ? 0 : (size - lost) / (BLOCK + sizeof(size_t) + 1);
  unsigned char *const first = (unsigned char *)arena + rf_align_gap(arena, RF_ALIGN_DEFAULT);
  size_t *const sizes = (size_t *)(void *)(first + count * BLOCK);
  (void)t;
  return count != 0 && rf_memblocks_init(&blocks, first, BLOCK, count, sizes + count) == RF_OK &&
                 rf_memblocks_allocator_init(&heap, &blocks, sizes) == RF_OK
             ? &heap.base
             : NULL;
}

/* Unused: the adapter chooses by size. */
static rf_memblocks *choose_none(rf_blockgroup *group, void *config) {
  (void)group;
  (void)config;
  return NULL;
}

/* As many blocks of 16 as of 32 and of 64 bytes, with a word for the size of each and bitmaps, each of whole words. */
#define POOLS 3
#define BLOCKGROUP_CONTROL                                                                                             \
  (sizeof(rf_blockgroup) + sizeof(rf_blockgroup_allocator) +                                                           \
   POOLS * (sizeof(rf_memblocks) + sizeof(rf_blockgroup_member)))

static rf_allocator *make_blockgroup(void *arena, size_t size, const trace *t) {
  enum { BYTES_OF_ALL = 16 + 32 + 64 };
  static rf_blockgroup group;
  static rf_blockgroup_allocator heap;
  static rf_memblocks pools[POOLS];
  static rf_blockgroup_member members[POOLS];
  size_t const lost = rf_align_gap(arena, RF_ALIGN_DEFAULT) + POOLS * sizeof(size_t);
  size_t const count = size < lost ? 0 : (size - lost) / (BYTES_OF_ALL + POOLS * sizeof(size_t) + 1);
  unsigned char *at = (unsigned char *)arena + rf_align_gap(arena, RF_ALIGN_DEFAULT);
  size_t *const sizes = (size_t *)(void *)(at + count * BYTES_OF_ALL);
  size_t *bitmap = sizes + POOLS * count;
  (void)t;
  if (count == 0 || rf_blockgroup_init(&group, choose_none) != RF_OK) {
    return NULL;
  }
  for (size_t i = 0; i < POOLS; i++) {
    if (rf_memblocks_init(&pools[i], at, (size_t)16 << i, count, bitmap) != RF_OK ||
        rf_blockgroup_add(&group, &members[i], &pools[i]) != RF_OK) {
      return NULL;
    }
    at += count * ((size_t)16 << i);
    bitmap += RF_MEMBLOCKS_WORDS(count);
  }
  return rf_blockgroup_allocator_init(&heap, &group, sizes) == RF_OK ? &heap.base : NULL;
}

/* ---- Decorators ---- */

static rf_allocator *make_lock(void *arena, size_t size, const trace *t) {
  static rf_lock lock;
  return make_tlsf(arena, size, t) != NULL && rf_lock_init(&lock, &tlsf.base) == RF_OK ? &lock.base : NULL;
}

/* As many blocks of each class as the trace has at once. */
static rf_allocator *make_pool(void *arena, size_t size, const trace *t) {
  static rf_pool pool;
  rf_pool_class classes[DEMAND_CLASSES];
  rf_pool_options const options = {classes, DEMAND_CLASSES, NULL, 0};
  demand_of(t, classes);
  return make_tlsf(arena, size, t) != NULL && rf_pool_init(&pool, &tlsf.base, t != NULL ? &options : NULL) == RF_OK
             ? &pool.base
             : NULL;
}

/* ---- All ---- */

/* A heap in one rf_NAME, which rf_NAME_init makes of an arena. */
#define HEAP(of, files)                                                                                                \
  {                                                                                                                    \
    .name = #of, .make = make_##of, .arena = true, .sources = (files), .control = sizeof(rf_##of),                     \
    .variables = "rf_" #of " heap;", .init = "rf_" #of "_init(&t->heap, arena, size) == RF_OK"                         \
  }
#define NO_CODE NULL, NULL

const subject subjects[] = {
    HEAP(tlsf, "heaps/tlsf "),
    HEAP(simple, "heaps/simple "),
    HEAP(smallmem, "heaps/smallmem heaps/block_list "),
    HEAP(slab, "heaps/slab "),
    {"memheap", make_memheap, 0, true, NULL, "heaps/memheap heaps/block_list ",
     sizeof(rf_memheap) + sizeof(rf_memheap_region), NULL, "rf_memheap heap;\n  rf_memheap_region region;",
     "rf_memheap_init(&t->heap) == RF_OK &&\n"
     "              rf_memheap_add(&t->heap, &t->region, \"arena\", arena, size) == RF_OK"},
    {"sizeclass", make_sizeclass, (size_t)64 << 10, true, NULL, "heaps/sizeclass ", sizeof(rf_sizeclass), NULL,
     "rf_sizeclass heap;", "rf_sizeclass_init(&t->heap, arena, size, NULL) == RF_OK"},
    {"handle", make_handle, 0, true, NULL, "heaps/handle ", sizeof(rf_handle_heap) + sizeof(rf_handle_allocator), NULL,
     NO_CODE},
    {"std", make_std, 0, false, libc_taken, "heaps/std ", sizeof(rf_std), NULL, NO_CODE},
    {"mempool", make_mempool, BLOCK, true, NULL, "blocks/mempool ", sizeof(rf_mempool), NULL, NO_CODE},
    {"memblocks", make_memblocks, 0, true, NULL, "blocks/memblocks ",
     sizeof(rf_memblocks) + sizeof(rf_memblocks_allocator), NULL, NO_CODE},
    {"blockgroup", make_blockgroup, BLOCK, true, NULL, "blocks/blockgroup ", BLOCKGROUP_CONTROL, NULL, NO_CODE},
    {"lock+tlsf", make_lock, 0, true, NULL, "decorators/lock ", sizeof(rf_lock) + sizeof(rf_tlsf), NULL, NO_CODE},
    {"pool+tlsf", make_pool, 0, true, NULL, "decorators/pool ", sizeof(rf_pool) + sizeof(rf_tlsf), NULL, NO_CODE},
    {"libc", make_libc, 0, false, libc_taken, "", 0, NULL, NO_CODE},
};

const size_t subject_count = sizeof subjects / sizeof subjects[0];

rf_allocator *subject_make(const subject *s, void *arena, size_t size, const trace *t) {
  static rf_pool pool;
  const subject_pools *const p = s->pools;
  if (p == NULL) {
    return s->make(arena, size, t);
  }
  rf_pool_options const options = {p->classes, p->count, NULL, 0};
  rf_allocator *const heap = p->heap->make(arena, size, t);
  return heap != NULL && rf_pool_init(&pool, heap, &options) == RF_OK ? &pool.base : NULL;
}

const subject *subject_find(const char *name) {
  for (size_t i = 0; i < subject_count; i++) {
    if (strcmp(subjects[i].name, name) == 0) {
      return &subjects[i];
    }
  }
  return NULL;
}

/* ---- With pools ---- */

void subject_with_pools(subject_pools *out, const rf_pool_class *classes, unsigned count, const subject *heap) {
  *out = (subject_pools){.heap = heap, .count = count};
  size_t used = 0;
  for (unsigned i = 0; i < count; i++) {
    out->classes[i] = classes[i];
    used += (size_t)snprintf(out->name + used, sizeof out->name - used, "%s%zux%zu", i == 0 ? "pool:" : ",",
                             classes[i].size, classes[i].count);
  }
  (void)snprintf(out->name + used, sizeof out->name - used, "+%s", heap->name);
  out->self = *heap;
  out->self.name = out->name;
  out->self.control += sizeof(rf_pool);
  out->self.pools = out;
}

/* Digits alone, fewer than `below`. */
static bool read_number(const char **at, size_t below, size_t *out) {
  const char *const start = *at;
  *out = 0;
  for (; **at >= '0' && **at <= '9' && *out < below; ++*at) {
    *out = *out * 10 + (size_t)(**at - '0');
  }
  return *at != start && *out < below;
}

static bool read_classes(const char **at, rf_pool_class *classes, unsigned *count) {
  size_t above = 0;
  for (*count = 0; *count < RF_POOL_CLASSES_MAX; ++*at) {
    rf_pool_class *const c = &classes[*count];
    if (!read_number(at, RF_POOL_SIZE_MAX + 1, &c->size) || *(*at)++ != 'x' ||
        !read_number(at, COUNT_LIMIT, &c->count) || c->size <= above || c->size % sizeof(void *) != 0) {
      return false;
    }
    above = c->size;
    ++*count;
    if (**at != ',') {
      return *(*at)++ == '+';
    }
  }
  return false;
}

const subject *subject_parse(const char *text, subject_pools *pools) {
  static const char begin[] = "pool:";
  rf_pool_class classes[RF_POOL_CLASSES_MAX];
  unsigned count;
  if (strncmp(text, begin, sizeof begin - 1) != 0) {
    return subject_find(text);
  }
  text += sizeof begin - 1;
  const subject *const heap = read_classes(&text, classes, &count) ? subject_find(text) : NULL;
  if (heap == NULL || !heap->arena || strlen(text) > LONGEST_HEAP) {
    return NULL;
  }
  subject_with_pools(pools, classes, count, heap);
  return &pools->self;
}

const subject *subject_named(const char *name) {
  const subject *const s = subject_find(name);
  if (s == NULL) {
    (void)fprintf(stderr, "there is no allocator %s; there are", name);
    for (size_t i = 0; i < subject_count; i++) {
      (void)fprintf(stderr, " %s", subjects[i].name);
    }
    (void)fprintf(stderr, "\n");
    exit(2);
  }
  return s;
}
