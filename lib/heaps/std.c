#include <ringfence/std.h>

#include "lib/core/checksum.h"
#include "lib/core/compiler.h"
#include "lib/core/verdict.h"
#include <ringfence/track.h>
#include <stdlib.h>
#include <string.h>

/* Ends where the payload begins: a write before the block meets it. */
typedef struct header {
#if UINTPTR_MAX <= UINT32_MAX
  uint32_t unused;
#endif
  size_t size;       /* requested */
  uint32_t checksum; /* of the rest, its address and the heap; FREED: the block was freed */
  uint32_t lead;     /* units of RF_ALIGN_DEFAULT from the start of malloc's block to the header */
} header;

/* A header keeps the alignment that malloc gives. */
#define PREFIX ((size_t)16)
_Static_assert(sizeof(header) == PREFIX, "a header ends where the payload begins");
_Static_assert(RF_ALIGN_DEFAULT <= PREFIX && PREFIX % RF_ALIGN_DEFAULT == 0, "payloads stay aligned");

/* The checksum of a freed block, until the C library overwrites it. */
#define FREED UINT32_C(0xDEADF4EE)

static rf_std *std_of(rf_allocator *self) {
  return (rf_std *)(void *)self;
}

static header *header_of(void *ptr) {
  return (header *)(void *)((unsigned char *)ptr - PREFIX);
}

static void *payload_of(header *h) {
  return (unsigned char *)h + PREFIX;
}

static void *start_of(header *h) {
  return (unsigned char *)h - h->lead * RF_ALIGN_DEFAULT;
}

/* ---- Checksums of headers ---- */

static uint32_t checksum_of(const rf_std *heap, uintptr_t payload, size_t size, uint32_t lead) {
  size_t const place = rf_checksum_mix(payload, rf_checksum_spread((uintptr_t)heap));
  uint32_t const checksum = rf_checksum_top(rf_checksum_mix(place, rf_checksum_add(size, lead)));
  return checksum != FREED ? checksum : ~FREED;
}

static void header_write(rf_std *heap, header *h, size_t size, uint32_t lead) {
  h->size = size;
  h->lead = lead;
  __atomic_store_n(&h->checksum, checksum_of(heap, (uintptr_t)payload_of(h), size, lead), __ATOMIC_RELEASE);
}

/* The memory before `ptr` may be freed, or between objects. An atomic load would be instrumented all the same. */
RF_NO_SANITIZE RF_RARE static header header_read(const void *ptr) {
  const header *const h = (const header *)(const void *)((const unsigned char *)ptr - PREFIX);
  return (header){.size = h->size, .checksum = *(const volatile uint32_t *)&h->checksum, .lead = h->lead};
}

/* *out is the header, where a live block starts at `ptr`. */
static rf_verdict find(const rf_std *heap, const void *ptr, header *out) {
  if ((uintptr_t)ptr < PREFIX || !rf_is_aligned(ptr, RF_ALIGN_DEFAULT)) {
    return RF_POINTER_MISALIGNED;
  }
  *out = header_read(ptr);
  if (out->checksum == FREED) {
    return RF_POINTER_FREED;
  }
  bool const live = out->checksum == checksum_of(heap, (uintptr_t)ptr, out->size, out->lead);
  return live ? RF_POINTER_OK : RF_POINTER_NO_BLOCK;
}

/* False where another thread has freed the block since its header was read. */
RF_NO_SANITIZE RF_RARE static bool mark_freed(void *ptr, uint32_t seen) {
  uint32_t *const checksum = &header_of(ptr)->checksum;
  return __atomic_compare_exchange_n(checksum, &seen, FREED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Takes a live block out of use: of several threads that free it, one succeeds. Refuses anything else. */
static rf_status claim(rf_std *heap, void *ptr, header *out, const rf_site *site) {
  rf_verdict verdict = find(heap, ptr, out);
  if (verdict == RF_POINTER_OK && !mark_freed(ptr, out->checksum)) {
    verdict = RF_POINTER_FREED;
  }
  return rf_verdict_refuse(&heap->base, verdict, ptr, site);
}

/* ---- Counting ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): it does not see that the builtin writes */
static void raise_to(size_t *peak, size_t value) {
  size_t seen = __atomic_load_n(peak, __ATOMIC_RELAXED);
  while (seen < value && !__atomic_compare_exchange_n(peak, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static void count_used(rf_counters *c, size_t more) {
  raise_to(&c->peak, __atomic_add_fetch(&c->used, more, __ATOMIC_RELAXED));
}

static void count_alloc(rf_counters *c, size_t size) {
  count_used(c, size);
  raise_to(&c->peak_blocks, __atomic_add_fetch(&c->blocks, 1, __ATOMIC_RELAXED));
  (void)__atomic_add_fetch(&c->allocations, 1, __ATOMIC_RELAXED);
}

/* Called before the memory is freed: another thread may allocate it at once. */
static void count_free(rf_counters *c, size_t size) {
  (void)__atomic_sub_fetch(&c->used, size, __ATOMIC_RELAXED);
  (void)__atomic_sub_fetch(&c->blocks, 1, __ATOMIC_RELAXED);
}

static void count_resize(rf_counters *c, size_t old_size, size_t size) {
  if (size > old_size) {
    count_used(c, size - old_size);
  } else {
    (void)__atomic_sub_fetch(&c->used, old_size - size, __ATOMIC_RELAXED);
  }
}

static void *count_failure(rf_counters *c) {
  (void)__atomic_add_fetch(&c->failures, 1, __ATOMIC_RELAXED);
  return NULL;
}

/* ---- Operations ---- */

/* A new block, not counted, or NULL. */
static header *make_block(rf_std *heap, size_t size, size_t align) {
  size_t const extra = align > RF_ALIGN_DEFAULT ? align - RF_ALIGN_DEFAULT : 0;
  size_t total;
  if (!rf_add(size, PREFIX, &total) || !rf_add(total, extra, &total) || total > RF_SIZE_LIMIT) {
    return NULL;
  }
  unsigned char *const start = (unsigned char *)malloc(total);
  if (start == NULL) {
    return NULL;
  }
  size_t const lead = rf_align_gap(start + PREFIX, align);
  if (lead > extra || lead / RF_ALIGN_DEFAULT > UINT32_MAX) { /* lead > extra: malloc does not align as C demands */
    free(start);
    return NULL;
  }
  header *const h = (header *)(void *)(start + lead);
  header_write(heap, h, size, (uint32_t)(lead / RF_ALIGN_DEFAULT));
  rf_track_arena(start, total);
  rf_track_alloc(payload_of(h), size);
  return h;
}

static void *std_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_std *const heap = std_of(self);
  header *const h = make_block(heap, size, align);
  (void)site;
  if (h == NULL) {
    return count_failure(&heap->counters);
  }
  count_alloc(&heap->counters, size);
  return payload_of(h);
}

static rf_status std_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_std *const heap = std_of(self);
  header was = {0};
  rf_status const status = claim(heap, ptr, &was, site);
  if (status == RF_OK) {
    count_free(&heap->counters, was.size);
    rf_track_free(ptr, was.size);
    free(start_of(header_of(ptr)));
  }
  return status;
}

/* Resizes a claimed block: the new header, or NULL with the block as it was, still claimed. */
static header *reshape(rf_std *heap, header *h, size_t old_size, size_t size, size_t align) {
  if (h->lead == 0 && align <= RF_ALIGN_DEFAULT) {
    const void *const payload = payload_of(h);
    header *const moved = size > RF_SIZE_LIMIT - PREFIX ? NULL : (header *)realloc(h, PREFIX + size);
    if (moved != NULL) {
      header_write(heap, moved, size, 0);
      rf_track_arena(moved, PREFIX);
      /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): where the block was, not what is there now */
      rf_track_resize(payload, 0, payload_of(moved), size);
    }
    return moved;
  }
  header *const moved = make_block(heap, size, align);
  if (moved != NULL) {
    rf_track_copy(payload_of(moved), payload_of(h), old_size < size ? old_size : size);
    rf_track_free(payload_of(h), old_size);
    free(start_of(h));
  }
  return moved;
}

static void *std_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_std *const heap = std_of(self);
  header was = {0};
  /* Claimed before the C library moves it, so that the old place is not live afterwards. */
  if (claim(heap, ptr, &was, site) != RF_OK) {
    return NULL;
  }
  header *const moved = reshape(heap, header_of(ptr), was.size, size, align);
  if (moved == NULL) {
    header_write(heap, header_of(ptr), was.size, was.lead);
    return count_failure(&heap->counters);
  }
  count_resize(&heap->counters, was.size, size);
  return payload_of(moved);
}

static size_t std_usable_size(rf_allocator *self, const void *ptr) {
  header found;
  return find(std_of(self), ptr, &found) == RF_POINTER_OK ? found.size : 0;
}

static void std_stats(rf_allocator *self, rf_stats *out) {
  const rf_counters *const c = &std_of(self)->counters;
  memset(out, 0, sizeof *out);
  out->used = __atomic_load_n(&c->used, __ATOMIC_RELAXED);
  out->peak = __atomic_load_n(&c->peak, __ATOMIC_RELAXED);
  out->blocks = __atomic_load_n(&c->blocks, __ATOMIC_RELAXED);
  out->peak_blocks = __atomic_load_n(&c->peak_blocks, __ATOMIC_RELAXED);
  out->allocations = __atomic_load_n(&c->allocations, __ATOMIC_RELAXED);
  out->failures = __atomic_load_n(&c->failures, __ATOMIC_RELAXED);
}

static const rf_allocator_ops std_ops = {
    .name = "std",
    .alloc = std_alloc,
    .free = std_free,
    .realloc = std_realloc,
    .usable_size = std_usable_size,
    .stats = std_stats,
};

rf_status rf_std_init(rf_std *heap) {
  if (heap == NULL) {
    return RF_ERR_INVALID;
  }
  memset(heap, 0, sizeof *heap);
  heap->base.ops = rf_track_mute_ops(&std_ops);
  return RF_OK;
}
