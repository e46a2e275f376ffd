/* rf_handle_guard: from a handle to its live block. Any other handle is reported. */
#include "handle_guard_impl.h"

rf_status rf_handle_guard_inner_address(rf_handle_guard *guard, rf_handle handle, unsigned char **block) {
  rf_inner_call call;
  rf_inner_call_begin(&call);
  *block = (unsigned char *)guard->inner->ops->address(guard->inner, handle, NULL);
  (void)rf_inner_call_end(&call);
  if (*block != NULL) {
    return RF_OK;
  }
  return call.fault.status != RF_OK ? call.fault.status : RF_ERR_INVALID;
}

/* ---- Findings about a call ---- */

void rf_handle_guard_report(rf_handle_guard *guard, rf_bug bug, rf_access access, rf_handle handle,
                            unsigned char *block, const handle_header *h, const char *detail, const rf_origin *origin) {
  rf_finding f;
  const unsigned char *const payload = block != NULL ? handle_payload(guard, block) : NULL;
  rf_handle_guard_finding(guard, &f, bug, block != NULL ? access : RF_ACCESS_UNKNOWN, payload, origin);
  if (h != NULL) {
    rf_handle_guard_finding_block(&f, h, payload);
  }
  f.argument = handle;
  f.detail = detail;
  rf_report(guard->options.reporter, &f);
}

rf_status rf_handle_guard_report_ended(rf_handle_guard *guard, const rf_origin *origin) {
  rf_finding f;
  rf_handle_guard_finding(guard, &f, RF_BUG_ENDED, RF_ACCESS_UNKNOWN, guard, origin);
  rf_report(guard->options.reporter, &f);
  return RF_ERR_INVALID;
}

rf_status rf_handle_guard_report_metadata(rf_handle_guard *guard, const rf_origin *origin) {
  (void)rf_handle_guard_sweep_from(guard, origin);
  return RF_ERR_CORRUPT;
}

/* ---- Opening a handle ---- */

/* A live block: its header and place. Anything else is reported; `access` RF_ACCESS_FREE makes a freed one a double
 * free. */
rf_status rf_handle_guard_open(rf_handle_guard *guard, rf_handle handle, rf_access access, unsigned char **block,
                               handle_header *h, const rf_origin *origin) {
  rf_bug const stale = access == RF_ACCESS_FREE ? RF_BUG_DOUBLE_FREE : RF_BUG_STALE_HANDLE;
  if (guard->inner == NULL) {
    return rf_handle_guard_report_ended(guard, origin);
  }
  switch (rf_handle_guard_inner_address(guard, handle, block)) {
  case RF_OK:
    break;
  case RF_ERR_NOT_ALLOCATED:
    rf_handle_guard_report(guard, stale, access, handle, NULL, NULL, "its block was freed, and has left the quarantine",
                           origin);
    return RF_ERR_NOT_ALLOCATED;
  case RF_ERR_CORRUPT:
    return rf_handle_guard_report_metadata(guard, origin);
  default:
    rf_handle_guard_report(guard, RF_BUG_BAD_HANDLE, access, handle, NULL, NULL, "the heap never gave this handle out",
                           origin);
    return RF_ERR_INVALID;
  }
  if (!rf_handle_guard_read(guard, *block, handle, h)) {
    return rf_handle_guard_report_metadata(guard, origin);
  }
  switch ((handle_state)h->state) {
  case HANDLE_LIVE:
    return RF_OK;
  case HANDLE_FREED:
    rf_handle_guard_report(guard, stale, access, handle, *block, h, NULL, origin);
    return RF_ERR_NOT_ALLOCATED;
  case HANDLE_MOVED:
    rf_handle_guard_report(guard, RF_BUG_BAD_HANDLE, access, handle, NULL, NULL, "the heap never gave this handle out",
                           origin);
    return RF_ERR_INVALID;
  case HANDLE_ABANDONED:
    break;
  }
  return RF_ERR_CORRUPT; /* reported before */
}
