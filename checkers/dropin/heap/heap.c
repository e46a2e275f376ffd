#include "heap.h"

#include "cache.h"
#include "checkers/os/stack_walk.h"
#include "threads.h"

#if RF_HAS_WIDE
#include <cpuid.h>
#endif

#define WAIT_MOST ((size_t)512 * 1024) /* longer blocks wait only where the quarantine is eight times as large */

rf_heap_options rf_heap_options_now;
rf_heap rf_heaps[RF_HEAPS_MOST];
unsigned rf_heap_count;
unsigned rf_heap_generation;
#ifndef RF_VIRTUAL_THREADS
RF_THREAD_LOCAL uint32_t rf_heaps_held;
#endif

rf_heap_options rf_heap_options_of(const rf_guard_options *guard) {
  if (guard == NULL) {
    return (rf_heap_options){.checked = false};
  }
  size_t const half = guard->quarantine / 2 < WAIT_MOST ? guard->quarantine / 2 : WAIT_MOST;
  return (rf_heap_options){
      .checked = true,
      .quarantine = guard->quarantine,
      .wait = half > guard->quarantine / 8 ? half : guard->quarantine / 8,
      .fill_alloc = guard->fill_alloc,
      .fill_free = guard->fill_free != 0 && guard->fill_free < RF_FILL_LEAST ? RF_FILL_LEAST : guard->fill_free,
      .move_below = guard->move_below,
      .stack_depth = guard->depot != NULL ? guard->stack_depth : 0,
      .depot = guard->depot,
      .reporter = guard->reporter,
  };
}

/* Like __builtin_cpu_supports, but without libgcc's constructor, which executes CPUID about ten times at the start of
 * every program; on a virtual machine each takes several microseconds. */
static bool has_wide_registers(void) {
#if RF_HAS_WIDE
  enum { XMM_AND_YMM = 6 }; /* the system keeps them across a switch of threads */
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_OSXSAVE) == 0) {
    return false;
  }
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  bool const kept = (a & XMM_AND_YMM) == XMM_AND_YMM;
  return kept && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2) != 0 && (b & bit_BMI2) != 0;
#else
  return false;
#endif
}

/* Blocks of fast.h are filled as a whole, and wait after they were freed. */
static size_t fast_most_of(const rf_heap_options *options) {
  size_t const fill = options->fill_alloc < options->fill_free ? options->fill_alloc : options->fill_free;
  bool const serves = options->checked && options->wait != 0 && fill >= RF_FAST_LEAST;
  return !serves ? 0 : fill < RF_FAST_MOST ? fill : RF_FAST_MOST;
}

void rf_heap_configure(const rf_heap_options *options) {
  rf_heap_options_now = *options;
  rf_heap_options_now.stack_depth = options->depot != NULL && options->stack_depth > 1 ? options->stack_depth : 0;
  rf_heap_options_now.fast_most = fast_most_of(options);
  rf_heap_options_now.wide = has_wide_registers();
  rf_cache_wait = options->wait;
}

void rf_heap_init(unsigned cores) {
  unsigned const wanted = cores > RF_HEAPS_LEAST ? cores : RF_HEAPS_LEAST;
  rf_size_classes_init();
  rf_heap_count = wanted < RF_HEAPS_MOST ? wanted : RF_HEAPS_MOST;
}

void rf_heap_list(rf_heap *heap, rf_span *span) {
  span->newer = NULL;
  span->older = heap->newest;
  if (span->older != NULL) {
    span->older->newer = span;
  }
  heap->newest = span;
}

void rf_heap_unlist(rf_heap *heap, rf_span *span) {
  *(span->newer != NULL ? &span->newer->older : &heap->newest) = span->older;
  if (span->older != NULL) {
    span->older->newer = span->newer;
  }
}

/* ---- Locks ---- */

#define INTERRUPTED_MS 20U /* whoever has a lock, and is not interrupted itself, gives it back sooner */

RF_COLD bool rf_heap_lock_interrupted(unsigned number) {
  uint32_t const bit = 1U << number;
  if ((rf_heaps_held & bit) != 0) {
    return false;
  }
  rf_heaps_held |= bit;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  bool const had = rf_futex_lock_within(&rf_heaps[number].lock, INTERRUPTED_MS);
  if (!had) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    rf_heaps_held &= ~bit;
  }
  return had;
}

/* ---- For debuggers ---- */

const uintptr_t rf_heap_debugger[] = {
    1,
    (uintptr_t)rf_stack_depot_debugger,
    (uintptr_t)rf_span_root,
    RF_UNIT_SHIFT,
    RF_SPAN_MAP_BITS,
    offsetof(rf_span, base),
    offsetof(rf_span, slots),
    offsetof(rf_span, slot_size),
    offsetof(rf_span, count),
    offsetof(rf_span, large),
    offsetof(rf_span, bytes),
    offsetof(rf_span, size),
    RF_SPAN_FRONT,
    sizeof(rf_slot),
    offsetof(rf_slot, allocated),
    offsetof(rf_slot, released),
    offsetof(rf_slot, size),
    offsetof(rf_slot, allocated_by),
    offsetof(rf_slot, released_by),
    offsetof(rf_slot, traits),
    RF_TRAITS_STATE,
    RF_TRAITS_FAMILY,
    RF_TRAITS_ALIGN,
    RF_SLOT_LIVE,
    RF_SLOT_FREED,
    (uintptr_t)&rf_heap_options_now.depot,
    (uintptr_t)rf_thread_table,
};
