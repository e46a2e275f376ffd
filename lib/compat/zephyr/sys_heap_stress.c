/* sys_heap_stress: random allocations and frees on any heap. */
#define RINGFENCE_ZEPHYR_IMPL
#include <ringfence/zephyr/sys/sys_heap.h>
#include <string.h>

typedef struct live_block {
  void *ptr;
  size_t bytes;
} live_block;

typedef struct stress {
  uint64_t random;
  live_block *live;
  size_t count;
  size_t room;
  size_t in_use; /* bytes */
  struct z_heap_stress_result *result;
} stress;

/* xorshift64 (Marsaglia). */
static uint32_t next_random(stress *s) {
  s->random ^= s->random << 13;
  s->random ^= s->random >> 7;
  s->random ^= s->random << 17;
  return (uint32_t)(s->random >> 32);
}

/* From 1 on; each power of two, up to half of the heap, is half as likely as the one before. */
static size_t next_size(stress *s, size_t total_bytes) {
  size_t bound = 16;
  for (uint32_t bits = next_random(s); (bits & 1) != 0 && bound < total_bytes / 2; bits >>= 1) {
    bound *= 2;
  }
  return 1 + next_random(s) % bound;
}

static void add_block(stress *s, void *ptr, size_t bytes) {
  s->result->total_allocs++;
  if (ptr != NULL) {
    s->result->successful_allocs++;
    s->live[s->count++] = (live_block){ptr, bytes};
    s->in_use += bytes;
  }
}

/* Takes one out of the list; there is one. */
static void *remove_random(stress *s) {
  live_block *const chosen = &s->live[next_random(s) % s->count];
  live_block const block = *chosen;
  *chosen = s->live[--s->count];
  s->in_use -= block.bytes;
  s->result->total_frees++;
  return block.ptr;
}

/* Mostly towards the target. */
static bool wants_more(stress *s, size_t total_bytes, int target_percent) {
  bool const below = (uint64_t)s->in_use * 100 < (uint64_t)total_bytes * (uint64_t)target_percent;
  bool const against = next_random(s) % 4 == 0;
  return s->count == 0 || (s->count < s->room && below != against);
}

void sys_heap_stress(void *(*alloc_fn)(void *arg, size_t bytes), void (*free_fn)(void *arg, void *p), void *arg,
                     size_t total_bytes, uint32_t op_count, void *scratch_mem, size_t scratch_bytes, int target_percent,
                     struct z_heap_stress_result *result) {
  stress s = {
      UINT64_C(0x9E3779B97F4A7C15), (live_block *)scratch_mem, 0, scratch_bytes / sizeof(live_block), 0, result};
  memset(result, 0, sizeof *result);
  for (uint32_t i = 0; s.room != 0 && i < op_count; i++) {
    if (wants_more(&s, total_bytes, target_percent)) {
      size_t const bytes = next_size(&s, total_bytes);
      add_block(&s, alloc_fn(arg, bytes), bytes);
    } else {
      free_fn(arg, remove_random(&s));
    }
    result->accumulated_in_use_bytes += s.in_use;
  }
  while (s.count != 0) {
    free_fn(arg, s.live[--s.count].ptr);
  }
}
