/* The bytes around and in blocks: written, compared, explained. For any thread that is inside a cache. */
#ifndef RINGFENCE_DROPIN_CHECK_H
#define RINGFENCE_DROPIN_CHECK_H

#include "heap.h"

#include <ringfence/finding.h>

#include "checkers/shared/pattern.h"

/* ---- A block and what is around it ---- */

typedef struct rf_view {
  rf_span *span;
  rf_slot *slot;
  unsigned index;
  size_t size;          /* of the payload */
  unsigned char *begin; /* the slot's first byte; large: the first after the front */
  unsigned char *payload;
  unsigned char *end; /* behind the guard bytes */
} rf_view;

/* The slot number `index`. */
rf_view rf_view_of(rf_span *span, unsigned index);

/* Claims the live block (rf_slot_claim) that had these traits, and views it again: another thread may have resized it
 * just before. False where another one has freed it, even where its span was given back since, whose descriptor serves
 * other blocks by now. */
bool rf_view_claim(rf_view *view, uint16_t traits);

/* The slot that `address` lies in; false where it is none's, or that of no block so far. */
bool rf_view_at(uintptr_t address, rf_view *out);

/* Also true while its thread has it claimed. */
static inline bool rf_view_is_freed(const rf_view *v) {
  return rf_slot_state_of(v->slot) == RF_SLOT_FREED;
}

/* How many bytes of `size` the options have filled at a free. */
static inline size_t rf_fill_up_to(size_t size) {
  size_t const most = rf_heap_options_now.fill_free;
  return size < most ? size : most;
}

/* How many bytes of a slot are, from the start of its freed payload on: all `room` up to the last RF_TAIL_LEAST, so
 * that it does not depend on the size that was asked for, where the options have so many filled; else of the payload.
 */
static inline size_t rf_fill_of(size_t size, size_t room) {
  return room <= rf_heap_options_now.fill_free ? room : rf_fill_up_to(size);
}

/* The same of a block, live or freed. */
static inline size_t rf_view_fill(const rf_view *v) {
  return v->span->large ? rf_fill_up_to(v->size) : rf_fill_of(v->size, (size_t)(v->end - v->payload) - RF_TAIL_LEAST);
}

/* ---- Writing ---- */

/* The front of a new span. */
void rf_check_front(const rf_span *span);

/* The end of a slot that is about to be handed out for the first time: the guard of the next one. */
void rf_check_carved(const rf_span *span, unsigned index);

/* The bytes before the payload of a block that does not begin where its slot does. */
void rf_check_gap(rf_span *span, unsigned index);

/* The guard before a view that lies in its own slot, in the front, or in a neighbour that is no block. */
rf_pattern_area rf_check_own_front(const rf_view *view);

/* The guard behind the payload of a live block. */
rf_pattern_area rf_check_live_tail(const rf_view *view);

/* ---- Looking ---- */

/* Reports what is damaged in and around a block, live or freed, and mends it. Returns the number of findings. */
size_t rf_check_report(const rf_view *view, const rf_origin *origin);

/* True where nothing is, though the block before may be. */
bool rf_check_intact(const rf_view *view);

/* The same of a live block that the program hands over, and of the bytes right before it, whosever they are. Another
 * thread may free or resize the block meanwhile, which is a fault of the program's: the block is claimed while it is
 * looked at, so that its end is not unmapped then, and where it is no longer live nothing is said of it. */
bool rf_check_live_intact(const rf_view *view);

/* True where a small block that begins where its slot does, live or freed, and follows another slot's block, is as it
 * should be: the usual case, faster than rf_check_intact. False says nothing. Not of a slot that is no block yet. */
bool rf_check_plain_intact(const rf_span *span, unsigned index);

/* True where the bytes right before the payload hold, whosever they are. */
bool rf_check_front_holds(const rf_view *view);

/* A span whose blocks were all freed, before its memory serves others. */
void rf_check_retired(rf_span *span);

/* True where the end of a slot that is no block yet was overwritten: the finding is about the next one. */
bool rf_check_next_is_hit(rf_span *span, unsigned index, const rf_origin *origin);

/* ---- Findings ---- */

/* Adds the block to a finding whose address is set. */
void rf_check_about(rf_finding *f, const rf_view *view);

/* The trace of a call by the number of its stack and of its thread. */
void rf_check_trace(uint32_t stack, uint16_t thread, rf_trace *out);

/* ---- Wrong calls (wrong_call.c) ---- */

/* A free or realloc by another family or size (SIZE_MAX: not named) than those of the allocation. */
void rf_check_mismatch(const rf_view *view, rf_bug bug, rf_family family, size_t size, const rf_origin *origin);

/* An aligned delete with another alignment than that of the allocation. */
void rf_check_alignment(const rf_view *view, size_t align, const rf_origin *origin);

/* A free or realloc of a pointer at which no live block starts. */
void rf_check_bad_free(const void *ptr, const rf_origin *origin);

#endif /* RINGFENCE_DROPIN_CHECK_H */
