#include <ringfence/std.h>

#include <ringfence/track.h>
#include <stdlib.h>
#include <string.h>

typedef struct header {
  size_t size;   /* requested */
  uint32_t seal; /* says that this is a header, and the block is live */
  uint32_t lead; /* units of RF_ALIGN_DEFAULT from the start of malloc's block to the header */
} header;

/* A header keeps the alignment that malloc gives. */
#define PREFIX ((size_t)16)
_Static_assert(sizeof(header) <= PREFIX, "a header fits before the payload");
_Static_assert(RF_ALIGN_DEFAULT <= PREFIX && PREFIX % RF_ALIGN_DEFAULT == 0, "payloads stay aligned");

/* The seal of a block that was freed, where the C library left it alone. */
#define FREED UINT32_C(0xDEADF4EE)

static rf_std *self_of(rf_allocator *allocator) {
  return (rf_std *)(void *)allocator;
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

/* ---- Seals ---- */

static uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= UINT64_C(0xD6E8FEB86659FD93);
  return x ^ x >> 32;
}

static uint32_t seal_for(const rf_std *heap, uintptr_t at, size_t size, uint32_t lead) {
  uint64_t const where = mix((uint64_t)at + UINT64_C(0x9E3779B97F4A7C15) * (uint64_t)(uintptr_t)heap);
  uint32_t const seal = (uint32_t)(mix(where ^ size ^ (uint64_t)lead << 32) >> 32);
  return seal != FREED ? seal : ~FREED;
}

/* Whoever reads a header where there may be none reads memory that is not this program's to read: freed, or between
 * objects. Sanitizers would stop it there, before the pointer can be refused. */
#define READS_ANYTHING __attribute__((no_sanitize_address, no_sanitize_thread, noinline))

READS_ANYTHING static header read_header(const void *ptr) {
  const header *const h = (const header *)(const void *)((const unsigned char *)ptr - PREFIX);
  header copy;
  copy.size = h->size;
  copy.seal = *(const volatile uint32_t *)&h->seal; /* an atomic load would be instrumented all the same */
  copy.lead = h->lead;
  return copy;
}

/* What is wrong with `ptr`: RF_OK where a live block starts there, and *out is then its header. */
static rf_status look(const rf_std *heap, const void *ptr, header *out) {
  if ((uintptr_t)ptr < PREFIX || !rf_is_aligned(ptr, RF_ALIGN_DEFAULT)) {
    return RF_ERR_BAD_POINTER;
  }
  *out = read_header(ptr);
  if (out->seal == FREED) {
    return RF_ERR_NOT_ALLOCATED;
  }
  return out->seal == seal_for(heap, (uintptr_t)ptr, out->size, out->lead) ? RF_OK : RF_ERR_BAD_POINTER;
}

/* False where another thread has freed the block since it was looked at. */
READS_ANYTHING static bool unseal(void *ptr, uint32_t seen) {
  return __atomic_compare_exchange_n(&header_of(ptr)->seal, &seen, FREED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Takes a live block out of use, so that only one of several threads that free it does. Refuses anything else. */
static rf_status claim(rf_std *heap, void *ptr, header *out, const rf_site *site) {
  rf_status status = look(heap, ptr, out);
  if (status == RF_OK) {
    if (unseal(ptr, out->seal)) {
      return RF_OK;
    }
    status = RF_ERR_NOT_ALLOCATED;
  }
  (void)rf_fault_refuse(&heap->base, status, status == RF_ERR_BAD_POINTER ? "pointer to no live block" : "double free",
                        ptr, site);
  return status;
}

static void seal(rf_std *heap, header *h, size_t size, uint32_t lead) {
  h->size = size;
  h->lead = lead;
  __atomic_store_n(&h->seal, seal_for(heap, (uintptr_t)payload_of(h), size, lead), __ATOMIC_RELEASE);
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

/* Before the memory goes back: what another thread makes of it must not count on top. */
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

/* A new sealed block, not counted, or NULL. */
static header *take(rf_std *heap, size_t size, size_t align) {
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
  if (lead / RF_ALIGN_DEFAULT > UINT32_MAX) {
    free(start);
    return NULL;
  }
  header *const h = (header *)(void *)(start + lead);
  seal(heap, h, size, (uint32_t)(lead / RF_ALIGN_DEFAULT));
  rf_track_arena(start, total);
  rf_track_alloc(payload_of(h), size);
  return h;
}

static void *std_alloc(rf_allocator *allocator, size_t size, size_t align, const rf_site *site) {
  rf_std *const heap = self_of(allocator);
  header *const h = take(heap, size, align);
  (void)site;
  if (h == NULL) {
    return count_failure(&heap->counters);
  }
  count_alloc(&heap->counters, size);
  return payload_of(h);
}

static rf_status std_free(rf_allocator *allocator, void *ptr, const rf_site *site) {
  rf_std *const heap = self_of(allocator);
  header was;
  rf_status const status = claim(heap, ptr, &was, site);
  if (status == RF_OK) {
    count_free(&heap->counters, was.size);
    rf_track_free(ptr, was.size);
    free(start_of(header_of(ptr)));
  }
  return status;
}

/* Resizes a claimed block: the new header, sealed, or NULL with the block as it was, still claimed. */
static header *reshape(rf_std *heap, header *h, size_t old_size, size_t size, size_t align) {
  if (h->lead == 0 && align <= RF_ALIGN_DEFAULT) {
    const void *const payload = payload_of(h);
    header *const moved = size > RF_SIZE_LIMIT - PREFIX ? NULL : (header *)realloc(h, PREFIX + size);
    if (moved != NULL) {
      seal(heap, moved, size, 0);
      rf_track_arena(moved, PREFIX);
      /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): where the block was, not what is there now */
      rf_track_resize(payload, 0, payload_of(moved), size);
    }
    return moved;
  }
  header *const moved = take(heap, size, align);
  if (moved != NULL) {
    rf_track_copy(payload_of(moved), payload_of(h), old_size < size ? old_size : size);
    rf_track_free(payload_of(h), old_size);
    free(start_of(h));
  }
  return moved;
}

static void *std_realloc(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_std *const heap = self_of(allocator);
  header was;
  /* Claimed before the C library moves it: the old place must not look live afterwards. */
  if (claim(heap, ptr, &was, site) != RF_OK) {
    return NULL;
  }
  header *const moved = reshape(heap, header_of(ptr), was.size, size, align);
  if (moved == NULL) {
    seal(heap, header_of(ptr), was.size, was.lead);
    return count_failure(&heap->counters);
  }
  count_resize(&heap->counters, was.size, size);
  return payload_of(moved);
}

static size_t std_usable_size(rf_allocator *allocator, const void *ptr) {
  header found;
  return look(self_of(allocator), ptr, &found) == RF_OK ? found.size : 0;
}

static void std_stats(rf_allocator *allocator, rf_stats *out) {
  const rf_counters *const c = &self_of(allocator)->counters;
  memset(out, 0, sizeof *out);
  out->used = __atomic_load_n(&c->used, __ATOMIC_RELAXED);
  out->peak = __atomic_load_n(&c->peak, __ATOMIC_RELAXED);
  out->blocks = __atomic_load_n(&c->blocks, __ATOMIC_RELAXED);
  out->peak_blocks = __atomic_load_n(&c->peak_blocks, __ATOMIC_RELAXED);
  out->allocations = __atomic_load_n(&c->allocations, __ATOMIC_RELAXED);
  out->failures = __atomic_load_n(&c->failures, __ATOMIC_RELAXED);
}

static const rf_allocator_ops STD_OPS = {
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
  heap->base.ops = rf_track_mute_ops(&STD_OPS);
  return RF_OK;
}
