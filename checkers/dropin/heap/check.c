#include "check.h"

#include "border.h"
#include "cache.h"
#include "fill.h"
#include "rights.h"

#include "checkers/os/reserve_stack.h"
#include "checkers/shared/origin.h"
#include "checkers/shared/window.h"
#include "checkers/shared/wrapper.h"
#include "lib/core/compiler.h"

#define FRONT_LEAST ((size_t)16)
#define PAGE ((uintptr_t)4096)

/* ---- Views ---- */

static unsigned char *aligned_up(uintptr_t address, size_t align) {
  return (unsigned char *)((address + align - 1) & ~(uintptr_t)(align - 1));
}

static unsigned char *end_of_large(const rf_span *span, const unsigned char *payload) {
  uintptr_t const behind = (uintptr_t)payload + span->size + RF_TAIL_LEAST;
  uintptr_t const page = (behind + PAGE - 1) & ~(PAGE - 1);
  uintptr_t const last = rf_span_start(span) + span->bytes;
  return (unsigned char *)(page < last ? page : last);
}

/* Each field where it is read from, not copied from another view: loads of words that were just stored otherwise than
 * by words wait for these stores. */
RF_INLINE void set_view(rf_view *out, rf_span *span, unsigned index) {
  rf_slot *const slot = &span->slots[index];
  uintptr_t const begin = span->base + (size_t)index * span->slot_size;
  unsigned char *const payload = aligned_up(begin, rf_slot_align(slot));
  out->span = span;
  out->slot = slot;
  out->index = index;
  out->size = span->large ? span->size : slot->size;
  out->begin = (unsigned char *)begin;
  out->payload = payload;
  out->end = span->large ? end_of_large(span, payload) : (unsigned char *)(begin + span->slot_size);
}

rf_view rf_view_of(rf_span *span, unsigned index) {
  rf_view view;
  set_view(&view, span, index);
  return view;
}

bool rf_view_at(uintptr_t address, rf_view *out) {
  rf_span *const span = rf_span_holding(address);
  if (span == NULL) {
    return false;
  }
  unsigned const index = rf_span_slot_at(span, address);
  if (index == span->count || rf_slot_state_of(&span->slots[index]) == RF_SLOT_NEW) {
    return false;
  }
  set_view(out, span, index);
  return true;
}

bool rf_view_claim(rf_view *view, uint16_t traits) {
  unsigned char *const payload = view->payload;
  rf_view now;
  if (!rf_view_at((uintptr_t)payload, &now) || now.slot != view->slot || now.payload != payload ||
      !rf_slot_claim(view->slot, traits)) {
    return false;
  }
  set_view(view, view->span, view->index);
  if (view->payload != payload) {
    rf_slot_unclaim(view->slot, traits);
    return false;
  }
  return true;
}

/* True where the guard before a block that begins where its slot does is the end of another block's slot. */
static bool follows_a_block(const rf_span *span, unsigned index) {
  return index != 0 && rf_slot_state_of(&span->slots[index - 1]) != RF_SLOT_NEW;
}

/* ---- Writing ---- */

void rf_check_front(const rf_span *span) {
  if (rf_heap_options_now.checked) {
    rf_pattern_write((unsigned char *)rf_span_start(span), RF_SPAN_FRONT, RF_PATTERN_REDZONE);
  }
}

rf_pattern_area rf_check_own_front(const rf_view *v) {
  size_t const gap = (size_t)(v->payload - v->begin);
  size_t room = gap < RF_SPAN_FRONT ? gap : RF_SPAN_FRONT;
  if (gap == 0 && !follows_a_block(v->span, v->index)) {
    room = v->index != 0 && v->span->slot_size < RF_SPAN_FRONT ? v->span->slot_size : RF_SPAN_FRONT;
  }
  return (rf_pattern_area){v->payload - room, room, RF_PATTERN_REDZONE};
}

void rf_check_gap(rf_span *span, unsigned index) {
  rf_view const v = rf_view_of(span, index);
  size_t const gap = (size_t)(v.payload - v.begin);
  size_t const room = gap < RF_SPAN_FRONT ? gap : RF_SPAN_FRONT;
  rf_pattern_write(v.payload - room, room, RF_PATTERN_REDZONE);
}

void rf_check_carved(const rf_span *span, unsigned index) {
  size_t const room = span->slot_size < RF_SPAN_FRONT ? span->slot_size : RF_SPAN_FRONT;
  uintptr_t const end = span->base + ((size_t)index + 1) * span->slot_size;
  if (rf_heap_options_now.checked) {
    rf_pattern_write((unsigned char *)end - room, room, RF_PATTERN_REDZONE);
  }
}

/* ---- Findings ---- */

static rf_byte_class class_of_byte(const void *context, uintptr_t address, int *expected) {
  const rf_view *const v = context;
  uintptr_t const payload = (uintptr_t)v->payload;
  if (rf_view_is_freed(v) && address - payload < rf_view_fill(v)) {
    *expected = RF_PATTERN_FREED;
    return address - payload < v->size ? RF_BYTE_FREED : RF_BYTE_GUARD;
  }
  if (address - payload >= v->size) {
    *expected = RF_PATTERN_REDZONE;
    return RF_BYTE_GUARD;
  }
  return RF_BYTE_USER;
}

/* The rows beside the damage that can be read: its own page can. */
static void show(rf_finding *f, const rf_view *v, uintptr_t low, uintptr_t high) {
  uintptr_t const page = f->address & ~(PAGE - 1);
  bool const below = low < page && !rf_rights_allow_byte(v, (const void *)(page - 1));
  bool const above = high > page + PAGE && !rf_rights_allow_byte(v, (const void *)(page + PAGE));
  rf_finding_window(f, below ? page : low, above ? page + PAGE : high, f->address, class_of_byte, v);
}

/* Fills in the finding, and mends the area. */
RF_COLD static bool tell(rf_finding *f, const rf_view *v, rf_bug bug, const rf_pattern_area *area, const char *detail) {
  f->bug = bug;
  f->cwe = rf_bug_cwe(bug, f->access);
  f->address = (uintptr_t)area->at;
  rf_check_about(f, v);
  uintptr_t const guard = (uintptr_t)v->payload - FRONT_LEAST;
  uintptr_t const low = f->address < guard ? f->address & ~(uintptr_t)15 : guard;
  show(f, v, low, (uintptr_t)v->end);
  f->access_size = area->size;
  f->detail = detail;
  return true;
}

/* ---- Damage ---- */

typedef struct damage {
  bool fill; /* of a freed block */
  bool tail;
  rf_pattern_area in_fill; /* from the first wrong byte to the last */
  rf_pattern_area in_tail;
} damage;

/* The parts of a block that have a pattern, one behind the other. */
typedef struct areas {
  rf_pattern_area fill; /* of a freed block's payload */
  rf_pattern_area rest; /* of its fill, behind the payload */
  rf_pattern_area guard;
} areas;

static areas areas_of(const rf_view *v) {
  size_t const filled = rf_view_is_freed(v) ? rf_view_fill(v) : 0;
  size_t const rest = filled > v->size ? filled - v->size : 0;
  unsigned char *const behind = v->payload + v->size;
  unsigned char *const guard = behind + rest;
  return (areas){.fill = {v->payload, filled - rest, RF_PATTERN_FREED},
                 .rest = {behind, rest, RF_PATTERN_FREED},
                 .guard = {guard, (size_t)(v->end - guard), RF_PATTERN_REDZONE}};
}

rf_pattern_area rf_check_live_tail(const rf_view *v) {
  return (rf_pattern_area){v->payload + v->size, (size_t)(v->end - v->payload) - v->size, RF_PATTERN_REDZONE};
}

static rf_pattern_area joined(const rf_pattern_area *low, const rf_pattern_area *high) {
  return (rf_pattern_area){low->at, (size_t)(high->at + high->size - low->at), high->byte};
}

/* All that is behind the payload. */
static rf_pattern_area tail_area(const rf_view *v) {
  areas const a = areas_of(v);
  return joined(&a.rest, &a.guard);
}

static bool find_damage(const rf_pattern_area *area, rf_pattern_area *out) {
  return area->size != 0 && rf_pattern_damage(area, out);
}

RF_COLD static bool inspect(const rf_view *v, damage *d) {
  areas const a = areas_of(v);
  rf_pattern_area in_guard;
  *d = (damage){.fill = false, .tail = false};
  if (!rf_rights_allow_look(v)) {
    return false;
  }
  d->fill = find_damage(&a.fill, &d->in_fill);
  bool const rest = find_damage(&a.rest, &d->in_tail);
  bool const guard = find_damage(&a.guard, &in_guard);
  if (guard) {
    d->in_tail = rest ? joined(&d->in_tail, &in_guard) : in_guard;
  }
  d->tail = rest || guard;
  return d->fill || d->tail;
}

RF_COLD static void mend(const rf_pattern_area *area) {
  rf_pattern_write(area->at, area->size, area->byte);
}

RF_COLD static void mend_tail(const rf_view *v) {
  areas const a = areas_of(v);
  mend(&a.rest);
  mend(&a.guard);
}

static bool front_damage(const rf_view *v, rf_pattern_area *out) {
  rf_pattern_area const front = rf_check_own_front(v);
  return find_damage(&front, out);
}

static bool holds(const rf_pattern_area *area) {
  return area->size == 0 || holds_many(area->at, area->size, area->byte);
}

bool rf_check_intact(const rf_view *v) {
  areas const a = areas_of(v);
  rf_pattern_area const front = rf_check_own_front(v);
  return holds(&a.fill) && holds(&a.rest) && holds(&a.guard) && holds(&front);
}

bool rf_check_live_intact(const rf_view *view) {
  uint16_t const traits = __atomic_load_n(&view->slot->traits, __ATOMIC_RELAXED);
  rf_view v = *view;
  if (!rf_view_claim(&v, traits)) {
    return true;
  }
  rf_pattern_area const guard = rf_check_live_tail(&v);
  rf_pattern_area const front = rf_check_own_front(&v);
  bool const intact = holds(&guard) && holds(&front) && rf_check_front_holds(&v);
  rf_slot_unclaim(v.slot, traits);
  return intact;
}

bool rf_check_plain_intact(const rf_span *span, unsigned index) {
  const rf_slot *const slot = &span->slots[index];
  const unsigned char *const p = (const unsigned char *)span->base + (size_t)index * span->slot_size;
  if (span->large || rf_slot_align(slot) != RF_ALIGN_DEFAULT || !follows_a_block(span, index)) {
    return false;
  }
  return rf_slot_state_of(slot) == RF_SLOT_FREED ? freed_holds(p, slot->size, span->slot_size - RF_TAIL_LEAST)
                                                 : tail_holds(p + slot->size, p + span->slot_size);
}

bool rf_check_front_holds(const rf_view *v) {
  return rf_pattern_holds(v->payload - FRONT_LEAST, FRONT_LEAST, RF_PATTERN_REDZONE);
}

/* The slot behind, where it is or was a block whose payload begins there. */
static bool next_of(const rf_view *v, rf_view *next) {
  if (v->span->large || v->index + 1 >= v->span->count || rf_slot_state_of(v->slot + 1) == RF_SLOT_NEW) {
    return false;
  }
  *next = rf_view_of(v->span, v->index + 1);
  return next->payload == next->begin;
}

RF_COLD static bool previous_of(const rf_view *v, rf_view *previous) {
  if (v->span->large || v->payload != v->begin || !follows_a_block(v->span, v->index)) {
    return false;
  }
  *previous = rf_view_of(v->span, v->index - 1);
  return true;
}

static bool is_all(const rf_pattern_area *part, const rf_pattern_area *whole) {
  return part->size == whole->size;
}

/* The last block below this one's span, where what is wrong in the guard bytes before this one may go on. */
RF_COLD static bool last_below(const rf_view *v, rf_view *below) {
  damage d;
  bool const first = v->index == 0 && (uintptr_t)rf_check_own_front(v).at == rf_span_start(v->span);
  rf_span *const span = first && rf_rights_allow_look(v) ? rf_border_below(v->span) : NULL;
  return span != NULL && rf_view_at(span->base + (span->count - 1) * (uintptr_t)span->slot_size, below) &&
         inspect(below, &d) && d.tail && d.in_tail.at + d.in_tail.size == below->end;
}

/* The first block, where there are no other bytes between it and the guard bytes before it. */
static bool first_of(const rf_span *span, rf_view *first) {
  return span != NULL && rf_view_at(span->base, first) && first->payload == first->begin;
}

/* The first block of the span above this one, where an overflow ran on over all of the guard bytes before it. */
static bool first_above(const rf_view *v, rf_view *above) {
  bool const last = v->span->large || v->index + 1 == v->span->count;
  return last && first_of(rf_border_mend_above(v->span), above);
}

/* An overflow ran on from the end of the slot before: what it did to the following ones is mended, as far as it went
 * without a gap, over the border of a span as well. */
RF_COLD static void absorb(const rf_view *from) {
  rf_view v;
  rf_view at = *from;
  bool runs_on = true;
  while (runs_on && (next_of(&at, &v) || first_above(&at, &v))) {
    damage d;
    rf_pattern_area const fill = areas_of(&v).fill;
    rf_pattern_area const tail = tail_area(&v);
    (void)inspect(&v, &d);
    if (d.fill && d.in_fill.at == v.payload) {
      mend(&d.in_fill);
    }
    bool const over_fill = fill.size == 0 || (d.fill && is_all(&d.in_fill, &fill));
    bool const into_tail = over_fill && d.tail && d.in_tail.at == tail.at;
    if (into_tail) {
      mend_tail(&v);
    }
    runs_on = into_tail && is_all(&d.in_tail, &tail);
    at = v;
  }
}

static const char before_block[] = "guard bytes before the block were overwritten";
static const char between_blocks[] =
    "all guard bytes between two blocks were overwritten: an overflow of the lower one or "
    "an underflow of the upper one";

/* If all of the guard between two blocks was overwritten, either block may be to blame. A freed block is not: its guard
 * was whole when it was freed. An overflow by one value ran on into the next block, an underflow by one value into this
 * one. */
static bool looks_like_underflow(const rf_view *v, const rf_view *next) {
  if (rf_view_is_freed(v) != rf_view_is_freed(next)) {
    return rf_view_is_freed(v);
  }
  unsigned char const first = v->payload[v->size];
  unsigned char const last = v->end[-1];
  bool const from_below = next->size != 0 && rf_rights_allow_byte(next, next->payload) && next->payload[0] == last;
  const unsigned char *const before = v->payload + v->size - 1;
  return v->size != 0 && rf_rights_allow_byte(v, before) && *before == first && !from_below;
}

/* The damage to the guard bytes between `v` and the next block is that one's underflow where it is nearer to it. */
static bool explain_tail(const rf_view *v, const damage *d, rf_finding *f) {
  size_t const from_start = (size_t)(d->in_tail.at - (v->payload + v->size));
  size_t const to_end = (size_t)(v->end - (d->in_tail.at + d->in_tail.size));
  rf_view next;
  bool const has_next = next_of(v, &next);
  bool const whole = from_start == 0 && to_end == 0;
  bool const all = has_next && whole;
  rf_pattern_area area = d->in_tail;
  if (!whole && to_end == 0 && first_of(rf_border_hit_above((uintptr_t)v->end), &next)) {
    area.size += RF_SPAN_FRONT;
    (void)tell(f, &next, RF_BUG_BUFFER_UNDERFLOW, &area, before_block);
    rf_check_front(next.span);
  } else if (has_next && (to_end < from_start || (all && looks_like_underflow(v, &next)))) {
    (void)tell(f, &next, RF_BUG_BUFFER_UNDERFLOW, &area, all ? between_blocks : before_block);
  } else {
    (void)tell(f, v, RF_BUG_BUFFER_OVERFLOW, &area,
               all ? between_blocks : "guard bytes after the block were overwritten");
    if (whole) {
      absorb(v);
    }
  }
  mend_tail(v);
  return true;
}

static bool explain_fill(const rf_view *v, const damage *d, rf_finding *f) {
  rf_pattern_area const tail = tail_area(v);
  bool const runs_on = d->tail && d->in_fill.at + d->in_fill.size == tail.at && d->in_tail.at == tail.at;
  bool const to_end = runs_on && is_all(&d->in_tail, &tail);
  rf_pattern_area const area = runs_on ? joined(&d->in_fill, &d->in_tail) : d->in_fill;
  rf_view next;
  damage above; /* at the end of the next block: a write up to its start leaves none */
  bool const has_next = to_end && d->in_fill.at != v->payload && next_of(v, &next);
  if (has_next && !(inspect(&next, &above) && above.tail && above.in_tail.at == tail_area(&next).at)) {
    (void)tell(f, &next, RF_BUG_BUFFER_UNDERFLOW, &area, before_block);
  } else {
    (void)tell(f, v, RF_BUG_USE_AFTER_FREE, &area, "the fill of a freed block was overwritten");
    if (to_end) {
      absorb(v);
    }
  }
  mend(&d->in_fill);
  if (runs_on) {
    mend_tail(v);
  }
  return true;
}

RF_COLD static bool explain_inside(const rf_view *v, rf_finding *f) {
  damage d;
  return inspect(v, &d) && (d.fill ? explain_fill(v, &d, f) : explain_tail(v, &d, f));
}

static bool end_is_damaged(const rf_view *v) {
  return !rf_pattern_holds(v->end - RF_TAIL_LEAST, RF_TAIL_LEAST, RF_PATTERN_REDZONE);
}

/* True where what is wrong in `v` may have come over its lower end. */
static bool comes_from_below(const rf_view *v) {
  damage d;
  rf_view previous;
  bool const wrong = inspect(v, &d) && previous_of(v, &previous) && previous.end[-1] != RF_PATTERN_REDZONE;
  return wrong && (d.fill ? d.in_fill.at == v->payload : areas_of(v).fill.size == 0 && d.in_tail.at == tail_area(v).at);
}

/* One damage in or around the block, told and mended; false where there is none. */
static bool explain(const rf_view *v, rf_finding *f) {
  rf_view previous;
  rf_pattern_area front;
  rf_view at = last_below(v, &previous) ? previous : *v;
  while (comes_from_below(&at) && previous_of(&at, &previous)) {
    at = previous;
  }
  if (explain_inside(&at, f) || (at.slot != v->slot && explain_inside(v, f))) {
    return true;
  }
  if (front_damage(v, &front)) {
    (void)tell(f, v, RF_BUG_BUFFER_UNDERFLOW, &front, before_block);
    mend(&front);
    return true;
  }
  return previous_of(v, &previous) && end_is_damaged(&previous) && explain_inside(&previous, f);
}

#define STOP_MS 1000U
#define ROUNDS 64U /* of findings about one block: other threads may go on damaging it */

/* A large block that another thread has given back since is not there to be read. */
static bool is_still(const rf_view *v) {
  rf_view now;
  return rf_view_at((uintptr_t)v->payload, &now) && now.slot == v->slot && now.size == v->size;
}

typedef struct reporting {
  const rf_view *view;
  const rf_origin *origin;
  size_t count; /* out: of findings */
} reporting;

/* Others are stopped meanwhile, so that what neighbours are is known; but not while this thread unwinds its stack or
 * reports, for which it may wait for them. */
RF_COLD static void report_damage(void *argument) {
  reporting *const r = argument;
  rf_finding begun;
  bool found = true;
  rf_finding_begin(&begun, RF_BUG_BUFFER_OVERFLOW, RF_ACCESS_WRITE, NULL, "malloc", "guard", r->origin);
  for (; found && r->count < ROUNDS; r->count += found ? 1 : 0) {
    rf_finding f = begun;
    bool const stopped = rf_stop_all(STOP_MS);
    found = is_still(r->view) && explain(r->view, &f);
    if (stopped) {
      rf_stop_finish();
    }
    if (found) {
      rf_report(rf_heap_options_now.reporter, &f);
    }
  }
}

RF_COLD size_t rf_check_report(const rf_view *v, const rf_origin *origin) {
  reporting r = {v, origin, 0};
  rf_on_reserve_stack(report_damage, &r);
  return r.count;
}

bool rf_check_next_is_hit(rf_span *span, unsigned index, const rf_origin *origin) {
  rf_view v = rf_view_of(span, index);
  rf_view next;
  bool const hit = rf_heap_options_now.checked && end_is_damaged(&v);
  if (hit && next_of(&v, &next)) {
    (void)rf_check_report(&next, origin);
  }
  return hit;
}

RF_RARE static void check_freed(rf_span *span, unsigned index) {
  rf_view const v = rf_view_of(span, index);
  if (rf_view_is_freed(&v) && !rf_check_intact(&v)) {
    (void)rf_check_report(&v, RF_NO_ORIGIN);
  }
}

void rf_check_retired(rf_span *span) {
  unsigned const used = span->large ? 1 : span->carved;
  for (unsigned i = 0; rf_heap_options_now.checked && i < used; i++) {
    check_freed(span, i);
  }
}
