/* Checks read only bytes that can be read, and that are the heap's: the program may have closed pages of blocks, or
 * replaced them. */
#include "rights.h"

#include "checkers/os/host.h"

bool rf_rights_allow_byte(const rf_view *v, const void *p) {
  return !rf_span_is_restricted(v->span) || (!rf_span_is_replaced(v->span) && rf_host_readable(p, 1));
}

static bool is_readable(const unsigned char *start, const unsigned char *end) {
  return rf_host_readable(start, (size_t)(end - start));
}

bool rf_rights_allow_look(const rf_view *v) {
  const unsigned char *const guard = v->payload - RF_SPAN_FRONT;
  if (!rf_span_is_restricted(v->span)) {
    return true;
  }
  if (rf_span_is_replaced(v->span)) {
    return false;
  }
  return rf_slot_state_of(v->slot) != RF_SLOT_LIVE
             ? is_readable(guard, v->end)
             : is_readable(guard, v->payload) && is_readable(v->payload + v->size, v->end);
}
