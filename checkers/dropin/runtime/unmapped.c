#define _GNU_SOURCE /* ucontext's registers */
#include "unmapped.h"

#include "checkers/os/machine_context.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/shared/filled_pointer.h"
#include "held_block.h"
#include "lib/core/compiler.h"
#include "process_finding.h"

#include <signal.h>

#define REMEMBERED 64U

typedef struct unmapped_block {
  uintptr_t start; /* of the memory; 0: not in use, or being written */
  size_t bytes;
  uintptr_t payload;
  size_t size;
  rf_slot slot; /* as it was */
} unmapped_block;

static unmapped_block remembered[REMEMBERED];
static uint32_t noted; /* ever; accessed atomically */

void rf_unmapped_note(const rf_span *span) {
  rf_view const v = rf_view_of((rf_span *)(uintptr_t)span, 0);
  unmapped_block *const place = &remembered[__atomic_fetch_add(&noted, 1, __ATOMIC_RELAXED) % REMEMBERED];
  __atomic_store_n(&place->start, 0, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  place->bytes = span->bytes;
  place->payload = (uintptr_t)v.payload;
  place->size = v.size;
  place->slot = *v.slot;
  __atomic_store_n(&place->start, rf_span_start(span), __ATOMIC_RELEASE);
}

/* The last one there: addresses are used again. */
static const unmapped_block *find(uintptr_t address) {
  uint32_t const count = __atomic_load_n(&noted, __ATOMIC_RELAXED);
  for (uint32_t back = 1; back <= REMEMBERED && back <= count; back++) {
    const unmapped_block *const g = &remembered[(count - back) % REMEMBERED];
    uintptr_t const start = __atomic_load_n(&g->start, __ATOMIC_ACQUIRE);
    if (start != 0 && address - start < g->bytes) {
      return g;
    }
  }
  return NULL;
}

static void report(const unmapped_block *g, const void *address, rf_access access, const rf_origin *origin) {
  rf_finding f;
  bool const freed_again = access == RF_ACCESS_FREE;
  rf_finding_begin(&f, freed_again ? RF_BUG_DOUBLE_FREE : RF_BUG_USE_AFTER_FREE, access, address, "malloc", "guard",
                   origin);
  f.block = g->payload;
  f.size = g->size;
  f.blocks = 1;
  f.freed = true;
  f.offset = (ptrdiff_t)(f.address - f.block);
  rf_check_trace(g->slot.allocated, g->slot.allocated_by, &f.allocated);
  rf_check_trace(g->slot.released, g->slot.released_by, &f.released);
  f.detail = "the memory of the block has gone back to the system";
  if (!freed_again) {
    rf_finding_at_instruction(&f);
  }
  rf_process_report(&f);
}

/* `held`: NULL where it is not known. `stopped`: the origin is the instruction, not a call's return address. */
static void report_read(uintptr_t pointer, const rf_held_block *held, bool stopped, const rf_origin *origin) {
  rf_finding f;
  uintptr_t const address = held != NULL ? held->address : pointer;
  rf_process_finding_begin(&f, RF_BUG_USE_AFTER_FREE, RF_ACCESS_UNKNOWN, (const void *)address, origin);
  f.at_access = true;
  if (stopped) {
    rf_finding_at_instruction(&f);
  }
  f.detail = RF_READ_FROM_FREED;
  if (held != NULL) {
    rf_check_about(&f, &held->view);
    f.detail = RF_READ_FROM_FREED ": probably from this block, whose address the code has";
  }
  rf_process_report(&f);
}

/* ---- Frees ---- */

typedef struct stale_free {
  const rf_origin *origin;
  bool told;
} stale_free;

static void look_for_owner(void *argument) {
  stale_free *const stale = argument;
  rf_held_block held;
  stale->told = rf_held_block_at_call(stale->origin, &held);
  if (stale->told) {
    report_read(0, &held, false, stale->origin);
  }
}

static bool report_stale(const void *ptr, const rf_origin *origin) {
  stale_free stale = {origin, false};
  if (rf_filled_pointer_is_stale(ptr) && rf_process.checked) {
    rf_on_reserve_stack(look_for_owner, &stale);
  }
  return stale.told;
}

RF_COLD bool rf_unmapped_bad_free(const void *ptr, const rf_origin *origin) {
  const unmapped_block *const g = find((uintptr_t)ptr);
  if (g == NULL || g->payload != (uintptr_t)ptr) {
    return report_stale(ptr, origin);
  }
  report(g, ptr, RF_ACCESS_FREE, origin);
  return true;
}

/* ---- Accesses ---- */

RF_COLD void rf_unmapped_report(const void *address, const void *context) {
  const unmapped_block *const g = find((uintptr_t)address);
  if (g == NULL || rf_span_holding((uintptr_t)address) != NULL) {
    return; /* never ours, or ours again */
  }
  rf_machine_context const m = rf_machine_context_of(context);
  rf_origin const origin = {NULL, m.pc, (const void *)m.frame};
  report(g, address, (rf_access)m.access, &origin);
}

/* ---- Pointers out of memory that has a fill ---- */

#define REACH ((uintptr_t)64 * 1024) /* of a member or an index from such a pointer */

/* The processor does not report an address that is not canonical, so its value is looked for in the registers. */
RF_COLD uintptr_t rf_unmapped_pointer_of(unsigned char fill, const void *info, const void *context) {
  const siginfo_t *const fault = info;
  uintptr_t const address = (uintptr_t)fault->si_addr;
#if defined(__x86_64__)
  const ucontext_t *const stopped = context;
  for (int i = 0; fault->si_code == SI_KERNEL && i < REG_RIP; i++) {
    uintptr_t const word = (uintptr_t)stopped->uc_mcontext.gregs[i];
    if (rf_filled_pointer_is_near(fill, word, REACH)) {
      return word;
    }
  }
#else
  (void)context;
#endif
  return rf_filled_pointer_is_near(fill, address, REACH) ? address : 0;
}

RF_COLD void rf_unmapped_report_fill(const void *info, const void *context) {
  uintptr_t const address = rf_unmapped_pointer_of(RF_PATTERN_FREED, info, context);
  if (address == 0 || !rf_process.checked) {
    return;
  }
  rf_machine_context const m = rf_machine_context_of(context);
  rf_origin const origin = {NULL, m.pc, (const void *)m.frame};
  rf_held_block held;
  report_read(address, rf_held_block_at_fault(context, &held) ? &held : NULL, true, &origin);
}
