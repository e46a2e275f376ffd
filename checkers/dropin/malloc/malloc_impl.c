#include "malloc_impl.h"

#include "address_findings.h"
#include "checkers/dropin/heap/fast.h"
#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/process_finding.h"
#include "checkers/dropin/runtime/tag_pause.h"
#include "checkers/dropin/runtime/unmapped.h"
#include "forward.h"
#include "guarded_blocks.h"
#include "reject.h"
#include "short_way.h"
#include "tagged_blocks.h"
#include "trace_hook.h"

#include <errno.h>
#include <string.h>

#include "lib/core/compiler.h"

#define PART static RF_RARE /* a jump away, so that neither way has to save the other's registers */

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

/* Counts the request, if need be. */
static inline bool is_plain(void) {
  return rf_guarded_blocks_passes() && !rf_tracing();
}

/* They are the next malloc's, or soon will be. */
static inline bool is_forwarding(void) {
  return rf_forward.now != RF_FORWARD_NOTHING && !rf_tracing();
}

/* ---- The shortest way ---- */

void rf_malloc_choose_way(void) {
  if (rf_heap_options_now.fast_most != 0 && !rf_tracing() && rf_guarded_blocks.rate != 1 &&
      rf_forward.now == RF_FORWARD_NOTHING && __atomic_load_n(&rf_stop_now.fences, __ATOMIC_RELAXED) == 0) {
    __atomic_fetch_and(&rf_stop_now.wanted, ~RF_STOP_LONG, __ATOMIC_RELAXED);
  }
}

/* Up to fast_most bytes, counted, inside the cache, which it leaves. */
PART void *alloc_shortly(rf_cache *cache, size_t size, rf_family family, const rf_origin *origin) {
  return rf_short_alloc_any(cache, size, family, origin, rf_fast_keep(cache, origin->caller, origin->frame, 0));
}

/* The same, zeroed. */
PART void *zalloc_shortly(rf_cache *cache, size_t size, const rf_origin *origin) {
  uint32_t const stack = rf_fast_keep(cache, origin->caller, origin->frame, 0);
  void *p = rf_fast_alloc_any(cache, size, 0, RF_FAMILY_MALLOC, stack);
  if (RF_UNLIKELY(p == NULL)) {
    p = rf_cache_zalloc_slowly(cache, size, origin, stack);
  }
  return rf_short_exit(cache, p);
}

/* The thread's own cache, for a request that the program itself makes; NULL: it is to be served the long way. */
static inline rf_cache *enter_own(const rf_origin *origin) {
  return RF_LIKELY(is_plain() && !rf_is_runtime(origin->caller)) ? rf_enter_own() : NULL;
}

/* ---- All requests ---- */

/* True where every block keeps its caller. Else the caller is looked up for sampled blocks only. Not inside the heap:
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

static void *serve_from_heap(const rf_block_request *r, const rf_origin *origin) {
  rf_cache *const cache = rf_enter();
  if (RF_UNLIKELY(cache == NULL)) {
    return NULL;
  }
  void *const p = rf_cache_alloc(cache, r, origin);
  rf_leave(cache);
  return p;
}

/* On pages of its own where it is its turn, else from the heap. */
static void *serve(const rf_block_request *r, const rf_origin *origin) {
  if (RF_UNLIKELY(rf_guarded_blocks_due(origin))) {
    rf_page_request const request = {.size = r->size, .align = r->align, .family = r->family, .zeroed = r->zeroed};
    void *const block = alloc_paged(&request, origin);
    if (block != NULL) {
      return block;
    }
  }
  return serve_from_heap(r, origin);
}

PART void *alloc_long(const rf_block_request *r, const rf_origin *origin) {
  rf_caller_trace called;
  origin = caller_of(origin, &called);
  if (RF_UNLIKELY(r->size > RF_SIZE_LIMIT)) {
    return rf_malloc_reject(RF_REJECT_SIZE, r->size, r->align, ENOMEM, origin);
  }
  void *const p = serve(r, origin);
  if (rf_tracing()) {
    rf_tracing_alloc(p, r->size, r->align, origin);
  }
  return RF_UNLIKELY(p == NULL) ? no_memory() : p;
}

PART void *alloc_unusual(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  rf_block_request const request = {.size = size, .align = align, .family = family};
  return alloc_long(&request, origin);
}

PART void *alloc_usual(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (RF_UNLIKELY(is_forwarding())) {
    return rf_forward_alloc(size, align, family, origin);
  }
  bool const usual = align <= RF_ALIGN_DEFAULT && size <= RF_SIZE_LIMIT;
  rf_cache *const cache = RF_LIKELY(usual) ? enter_own(origin) : NULL;
  if (RF_UNLIKELY(cache == NULL)) {
    return alloc_unusual(size, align, family, origin);
  }
  void *const p = rf_cache_malloc_slowly(cache, size, family, origin, rf_cache_keep(cache, origin, 0));
  rf_cache_exit(cache);
  return RF_UNLIKELY(p == NULL) ? no_memory() : p;
}

/* The request may go the short way, and was counted. */
static inline bool is_short(size_t size, const rf_origin *origin) {
  return size <= rf_heap_options_now.fast_most && !rf_is_runtime(origin->caller) && rf_guarded_blocks_passes();
}

static inline void *alloc_untagged(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (RF_LIKELY(align <= RF_ALIGN_DEFAULT) && is_short(size, origin)) {
    rf_cache *const cache = rf_short_enter();
    if (RF_LIKELY(cache != NULL)) {
      return alloc_shortly(cache, size, family, origin);
    }
    rf_short_was_not();
  }
  return alloc_usual(size, align, family, origin);
}

PART void *alloc_tagged(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  uint64_t const checks = rf_tag_pause();
  void *const p = rf_tagged_block_give(alloc_untagged(size, align, family, origin));
  rf_tag_resume(checks);
  return p;
}

void *rf_malloc_impl_alloc(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  return rf_memory_tags_on() ? alloc_tagged(size, align, family, origin) : alloc_untagged(size, align, family, origin);
}

PART void *zalloc_usual(size_t count, size_t size, const rf_origin *origin) {
  size_t total;
  rf_caller_trace called;
  if (RF_UNLIKELY(is_forwarding())) {
    return rf_forward_zalloc(count, size, origin);
  }
  if (RF_UNLIKELY(!rf_mul(count, size, &total))) {
    return rf_malloc_reject(RF_REJECT_OVERFLOW, size, count, ENOMEM, caller_of(origin, &called));
  }
  rf_block_request const request = {.size = total, .align = RF_ALIGN_DEFAULT, .zeroed = true};
  rf_cache *const cache = RF_LIKELY(total <= RF_SIZE_LIMIT) ? enter_own(origin) : NULL;
  if (RF_UNLIKELY(cache == NULL)) {
    return alloc_long(&request, origin);
  }
  void *const p = rf_cache_alloc(cache, &request, origin);
  rf_cache_exit(cache);
  return RF_UNLIKELY(p == NULL) ? no_memory() : p;
}

static inline void *zalloc_untagged(size_t count, size_t size, const rf_origin *origin) {
  size_t total;
  if (RF_LIKELY(rf_mul(count, size, &total)) && is_short(total, origin)) {
    rf_cache *const cache = rf_short_enter();
    if (RF_LIKELY(cache != NULL)) {
      return zalloc_shortly(cache, total, origin);
    }
    rf_short_was_not();
  }
  return zalloc_usual(count, size, origin);
}

PART void *zalloc_tagged(size_t count, size_t size, const rf_origin *origin) {
  uint64_t const checks = rf_tag_pause();
  void *const p = rf_tagged_block_give(zalloc_untagged(count, size, origin));
  rf_tag_resume(checks);
  return p;
}

void *rf_malloc_impl_zalloc(size_t count, size_t size, const rf_origin *origin) {
  return rf_memory_tags_on() ? zalloc_tagged(count, size, origin) : zalloc_untagged(count, size, origin);
}

static void free_in_heap(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_cache *const cache = rf_enter();
  if (cache != NULL) {
    (void)rf_cache_free(cache, ptr, family, size, origin);
    rf_leave(cache);
  }
}

/* The heap has no memory there: it is to say so, unless the block is on pages of its own, or another malloc made it. */
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
  if (!rf_unmapped_bad_free(ptr, origin)) {
    free_in_heap(ptr, family, size, origin);
  }
}

PART void free_long(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (rf_tracing()) {
    rf_tracing_free(ptr, origin);
  }
  if (RF_UNLIKELY(rf_span_holding((uintptr_t)ptr) == NULL)) {
    free_foreign(ptr, family, size, origin);
  } else {
    free_in_heap(ptr, family, size, origin);
  }
}

PART void free_usual(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (RF_UNLIKELY(is_forwarding()) && rf_forward_free(ptr)) {
    return;
  }
  bool const ours = !rf_tracing() && rf_span_holding((uintptr_t)ptr) != NULL;
  rf_cache *const cache = RF_LIKELY(ours) ? rf_enter_own() : NULL;
  if (RF_UNLIKELY(cache == NULL)) {
    free_long(ptr, family, size, origin);
    return;
  }
  (void)rf_cache_free_slowly(cache, ptr, family, size, origin);
  rf_cache_exit(cache);
}

PART void free_tagged(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  uint64_t const checks = rf_tag_pause();
  if (rf_tagged_block_take(&ptr, origin)) {
    free_usual(ptr, family, size, origin);
  }
  rf_tag_resume(checks);
}

void rf_malloc_impl_free(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (RF_UNLIKELY(ptr == NULL)) {
    return;
  }
  if (rf_memory_tags_on()) {
    free_tagged(ptr, family, size, origin);
    return;
  }
  free_usual(ptr, family, size, origin);
}

void rf_malloc_impl_expect_align(const void *ptr, rf_family family, size_t align, const rf_origin *origin) {
  rf_view view;
  size_t const kept = align < RF_ALIGN_DEFAULT ? RF_ALIGN_DEFAULT : align;
  if (rf_guarded_blocks_own(ptr)) {
    rf_page_store_expect_align(rf_guarded_blocks.store, ptr, family, align, origin);
    return;
  }
  if (!rf_process.checked || rf_memory_tags_on() || rf_span_holding((uintptr_t)ptr) == NULL) {
    return;
  }
  rf_cache *const cache = rf_enter();
  if (cache == NULL) {
    return;
  }
  if (rf_heap_live(ptr, &view) && rf_slot_family(view.slot) == family && rf_slot_align(view.slot) != kept) {
    rf_check_alignment(&view, align, origin);
  }
  rf_leave(cache);
}

static void *realloc_paged(void *ptr, size_t size, const rf_origin *origin) {
  void *moved = NULL;
  size_t old_size;
  if (!rf_guarded_blocks_realloc(ptr, size, origin, &moved, &old_size) || moved != NULL) {
    return rf_forward_include(moved);
  }
  rf_block_request const request = {.size = size, .align = RF_ALIGN_DEFAULT};
  moved = rf_forward.now == RF_FORWARD_ON ? rf_forward.next.malloc(size) : serve_from_heap(&request, origin);
  if (moved == NULL) {
    return no_memory();
  }
  memcpy(moved, ptr, old_size < size ? old_size : size);
  rf_guarded_blocks_free(ptr, RF_FAMILY_REALLOC, SIZE_MAX, origin);
  return moved;
}

static void *move_early(const void *ptr, size_t old_size, size_t size, const rf_origin *origin) {
  void *const moved = rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  return moved != NULL ? memcpy(moved, ptr, old_size < size ? old_size : size) : NULL;
}

/* False: it is the heap's, or no block. */
static bool resize_foreign(void *ptr, size_t size, const rf_origin *origin, void **result) {
  size_t early;
  *result = NULL;
  if (rf_forward_is_early(ptr, &early)) {
    *result = move_early(ptr, early, size, origin);
  } else if (rf_guarded_blocks_own(ptr)) {
    *result = realloc_paged(ptr, size, origin);
  } else if (rf_forward_is_foreign(ptr)) {
    *result = rf_forward.next.realloc(ptr, size);
  } else {
    return rf_unmapped_bad_free(ptr, origin);
  }
  return true;
}

/* `size` is possible. */
static void *resize(void *ptr, size_t size, const rf_origin *origin) {
  void *p = NULL;
  if (RF_UNLIKELY(rf_span_holding((uintptr_t)ptr) == NULL) && resize_foreign(ptr, size, origin, &p)) {
    return p;
  }
  rf_cache *const cache = rf_enter();
  if (cache != NULL) {
    p = rf_cache_realloc(cache, ptr, size, origin);
    rf_leave(cache);
  }
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

/* As the program calls it. */
static void *resize_told(void *ptr, size_t size, const rf_origin *origin) {
  return rf_tracing() ? resize_traced(ptr, size, origin) : resize(ptr, size, origin);
}

PART void *resize_tagged(void *ptr, size_t size, const rf_origin *origin) {
  rf_tagged_block held;
  uint64_t const checks = rf_tag_pause();
  bool const admitted = rf_tagged_block_hold(&ptr, &held, origin);
  void *const p = admitted ? rf_tagged_block_settle(&held, resize_told(ptr, size, origin)) : no_memory();
  rf_tag_resume(checks);
  return p;
}

void *rf_malloc_impl_realloc(void *ptr, size_t size, const rf_origin *origin) {
  rf_caller_trace called;
  void *moved;
  if (ptr == NULL) {
    return rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  }
  if (RF_UNLIKELY(rf_forward.now != RF_FORWARD_NOTHING) && rf_forward_realloc(ptr, size, origin, &moved)) {
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
  return rf_memory_tags_on() ? resize_tagged(ptr, size, origin) : resize_told(ptr, size, origin);
}

/* Enters the heap if the address lies in a slot of a freed block there, which *view is of: who called leaves. Else
 * NULL. */
static rf_cache *enter_at_freed(const void *at, rf_view *view) {
  if (!rf_process.checked || rf_memory_tags_on() || rf_span_holding((uintptr_t)at) == NULL) {
    return NULL;
  }
  rf_cache *const cache = rf_enter();
  if (cache == NULL || (rf_view_at((uintptr_t)at, view) && rf_slot_state_of(view->slot) == RF_SLOT_FREED)) {
    return cache;
  }
  rf_leave(cache);
  return NULL;
}

bool rf_malloc_impl_is_freed(const void *ptr) {
  rf_view view;
  if (rf_guarded_blocks_own(ptr)) {
    return rf_page_store_is_freed(rf_guarded_blocks.store, ptr);
  }
  rf_cache *const cache = enter_at_freed(ptr, &view);
  if (cache == NULL) {
    return false;
  }
  bool const freed = view.payload == ptr;
  rf_leave(cache);
  return freed;
}

bool rf_malloc_impl_report_stale(const void *start, size_t size, rf_access access, const rf_origin *origin) {
  rf_finding f;
  rf_view view;
  if (rf_guarded_blocks_own(start)) {
    return rf_page_store_report_transfer(rf_guarded_blocks.store, start, size, size, access, origin);
  }
  rf_cache *const cache = enter_at_freed(start, &view);
  if (cache == NULL) {
    return false;
  }
  bool const stale = (uintptr_t)start - (uintptr_t)view.payload < view.size;
  if (stale) {
    rf_process_finding_begin(&f, RF_BUG_USE_AFTER_FREE, access, start, origin);
    f.access_size = size;
    f.at_access = true;
    f.detail = "found at the call that was to access it";
    rf_check_about(&f, &view);
  }
  rf_leave(cache);
  if (stale) {
    rf_process_report(&f);
  }
  return stale;
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
  return rf_process.checked ? rf_report_no_block(ptr, origin) : 0;
}

PART bool is_stale(const void *ptr) {
  uint64_t const checks = rf_tag_pause();
  bool const known = rf_tagged_block_is_known(ptr);
  rf_tag_resume(checks);
  return !known;
}

size_t rf_malloc_impl_usable_size(void *ptr, const rf_origin *origin) {
  rf_view view;
  if (rf_memory_tags_on() && ptr != NULL) {
    if (is_stale(ptr)) {
      return rf_report_no_block((const void *)rf_tag_remove((uintptr_t)ptr), origin);
    }
    ptr = (void *)rf_tag_remove((uintptr_t)ptr);
  }
  if (ptr == NULL || rf_span_holding((uintptr_t)ptr) == NULL) {
    return ptr != NULL ? usable_size_outside(ptr, origin) : 0;
  }
  rf_cache *const cache = rf_enter();
  bool const live = cache != NULL && rf_heap_live(ptr, &view);
  if (cache != NULL) {
    rf_leave(cache);
  }
  return live ? view.size : rf_process.checked ? rf_report_no_block(ptr, origin) : 0;
}
