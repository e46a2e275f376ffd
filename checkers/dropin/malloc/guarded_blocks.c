#include "guarded_blocks.h"

#include "checkers/dropin/heap/heap.h"
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/state.h"

#include <string.h>

#include "checkers/os/host.h"
#include "checkers/os/stack_walk.h"
#include "checkers/shared/wrapper.h"

#define SAMPLE_DEPTH 16U

rf_guarded_blocks_state rf_guarded_blocks;
_Thread_local rf_sample_pick rf_guarded_blocks_pick;

static struct {
  uint64_t seed;
  uint32_t threads;   /* that have drawn; accessed atomically */
  uint64_t inherited; /* blocks served before the fork */
} state;

bool rf_guarded_blocks_due_slow(void) {
  rf_sample_pick *const pick = &rf_guarded_blocks_pick;
  if (rf_guarded_blocks.rate == 1) {
    return true;
  }
  if (pick->drawn == 0) {
    rf_sample_seed(pick, state.seed + __atomic_fetch_add(&state.threads, 1, __ATOMIC_RELAXED));
  }
  return rf_sample_due_slow(pick, rf_guarded_blocks.rate);
}

/* ---- The beginning ---- */

void rf_guarded_blocks_begin(const rf_options *o, rf_stack_depot *depot, rf_reporter *reporter) {
  bool const sampling = o->mode == RF_MODE_SAMPLE;
  if (!sampling && o->mode != RF_MODE_PAGE) {
    return;
  }
  rf_page_store_options const options = {
      .allocator = "malloc",
      .mode = rf_mode_name(o->mode),
      .reporter = reporter,
      .depot = depot,
      .stack_depth = sampling && o->stack_depth < SAMPLE_DEPTH ? SAMPLE_DEPTH : o->stack_depth,
      .side = o->align,
      .quarantine = sampling ? SIZE_MAX : o->closed,
      .fill_alloc = sampling ? 0 : o->fill_alloc,
      .slots = sampling ? o->sample_slots : 0,
      .largest = sampling ? RF_SAMPLE_LARGEST_DEFAULT : 0,
      .memory = o->page_memory,
      .seed = sampling ? 0 : o->page_seed,
      .watches_seldom = true,
      .keeps_pages = sampling && o->sample_slots <= RF_SAMPLE_KEEPS,
      .fallback = sampling ? "further ones are not sampled" : "further ones are checked as in mode guard",
  };
  state.seed = o->sample_seed != 0 ? o->sample_seed : rf_host_secret();
  rf_guarded_blocks.reporter = reporter;
  rf_guarded_blocks.keeps_alignment = o->align >= RF_PAGE_EXACT;
  rf_guarded_blocks.store = rf_page_store_open(&options);
  if (rf_guarded_blocks.store != NULL) {
    (void)(sampling && rf_page_store_reserve(rf_guarded_blocks.store)); /* so that it is known where blocks will lie */
    __atomic_store_n(&rf_guarded_blocks.rate, sampling ? o->sample_rate : 1, __ATOMIC_RELEASE);
  }
}

/* ---- Requests ---- */

/* Threads are known by their cache, and are looked at when leaks are. */
static void bind_thread(void) {
  if (rf_process.checked && rf_current_thread.cache == NULL && !rf_current_thread.binding && !rf_current_thread.ended) {
    rf_cache *const cache = rf_enter();
    if (cache != NULL) {
      rf_leave(cache);
    }
  }
}

void *rf_guarded_blocks_alloc(const rf_page_request *request, const rf_origin *origin) {
  bind_thread();
  return rf_page_store_alloc(rf_guarded_blocks.store, request, origin);
}

bool rf_guarded_blocks_own(const void *ptr) {
  return rf_guarded_blocks.store != NULL && rf_page_store_owns(rf_guarded_blocks.store, ptr);
}

void rf_guarded_blocks_free(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  rf_page_block freed;
  (void)rf_page_store_free(rf_guarded_blocks.store, ptr, family, size, origin, &freed);
}

bool rf_guarded_blocks_usable_size(const void *ptr, size_t *size) {
  rf_page_block block;
  bool const live = rf_page_store_find(rf_guarded_blocks.store, ptr, &block);
  *size = live ? block.size : 0;
  return live;
}

/* Blocks move, so that stale pointers show; big ones grow where they are as long as there is room behind them. */
bool rf_guarded_blocks_realloc(void *ptr, size_t size, const rf_origin *origin, void **moved, size_t *old_size) {
  rf_page_block block;
  if (!rf_page_store_find(rf_guarded_blocks.store, ptr, &block)) {
    (void)rf_page_store_refuse(rf_guarded_blocks.store, ptr, origin);
    return false;
  }
  bool const big = block.size >= RF_PAGE_GROWS_FROM;
  *old_size = block.size;
  if (big && rf_page_store_resize(rf_guarded_blocks.store, ptr, size, origin) == RF_OK) {
    *moved = ptr;
    return true;
  }
  rf_page_request const request = {
      .size = size, .align = RF_ALIGN_DEFAULT, .room = big ? size : 0, .like = big ? ptr : NULL};
  *moved = rf_guarded_blocks_due() ? rf_guarded_blocks_alloc(&request, origin) : NULL;
  if (*moved != NULL) {
    rf_pages_move(*moved, ptr, block.size < size ? block.size : size);
    rf_guarded_blocks_free(ptr, RF_FAMILY_MALLOC, SIZE_MAX, origin);
  }
  return true;
}

size_t rf_guarded_blocks_sweep(uint64_t budget_ns) {
  rf_origin const origin = {NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)};
  return rf_guarded_blocks.store != NULL ? rf_page_store_sweep(rf_guarded_blocks.store, budget_ns, &origin) : 0;
}

void rf_guarded_blocks_figures(rf_page_figures *out) {
  memset(out, 0, sizeof *out);
  if (rf_guarded_blocks.store != NULL) {
    rf_page_store_figures(rf_guarded_blocks.store, out);
  }
}

/* ---- For debuggers: tools/gdb/ringfence.py ---- */

extern const uintptr_t __ringfence_debugger[];
RF_EXPORT __attribute__((used))
const uintptr_t __ringfence_debugger[] = {1, (uintptr_t)rf_heap_debugger, (uintptr_t)rf_page_debugger};

/* ---- Forks ---- */

void rf_guarded_blocks_inherit(void) {
  rf_page_figures now;
  rf_guarded_blocks_figures(&now);
  state.inherited = now.counters.allocations;
}

bool rf_guarded_blocks_inherited(const rf_page_block *block) {
  return block->serial < state.inherited;
}
