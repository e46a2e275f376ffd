#include "border.h"

#include "cache.h"
#include "rights.h"
#include "span.h"

static bool is_all_damaged(const rf_pattern_area *area) {
  rf_pattern_area damage;
  return rf_pattern_damage(area, &damage) && damage.size == area->size;
}

static rf_pattern_area front_of(const rf_span *span) {
  return (rf_pattern_area){(unsigned char *)rf_span_start(span), RF_SPAN_FRONT, RF_PATTERN_REDZONE};
}

static bool is_damaged_from_its_start(const rf_pattern_area *area, rf_pattern_area *damage) {
  return rf_pattern_damage(area, damage) && damage->at == area->at;
}

static bool is_last(const rf_view *v) {
  return v->span->large || v->index + 1 == v->span->count;
}

static bool view_in(rf_span *span, unsigned index, rf_view *out) {
  if (span == NULL || rf_slot_state_of(&span->slots[index]) == RF_SLOT_NEW) {
    return false;
  }
  *out = rf_view_of(span, index);
  return rf_rights_allow_look(out);
}

/* The last bytes of a slot are guard bytes whatever of a freed block is filled. */
static bool is_overflowed(const rf_view *v) {
  rf_pattern_area const last = {v->end - RF_TAIL_LEAST, RF_TAIL_LEAST, RF_PATTERN_REDZONE};
  rf_pattern_area const tail = rf_view_is_freed(v) ? last : rf_check_live_tail(v);
  return is_all_damaged(&tail);
}

bool rf_border_is_overrun(const rf_view *view, rf_view *below) {
  rf_pattern_area damage;
  rf_pattern_area const front = front_of(view->span);
  if (!rf_stopped_by_me() || view->index != 0 || rf_check_own_front(view).at != front.at ||
      !rf_rights_allow_look(view) || !is_damaged_from_its_start(&front, &damage)) {
    return false;
  }
  rf_span *const span = rf_span_holding(rf_span_start(view->span) - 1);
  return span != NULL && view_in(span, span->large ? 0 : span->count - 1, below) && is_overflowed(below);
}

bool rf_border_mend_above(const rf_view *view, rf_view *above) {
  rf_pattern_area damage;
  rf_span *const span =
      rf_stopped_by_me() && is_last(view) ? rf_span_holding(rf_span_start(view->span) + view->span->bytes) : NULL;
  if (span == NULL) {
    return false;
  }
  bool const has_block = view_in(span, 0, above);
  rf_pattern_area const front = front_of(span);
  if (rf_span_is_restricted(span) || !is_damaged_from_its_start(&front, &damage)) {
    return false;
  }
  rf_pattern_write(damage.at, damage.size, damage.byte);
  return has_block && damage.size == front.size;
}
