#define _GNU_SOURCE /* ucontext's registers */
#include "held_block.h"

#include "checkers/os/machine_context.h"
#include "lib/core/compiler.h"

#include <string.h>
#include <unwind.h>

#define RED_ZONE ((uintptr_t)128) /* below the stack pointer, where functions that call none have variables */
#define FRAME_MOST ((uintptr_t)4096)

static void look(rf_held_block *held, const uintptr_t *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    rf_view v;
    if (!rf_view_at(words[i], &v) || !rf_view_is_freed(&v) || words[i] - (uintptr_t)v.payload >= v.size) {
      continue;
    }
    bool const is_first = held->address == 0;
    held->several = held->several || (!is_first && held->view.slot != v.slot);
    held->address = is_first || words[i] < held->address ? words[i] : held->address;
    held->view = v;
  }
}

static void look_on_stack(rf_held_block *held, uintptr_t start, uintptr_t end) {
  if (end - start <= FRAME_MOST && rf_host_readable((const void *)start, end - start)) {
    look(held, (const uintptr_t *)start, (end - start) / sizeof(uintptr_t));
  }
}

static bool is_one(const rf_held_block *held) {
  return held->address != 0 && !held->several;
}

/* ---- Stopped by a signal ---- */

RF_COLD bool rf_held_block_at_fault(const void *context, rf_held_block *out) {
  rf_machine_registers const r = rf_machine_registers_of((const ucontext_t *)context);
  rf_machine_context const m = rf_machine_context_of((const ucontext_t *)context);
  memset(out, 0, sizeof *out);
  look(out, r.word, r.kept);
  if (m.frame != 0) {
    look_on_stack(out, m.stack - RED_ZONE, m.frame);
  }
  if (out->address == 0) { /* the others have what the last call left in them */
    look(out, r.word + r.kept, r.count - r.kept);
  }
  return is_one(out);
}

/* ---- In a call ---- */

#if defined(__x86_64__)
static const unsigned char kept[] = {3, 6, 12, 13, 14, 15};
#elif defined(__i386__)
static const unsigned char kept[] = {3, 5, 6, 7};
#elif defined(__aarch64__)
static const unsigned char kept[] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28};
#endif

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)

#define OWN_MOST 32U   /* frames before the program's */
#define FRAMES_MOST 4U /* of the program: functions that hand a pointer on do not have the block */

typedef struct search {
  uintptr_t caller;
  rf_held_block *held;
  unsigned own;    /* frames that were passed before the program's */
  unsigned frames; /* of the program, */
  uintptr_t start; /* and where the last one starts */
} search;

/* The unwinder gives a frame's registers as they are once its call has returned: the stack pointer is its low end. */
static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
  search *const s = argument;
  uintptr_t const stack = (uintptr_t)_Unwind_GetCFA(context);
  if (s->frames == 0 && (uintptr_t)_Unwind_GetIP(context) != s->caller) {
    return ++s->own < OWN_MOST ? _URC_NO_REASON : _URC_END_OF_STACK;
  }
  if (s->frames != 0) {
    look_on_stack(s->held, s->start, stack);
  }
  if (s->held->address != 0 || s->frames == FRAMES_MOST) {
    return _URC_END_OF_STACK;
  }
  for (unsigned i = 0; i < sizeof kept; i++) {
    uintptr_t const word = (uintptr_t)_Unwind_GetGR(context, kept[i]);
    look(s->held, &word, 1);
  }
  s->frames++;
  s->start = stack;
  return _URC_NO_REASON;
}

RF_COLD bool rf_held_block_at_call(const rf_origin *origin, rf_held_block *out) {
  search s = {origin->caller, out, 0, 0, 0};
  memset(out, 0, sizeof *out);
  (void)_Unwind_Backtrace(step, &s);
  return is_one(out);
}

#else

RF_COLD bool rf_held_block_at_call(const rf_origin *origin, rf_held_block *out) {
  (void)origin;
  memset(out, 0, sizeof *out);
  return false;
}

#endif
