#include "malloc_impl.h"

#include "checkers/dropin/runtime/arena.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/unmapped.h"
#include "forward.h"
#include "guarded_blocks.h"
#include "reject.h"
#include "trace_hook.h"

#include <errno.h>
#include <string.h>

#include "checkers/shared/wrapper.h"
#include "lib/core/compiler.h"

#define PART static RF_RARE /* a jump away, so that neither way has to save the other's registers */

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

/* Counts successful requests only: some are for more than any machine has. */
RF_INLINE void *count_request(rf_arena *arena, void *block, size_t size) {
  arena->requested += block != NULL ? size : 0;
  return block;
}

static void *try_alloc(rf_arena *arena, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  return rf_process.checked ? rf_guard_alloc_from(&arena->guard, size, align, family, origin)
                            : rf_alloc_at(&arena->heap.base, size, align, NULL);
}

static void *alloc_in(rf_arena *arena, size_t size, size_t align, rf_family family, const rf_origin *origin) {
  void *p = try_alloc(arena, size, align, family, origin);
  if (RF_UNLIKELY(p == NULL) && rf_arena_recover(arena)) {
    p = try_alloc(arena, size, align, family, origin);
  }
  return count_request(arena, p, size);
}

/* The arena of a block, entered; NULL: it is to be freed the long way. */
static inline rf_arena *enter_to_free(rf_region *region) {
  rf_arena *const arena = rf_arena_of_region(region);
  if (RF_UNLIKELY(arena == NULL || rf_current_thread.inside != NULL)) {
    return NULL;
  }
  rf_current_thread.inside = arena;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_futex_lock(&arena->lock);
  rf_arena_entered(arena);
  return arena;
}

/* ---- The common requests of modes off and sample: small, and the thread's own arena is free ---- */

static inline bool is_plain(void) {
  return !rf_process.checked && !rf_tracing();
}

/* They are the next malloc's, or soon will be. */
static inline bool is_forwarding(void) {
  return rf_forward.now != RF_FORWARD_NOTHING;
}

/* NULL: to be served the long way. */
RF_INLINE void *quick_alloc(size_t size) {
  rf_arena *const arena = size < RF_BIG_BLOCK - RF_ALIGN_DEFAULT ? rf_arena_enter_own() : NULL;
  if (RF_UNLIKELY(arena == NULL)) {
    return NULL;
  }
  void *const p = RF_UNLIKELY(rf_guarded_blocks_may_be_due()) ? NULL : rf_growing_heap_quick_alloc(&arena->heap, size);
  (void)count_request(arena, p, size);
  rf_arena_counted(arena);
  rf_arena_leave_own(arena);
  return p;
}

/* False: to be done the long way. */
static inline bool quick_free(void *ptr, const rf_origin *origin) {
  rf_region *const region = rf_region_find((uintptr_t)ptr);
  rf_arena *const arena = enter_to_free(region);
  if (RF_UNLIKELY(arena == NULL)) {
    return false;
  }
  rf_current_thread.caller = origin->caller;
  bool const done = rf_growing_heap_quick_free(&arena->heap, region, ptr);
  rf_arena_counted(arena);
  rf_arena_leave_own(arena);
  return done;
}

/* ---- Those of mode guard, asked for by the program itself ---- */

static inline bool is_guarded(void) {
  return rf_process.checked && !rf_tracing();
}

/* NULL: to be served the long way. */
static inline rf_arena *enter_to_alloc(const rf_origin *origin) {
  return RF_LIKELY(!rf_is_runtime(origin->caller) && rf_guarded_blocks.rate == 0) ? rf_arena_enter_own() : NULL;
}

static inline void *leave_with(rf_arena *arena, void *block, size_t size) {
  (void)count_request(arena, block, size);
  rf_arena_counted(arena);
  rf_arena_leave_own(arena);
  return RF_UNLIKELY(block == NULL) ? no_memory() : block;
}

/* ---- All requests ---- */

/* True where every block keeps its caller. Else the caller is looked up for sampled blocks only. Not inside an arena:
 * the lookup may call the C library. */
static inline bool keeps_callers(void) {
  return rf_process.checked || rf_tracing();
}

static inline const rf_origin *caller_of(const rf_origin *origin, rf_caller_trace *called) {
  return keeps_callers() ? rf_caller_of(origin, called) : origin;
}

RF_RARE static void *alloc_paged(const rf_page_request *request, const rf_origin *origin) {
  rf_caller_trace called;
  return rf_guarded_blocks_alloc(request, keeps_callers() ? origin : rf_caller_of(origin, &called));
}

/* On pages of its own where it is its turn, else from an arena. */
static inline void *serve(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (RF_UNLIKELY(rf_guarded_blocks_due())) {
    rf_page_request const request = {.size = size, .align = align, .family = family};
    void *const block = alloc_paged(&request, origin);
    if (block != NULL) {
      return block;
    }
  }
  rf_arena *const arena = rf_arena_enter();
  if (RF_UNLIKELY(arena == NULL)) {
    return NULL;
  }
  void *const p = alloc_in(arena, size, align, family, origin);
  rf_arena_counted(arena);
  rf_arena_leave(arena);
  return p;
}

PART void *alloc_long(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_caller_trace called;
  origin = caller_of(origin, &called);
  if (RF_UNLIKELY(size > RF_SIZE_LIMIT)) {
    return rf_malloc_reject(RF_REJECT_SIZE, size, align, ENOMEM, origin);
  }
  void *const p = serve(size, align, family, origin);
  if (rf_tracing()) {
    rf_tracing_alloc(p, size, align, origin);
  }
  return RF_UNLIKELY(p == NULL) ? no_memory() : p;
}

PART void *alloc_plain(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  void *const p = align == RF_ALIGN_DEFAULT ? quick_alloc(size) : NULL;
  return RF_LIKELY(p != NULL) ? p : alloc_long(size, align, family, origin);
}

PART void *alloc_guarded(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_arena *const arena = RF_LIKELY(size <= RF_SIZE_LIMIT) ? enter_to_alloc(origin) : NULL;
  if (RF_UNLIKELY(arena == NULL)) {
    return alloc_long(size, align, family, origin);
  }
  void *p = rf_guard_alloc_from(&arena->guard, size, align, family, origin);
  if (RF_UNLIKELY(p == NULL) && rf_arena_recover(arena)) {
    p = rf_guard_alloc_from(&arena->guard, size, align, family, origin);
  }
  return leave_with(arena, p, size);
}

void *rf_malloc_impl_alloc(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (is_plain()) {
    return is_forwarding() ? rf_forward_alloc(size, align, family, origin) : alloc_plain(size, align, family, origin);
  }
  return is_guarded() ? alloc_guarded(size, align, family, origin) : alloc_long(size, align, family, origin);
}

/* Big blocks mostly come as fresh pages, which are zero already: neither filled nor cleared. */
static void *zalloc_big(rf_arena *arena, size_t size, const rf_origin *origin) {
  size_t const fill = arena->guard.options.fill_alloc;
  arena->guard.options.fill_alloc = 0;
  void *const p = alloc_in(arena, size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  arena->guard.options.fill_alloc = fill;
  if (p != NULL && !rf_growing_heap_is_fresh(&arena->heap, p)) {
    memset(p, 0, size);
  }
  return p;
}

RF_INLINE void *zalloc_checked(rf_arena *arena, size_t size, const rf_origin *origin) {
  void *const p = rf_guard_zalloc_from(&arena->guard, size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  return RF_LIKELY(p != NULL) || !rf_arena_recover(arena)
             ? p
             : rf_guard_zalloc_from(&arena->guard, size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
}

static void *zalloc_in(rf_arena *arena, size_t size, const rf_origin *origin) {
  if (size >= RF_BIG_BLOCK) {
    return zalloc_big(arena, size, origin);
  }
  if (rf_process.checked) {
    return count_request(arena, zalloc_checked(arena, size, origin), size);
  }
  void *const p = alloc_in(arena, size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  return p != NULL ? memset(p, 0, size) : NULL;
}

static void *serve_zeroed(size_t size, const rf_origin *origin) {
  if (RF_UNLIKELY(rf_guarded_blocks_due())) {
    rf_page_request const request = {.size = size, .align = RF_ALIGN_DEFAULT, .zeroed = true};
    void *const block = alloc_paged(&request, origin);
    if (block != NULL) {
      return block;
    }
  }
  rf_arena *const arena = rf_arena_enter();
  if (RF_UNLIKELY(arena == NULL)) {
    return NULL;
  }
  void *const p = zalloc_in(arena, size, origin);
  rf_arena_counted(arena);
  rf_arena_leave(arena);
  return p;
}

PART void *zalloc_long(size_t count, size_t size, const rf_origin *origin) {
  rf_caller_trace called;
  size_t total;
  origin = caller_of(origin, &called);
  if (RF_UNLIKELY(!rf_mul(count, size, &total))) {
    return rf_malloc_reject(RF_REJECT_OVERFLOW, size, count, ENOMEM, origin);
  }
  if (RF_UNLIKELY(total > RF_SIZE_LIMIT)) {
    return rf_malloc_reject(RF_REJECT_SIZE, total, RF_ALIGN_DEFAULT, ENOMEM, origin);
  }
  void *const p = serve_zeroed(total, origin);
  if (rf_tracing()) {
    rf_tracing_alloc(p, total, RF_ALIGN_DEFAULT, origin);
  }
  return RF_UNLIKELY(p == NULL) ? no_memory() : p;
}

PART void *zalloc_plain(size_t count, size_t size, const rf_origin *origin) {
  size_t total;
  void *const p = rf_mul(count, size, &total) ? quick_alloc(total) : NULL;
  return RF_LIKELY(p != NULL) ? memset(p, 0, total) : zalloc_long(count, size, origin);
}

PART void *zalloc_guarded(size_t count, size_t size, const rf_origin *origin) {
  size_t total;
  bool const small = rf_mul(count, size, &total) && total < RF_BIG_BLOCK;
  rf_arena *const arena = RF_LIKELY(small) ? enter_to_alloc(origin) : NULL;
  if (RF_UNLIKELY(arena == NULL)) {
    return zalloc_long(count, size, origin);
  }
  return leave_with(arena, zalloc_checked(arena, total, origin), total);
}

void *rf_malloc_impl_zalloc(size_t count, size_t size, const rf_origin *origin) {
  if (is_plain()) {
    return is_forwarding() ? rf_forward_zalloc(count, size, origin) : zalloc_plain(count, size, origin);
  }
  return is_guarded() ? zalloc_guarded(count, size, origin) : zalloc_long(count, size, origin);
}

static void free_in(rf_arena *arena, void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (rf_process.checked) {
    (void)rf_guard_free_from(&arena->guard, ptr, family, size, origin);
  } else {
    rf_current_thread.caller = origin->caller;
    (void)rf_free_at(&arena->heap.base, ptr, NULL);
  }
}

/* No arena has it: the first guard is to say so, unless it is on pages of its own, or another malloc made it. */
static void free_foreign(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  size_t early;
  if (rf_forward_is_early(ptr, &early)) {
    return;
  }
  if (rf_guarded_blocks_own(ptr)) {
    rf_guarded_blocks_free(ptr, family, size, origin);
    return;
  }
  if (rf_forward_is_foreign(ptr)) {
    rf_forward.next.free(ptr);
    return;
  }
  if (rf_unmapped_bad_free(ptr, origin)) {
    return;
  }
  rf_arena *const arena = rf_arena_enter();
  if (arena != NULL) {
    free_in(arena, ptr, family, size, origin);
    rf_arena_leave(arena);
  }
}

PART void free_long(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (rf_tracing()) {
    rf_tracing_free(ptr, origin);
  }
  rf_arena *const arena = rf_arena_of(ptr);
  if (RF_UNLIKELY(arena == NULL)) {
    free_foreign(ptr, family, size, origin);
    return;
  }
  if (RF_UNLIKELY(!rf_arena_enter_owner(arena))) {
    rf_pending_free const later = {ptr, origin->caller, size, family};
    (void)rf_arena_defer(arena, &later);
    return;
  }
  free_in(arena, ptr, family, size, origin);
  rf_arena_counted(arena);
  rf_arena_leave(arena);
}

PART void free_plain(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (!quick_free(ptr, origin)) {
    free_long(ptr, family, size, origin);
  }
}

PART void free_guarded(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_arena *const arena = enter_to_free(rf_region_find((uintptr_t)ptr));
  if (RF_UNLIKELY(arena == NULL)) {
    free_long(ptr, family, size, origin);
    return;
  }
  (void)rf_guard_free_from(&arena->guard, ptr, family, size, origin);
  rf_arena_counted(arena);
  rf_arena_leave_own(arena);
}

void rf_malloc_impl_free(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (ptr == NULL) {
    return;
  }
  if (is_plain()) {
    if (!is_forwarding() || !rf_forward_free(ptr)) {
      free_plain(ptr, family, size, origin);
    }
  } else if (is_guarded()) {
    free_guarded(ptr, family, size, origin);
  } else {
    free_long(ptr, family, size, origin);
  }
}

static void *realloc_bare(rf_arena *arena, void *ptr, size_t size, const rf_origin *origin) {
  rf_current_thread.caller = origin->caller;
  return rf_realloc_at(&arena->heap.base, ptr, size, RF_ALIGN_DEFAULT, NULL);
}

static void *try_realloc(rf_arena *arena, void *ptr, size_t size, const rf_origin *origin) {
  return rf_process.checked ? rf_guard_realloc_from(&arena->guard, ptr, size, RF_ALIGN_DEFAULT, origin)
                            : realloc_bare(arena, ptr, size, origin);
}

static void *realloc_in(rf_arena *arena, void *ptr, size_t size, const rf_origin *origin) {
  arena->heap.growing = size >= RF_BIG_BLOCK;
  void *p = try_realloc(arena, ptr, size, origin);
  if (RF_UNLIKELY(p == NULL) && rf_arena_recover(arena)) {
    p = try_realloc(arena, ptr, size, origin);
  }
  arena->heap.growing = false;
  return count_request(arena, p, size);
}

static void *realloc_paged(void *ptr, size_t size, const rf_origin *origin) {
  void *moved = NULL;
  size_t old_size;
  if (!rf_guarded_blocks_realloc(ptr, size, origin, &moved, &old_size) || moved != NULL) {
    return rf_forward_include(moved);
  }
  moved = rf_forward.now == RF_FORWARD_ON ? rf_forward.next.malloc(size)
                                          : serve(size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  if (moved == NULL) {
    return no_memory();
  }
  memcpy(moved, ptr, old_size < size ? old_size : size);
  rf_guarded_blocks_free(ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin);
  return moved;
}

static void *move_early(const void *ptr, size_t old_size, size_t size, const rf_origin *origin) {
  void *const moved = rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  return moved != NULL ? memcpy(moved, ptr, old_size < size ? old_size : size) : NULL;
}

/* `size` is possible. */
static void *resize(void *ptr, size_t size, const rf_origin *origin) {
  rf_arena *arena = rf_arena_of(ptr);
  size_t early;
  if (RF_UNLIKELY(arena == NULL)) {
    if (rf_forward_is_early(ptr, &early)) {
      return move_early(ptr, early, size, origin);
    }
    if (rf_guarded_blocks_own(ptr)) {
      return realloc_paged(ptr, size, origin);
    }
    if (rf_forward_is_foreign(ptr)) {
      return rf_forward.next.realloc(ptr, size);
    }
    if (rf_unmapped_bad_free(ptr, origin)) {
      return NULL;
    }
    arena = rf_arena_enter(); /* whose guard is to say what is wrong */
    if (arena == NULL) {
      return no_memory();
    }
  } else if (RF_UNLIKELY(!rf_arena_enter_owner(arena))) {
    return no_memory(); /* in a signal handler, which may not wait for the thread that it interrupted */
  }
  void *const p = realloc_in(arena, ptr, size, origin);
  rf_arena_counted(arena);
  rf_arena_leave(arena);
  return RF_UNLIKELY(p == NULL) ? no_memory() : p;
}

static void *resize_traced(void *ptr, size_t size, const rf_origin *origin) {
  size_t block;
  bool const taken = rf_tracing_take(ptr, &block);
  void *const p = resize(ptr, size, origin);
  if (taken) {
    rf_tracing_resized(block, p != NULL ? p : ptr, size, p == NULL, origin);
  }
  return p;
}

void *rf_malloc_impl_realloc(void *ptr, size_t size, const rf_origin *origin) {
  rf_caller_trace called;
  void *moved;
  if (ptr == NULL) {
    return rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  }
  if (is_forwarding() && rf_forward_realloc(ptr, size, origin, &moved)) {
    return moved;
  }
  origin = rf_caller_of(origin, &called);
  if (size == 0) {
    rf_malloc_impl_free(ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin);
    return NULL;
  }
  if (RF_UNLIKELY(size > RF_SIZE_LIMIT)) {
    return rf_malloc_reject(RF_REJECT_SIZE, size, RF_ALIGN_DEFAULT, ENOMEM, origin);
  }
  return rf_tracing() ? resize_traced(ptr, size, origin) : resize(ptr, size, origin);
}

static size_t report_no_block(const void *ptr, const rf_origin *origin) {
  rf_finding f;
  rf_finding_begin(&f, RF_BUG_BAD_USABLE_SIZE, RF_ACCESS_UNKNOWN, ptr, "malloc", rf_mode_name(rf_process.options.mode),
                   origin);
  f.detail = "malloc_usable_size was asked of a pointer that is no live block";
  rf_report(rf_process.guard_options.reporter, &f);
  return 0;
}

static size_t usable_size_outside(void *ptr, const rf_origin *origin) {
  size_t size = 0;
  if (rf_guarded_blocks_own(ptr) && rf_guarded_blocks_usable_size(ptr, &size)) {
    return size;
  }
  if (rf_forward_is_early(ptr, &size)) {
    return size;
  }
  if (!rf_forward_is_ours(ptr) || rf_forward_is_foreign(ptr)) {
    return rf_forward.next.usable_size(ptr);
  }
  return rf_process.checked ? report_no_block(ptr, origin) : 0;
}

size_t rf_malloc_impl_usable_size(void *ptr, const rf_origin *origin) {
  rf_arena *const arena = ptr != NULL ? rf_arena_of(ptr) : NULL;
  rf_guard_block block = {.size = 0};
  bool live = true;
  if (arena == NULL) {
    return ptr != NULL ? usable_size_outside(ptr, origin) : 0;
  }
  if (!rf_arena_enter_owner(arena)) {
    return 0;
  }
  if (rf_process.checked) {
    live = rf_guard_describe(&arena->guard, ptr, &block);
  } else {
    block.size = rf_usable_size(&arena->heap.base, ptr);
  }
  rf_arena_leave(arena);
  return live ? block.size : report_no_block(ptr, origin);
}
