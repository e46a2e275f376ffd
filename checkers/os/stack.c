#include <ringfence/stack.h>

#include "host.h"
#include "stack_layout.h"
#include "stack_rules.h"
#include "stack_walk.h"

uint32_t rf_stack_generation = 1;

static uintptr_t root_start; /* written before main, and by no one later */
static uintptr_t root_size;

void rf_stack_set_root(uintptr_t start, uintptr_t end) {
  root_start = start;
  root_size = end - start;
}

/* ---- The walk ---- */

#define WORD sizeof(uintptr_t)

typedef struct walk {
  uintptr_t pc;   /* a return address */
  uintptr_t sp;   /* of the frame that it returns to */
  uintptr_t bp;   /* and its frame pointer */
  uintptr_t slot; /* where the frame pointer was read */
  uintptr_t high; /* of the stack */
  uintptr_t base; /* the first frame */
  bool has_rows;  /* not by rules alone */
  bool lost;      /* a register was needed that is not known */
} walk;

RF_NO_SANITIZE static inline uintptr_t word_at(uintptr_t at) {
  return *(const uintptr_t *)at;
}

/* Makes the layout depend on the word at `slot`: on its distance from the first frame, or on itself. */
static void add_check(const walk *w, rf_stack_layout *l, uintptr_t slot, uintptr_t value) {
  intptr_t const words = (intptr_t)(value - w->base) / (intptr_t)WORD;
  bool const is_near = value >= RF_PC_LEAST && value % WORD == 0 && words == (int32_t)words;
  l->fixed = l->fixed && l->checks < RF_TRACE_DEPTH && (is_near || value <= INT32_MAX);
  if (l->fixed) {
    uint32_t const at = (uint32_t)((slot - w->base) / WORD);
    l->check[l->checks++] =
        is_near ? (rf_stack_check){at, (int32_t)words} : (rf_stack_check){at | RF_CHECK_ABSOLUTE, (int32_t)value};
  }
}

/* Makes the layout depend on the frame pointer's value. */
static inline void depend_on_bp(const walk *w, rf_stack_layout *layout) {
  if (layout != NULL) {
    walk const copy = *w;
    add_check(&copy, layout, w->slot, w->bp);
  }
}

/* To the frame whose return address is in the word below `cfa`. */
RF_NO_SANITIZE static inline bool arrive(walk *w, uintptr_t cfa) {
  uintptr_t const pc = word_at(cfa - WORD);
  w->sp = cfa;
  w->pc = pc;
  return pc >= RF_PC_LEAST;
}

/* By rules RF_RULE_SP and RF_RULE_BP. False: nothing follows. */
RF_NO_SANITIZE static inline bool step_by_sum(walk *w, uint32_t rule, rf_stack_layout *layout) {
  uintptr_t const n = RF_RULE_N(rule) * WORD;
  uintptr_t const m = RF_RULE_M(rule) * WORD;
  uintptr_t cfa = w->sp + n; /* n >= m, and no less than a word */
  if ((rule & RF_RULE_BP) != 0) {
    cfa = w->bp + n;
    if (cfa - w->sp < WORD || cfa - w->sp < m || cfa % WORD != 0) {
      return false;
    }
    depend_on_bp(w, layout);
  }
  if (cfa - w->sp > w->high - w->sp) {
    return false;
  }
  if (m != 0) {
    w->slot = cfa - m;
    w->bp = word_at(cfa - m);
  }
  return arrive(w, cfa);
}

/* True where the frame pointer leads to no frame. That follows from the frame pointer, from where the stack ends, which
 * is nothing that a layout says, or from the word where the return address would be. */
RF_NO_SANITIZE static bool ends_here(const walk *w, uintptr_t frame, rf_stack_layout *layout) {
  if (frame < w->sp || frame - w->sp > RF_STEP_MOST || frame % WORD != 0) {
    return true;
  }
  bool const is_on_stack = frame <= w->high - 2 * WORD;
  uintptr_t const pc = is_on_stack ? word_at(frame + WORD) : 0;
  if (pc < RF_PC_LEAST && layout != NULL) {
    layout->fixed = layout->fixed && is_on_stack;
    add_check(w, layout, frame + WORD, pc);
  }
  return pc < RF_PC_LEAST;
}

/* By frame pointers. A stack may end here: then that depends on the frame pointer. */
RF_NO_SANITIZE static bool step_by_pointers(walk *w, bool may_change, rf_stack_layout *layout) {
  uintptr_t const frame = w->bp;
  if (layout != NULL) {
    layout->fixed = layout->fixed && !may_change;
    layout->ended = true;
  }
  depend_on_bp(w, layout);
  if (ends_here(w, frame, layout)) {
    return false;
  }
  if (layout != NULL) {
    layout->ended = false;
  }
  w->slot = frame;
  w->bp = word_at(frame);
  return arrive(w, frame + 2 * WORD);
}

RF_NO_SANITIZE static bool step_behind(walk *w, uint32_t rule, rf_stack_layout *layout) {
  uintptr_t const at = w->bp - RF_RULE_N(rule) * WORD;
  if (w->bp % WORD != 0 || at < w->sp || at > w->bp || w->bp > w->high - WORD) {
    return false;
  }
  uintptr_t const cfa = word_at(at);
  if (cfa % WORD != 0 || cfa <= w->bp || cfa > w->high) {
    return false;
  }
  depend_on_bp(w, layout);
  if (layout != NULL) {
    add_check(w, layout, at, cfa);
  }
  w->slot = w->bp;
  w->bp = word_at(w->bp);
  return arrive(w, cfa);
}

/* ---- Frames that no rule fits ---- */

#if RF_STACK_RULES

/* By the tables themselves, with the two registers that a walk knows. After a signal's frame all are known, and the
 * place that it interrupted is no return address: that frame is followed in the same way. Adds the frames to `frames`.
 * RF_UNWIND_FAILED also where a register is needed that is not known. */
static rf_unwind_result follow_rows(walk *w, uintptr_t *frames, unsigned *count, unsigned max) {
  rf_rules_frame f = {.returned = true};
  f.registers.values[RF_REGISTER_SP] = w->sp;
  f.registers.values[RF_REGISTER_BP] = w->bp;
  f.registers.values[RF_REGISTER_PC] = w->pc;
  f.registers.known = 1U << RF_REGISTER_SP | 1U << RF_REGISTER_BP | 1U << RF_REGISTER_PC;
  f.registers.low = w->sp;
  f.registers.high = w->high;
  do {
    rf_unwind_result const result = rf_stack_rules_step(&f);
    if (result != RF_UNWIND_STEPPED) {
      return result;
    }
    frames[(*count)++] = f.registers.values[RF_REGISTER_PC];
  } while (!f.returned && *count < max);
  w->sp = f.registers.values[RF_REGISTER_SP];
  w->bp = (f.registers.known >> RF_REGISTER_BP & 1) != 0 ? f.registers.values[RF_REGISTER_BP] : 0;
  w->pc = f.registers.values[RF_REGISTER_PC];
  w->high = f.registers.high;
  return RF_UNWIND_STEPPED;
}

static unsigned capture_from_here(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  return rf_stack_rules_capture(origin, frames, max);
}

#else

static rf_unwind_result follow_rows(walk *w, uintptr_t *frames, unsigned *count, unsigned max) {
  (void)w;
  (void)frames;
  (void)count;
  (void)max;
  return RF_UNWIND_END;
}

static unsigned capture_from_here(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  (void)origin;
  (void)frames;
  (void)max;
  return 0;
}

#endif

/* ---- Capture ---- */

#define FRAMES_ABOVE_ROOT 4U /* at most: of C libraries, and the root's own */
#define INNER_FRAMES 4U /* at most: between the origin's frame and that of the function that returns to the caller */

static inline void note_slot(const walk *w, unsigned i, rf_stack_layout *layout) {
  if (layout != NULL) {
    layout->slots[i] = (uint32_t)((w->sp - WORD - w->base) / WORD);
  }
}

/* One of the rules that are not sums. False: nothing follows. */
static bool step_specially(walk *w, uint32_t rule, rf_stack_layout *layout) {
  if ((rule & RF_RULE_KIND) == RF_RULE_BEHIND) {
    return step_behind(w, rule, layout);
  }
  if (rule == RF_RULE_END && layout != NULL) {
    layout->ended = true;
  }
  return rule != RF_RULE_END && step_by_pointers(w, rule == RF_RULE_UNKNOWN, layout);
}

/* Not inlined, and with a copy of the walk, so that the walk itself stays in registers. */
__attribute__((noinline)) static bool step_rarely(walk *w, uint32_t rule, uintptr_t *frames, unsigned *count,
                                                  unsigned max, rf_stack_layout *layout) {
  if (rule != RF_RULE_ROW) {
    return step_specially(w, rule, layout);
  }
  unsigned at = *count;
  rf_unwind_result const result = follow_rows(w, frames, &at, max);
  w->has_rows = true;
  w->lost = result == RF_UNWIND_FAILED;
  *count = result == RF_UNWIND_STEPPED ? at - 1 : at; /* the last one is added by the caller */
  return result == RF_UNWIND_STEPPED;
}

/* `max` is at least 2; the first frame is there. */
RF_NO_SANITIZE RF_INLINE unsigned follow(walk w, uint32_t rule, const rf_origin *origin, uintptr_t *frames,
                                         unsigned max, rf_stack_layout *layout) {
  unsigned count = 1;
  for (;;) {
    if (__builtin_expect((rule & RF_RULE_SPECIAL) == 0, 1)) {
      if (!step_by_sum(&w, rule, layout)) {
        break;
      }
    } else {
      walk copy = w;
      unsigned added = count;
      bool const stepped = step_rarely(&copy, rule, frames, &added, max, layout);
      w = copy;
      count = added;
      if (!stepped) {
        break;
      }
    }
    note_slot(&w, count, layout);
    frames[count++] = w.pc;
    if (count == max) {
      break;
    }
    rule = rf_stack_rule(w.pc);
  }
  if (layout != NULL) { /* behind a row, frames follow from more than a layout holds */
    layout->fixed = layout->fixed && !w.has_rows && (layout->ended || count == max);
  }
  unsigned const whole = w.lost ? capture_from_here(origin, frames, max) : 0;
  return whole != 0 ? whole : count;
}

/* From the frame of a function that the one that returns to `caller` called, to where that one returns. */
RF_COLD static bool leave_inner(walk *w, uintptr_t caller) {
  for (unsigned i = 0; w->pc >= RF_PC_LEAST && w->pc != caller && i < INNER_FRAMES; i++) {
    uint32_t const rule = rf_stack_rule(w->pc);
    bool const is_sum = (rule & RF_RULE_SPECIAL) == 0;
    if (is_sum ? !step_by_sum(w, rule, NULL) : rule != RF_RULE_POINTERS || !step_by_pointers(w, false, NULL)) {
      return false;
    }
  }
  return w->pc == caller;
}

/* False: no more than the caller is known. */
RF_NO_SANITIZE static inline bool begin(walk *w, const rf_origin *origin) {
  uintptr_t const base = (uintptr_t)origin->frame;
  uintptr_t const room = base != 0 && base % WORD == 0 ? rf_host_stack_above(origin->frame) : 0;
  if (room < 2 * WORD) {
    return false;
  }
  w->high = base + room;
  w->pc = origin->caller;
  w->base = base;
  w->slot = base;
  w->bp = word_at(base);
  w->sp = base + 2 * WORD;
  w->has_rows = false;
  w->lost = false;
  return true;
}

/* The rule of the first frame. Unknown if it is not the frame of the function that returns to the caller, nor of one
 * that this one called: from there the rules lead to it, whatever its own code has in the frame pointer. */
RF_NO_SANITIZE static inline uint32_t first_rule(walk *w, rf_stack_layout *layout) {
  uintptr_t const pc = word_at(w->base + WORD);
  if (__builtin_expect(pc == w->pc, 1)) {
    return rf_stack_rule(w->pc);
  }
  walk inner = *w;
  inner.pc = pc;
  if (layout != NULL) {
    layout->fixed = false; /* it begins with the caller in the second word */
  }
  if (!leave_inner(&inner, w->pc)) {
    return RF_RULE_UNKNOWN;
  }
  *w = inner;
  return rf_stack_rule(w->pc);
}

RF_NO_SANITIZE unsigned rf_stack_capture(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  walk w;
  if (max == 0 || origin->caller == 0) {
    return 0;
  }
  frames[0] = origin->caller;
  if (max == 1 || !begin(&w, origin)) {
    return 1;
  }
  uint32_t const rule = first_rule(&w, NULL);
  return follow(w, rule, origin, frames, max, NULL);
}

/* How many frames lead to the function that calls main; 0: none of the outermost is in it. */
static unsigned frames_to_root(const uintptr_t *frames, unsigned count) {
  for (unsigned outer = 1; outer <= FRAMES_ABOVE_ROOT && outer < count; outer++) {
    if (frames[count - outer] - root_start - 1 < root_size) {
      return count - outer + 1;
    }
  }
  return 0;
}

RF_NO_SANITIZE unsigned rf_stack_capture_laid_out(const rf_origin *origin, uintptr_t *frames, unsigned max,
                                                  rf_stack_layout *layout) {
  walk w;
  layout->fixed = false;
  if (max == 0 || origin->caller == 0) {
    return 0;
  }
  frames[0] = origin->caller;
  if (max == 1 || !begin(&w, origin)) {
    return 1;
  }
  layout->fixed = true;
  layout->ended = false;
  layout->asked = max;
  layout->checks = 0;
  layout->slots[0] = 1;
  uint32_t const rule = first_rule(&w, layout);
  unsigned const count = follow(w, rule, origin, frames, max, layout);
  layout->rooted = frames_to_root(frames, count);
  return count;
}

unsigned rf_stack_capture_slow(const rf_origin *origin, uintptr_t *frames, unsigned max) {
  /* The unwinder begins with the checker's own frames, at most 16; the result starts at the caller. */
  uintptr_t all[16 + 64];
  unsigned const count = max == 0 ? 0 : rf_host_unwind(all, (unsigned)(sizeof all / sizeof all[0]));
  for (unsigned i = 0; i < count; i++) {
    if (all[i] == origin->caller) {
      unsigned const depth = count - i < max ? count - i : max;
      for (unsigned j = 0; j < depth; j++) {
        frames[j] = all[i + j];
      }
      return depth;
    }
  }
  return rf_stack_capture(origin, frames, max);
}

#define WORDS_NEAR ((uintptr_t)2048) /* an upper bound of the frames of an allocator */
/* Words of rf_stack_returns_to itself above its frame: the address that is looked for is one of its arguments. */
#if defined(__i386__)
#define OWN_WORDS ((uintptr_t)4)
#else
#define OWN_WORDS ((uintptr_t)0)
#endif

RF_NO_SANITIZE static bool is_near(uintptr_t word, uintptr_t from, uintptr_t high) {
  uintptr_t const *const words = (const uintptr_t *)from;
  uintptr_t const count = (high - from) / sizeof word;
  for (uintptr_t i = 0; i < count && i < WORDS_NEAR; i++) {
    if (words[i] == word) {
      return true;
    }
  }
  return false;
}

bool rf_stack_returns_to(uintptr_t pc, const void **frame) {
  uintptr_t all[64];
  uintptr_t const here = (uintptr_t)__builtin_frame_address(0);
  uintptr_t at = here;
  uintptr_t low;
  uintptr_t high;
  uintptr_t found;
  bool const bounded = rf_host_stack((const void *)here, &low, &high);
  while (bounded && rf_stack_step(&at, high, &found)) {
    if (found == pc) {
      *frame = (const void *)at;
      return true;
    }
  }
  *frame = NULL;
  unsigned const count = rf_host_unwind(all, (unsigned)(sizeof all / sizeof all[0]));
  for (unsigned i = 0; i < count; i++) {
    if (all[i] == pc) {
      return true;
    }
  }
  return count == 0 && bounded && is_near(pc, here + OWN_WORDS * WORD, high);
}
