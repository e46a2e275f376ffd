#include <ringfence/checked_handles.h>

#include "choose_reporter.h"
#include "mode_options.h"

rf_handles *rf_checked_handles_init(rf_checked_handles *checked, rf_handles *inner, const rf_checked_options *options) {
  const rf_options *const o = options != NULL ? &options->settings : rf_options_of_process();
  if (checked == NULL || inner == NULL) {
    return inner;
  }
  rf_options_say(o, inner->ops->name);
  checked->mode = RF_MODE_OFF;
  if (o->mode == RF_MODE_OFF || o->mode == RF_MODE_SAMPLE) {
    return inner;
  }
  rf_handle_guard_options guard = rf_options_for_handles(o);
  guard.reporter = rf_choose_reporter(&checked->log, options);
  if (rf_handle_guard_init(&checked->guard, inner, &guard) != RF_OK) {
    return inner;
  }
  checked->mode = o->mode;
  return &checked->guard.base;
}

void rf_checked_handles_deinit(rf_checked_handles *checked) {
  if (checked->mode != RF_MODE_OFF) {
    rf_handles *const h = &checked->guard.base;
    checked->mode = RF_MODE_OFF;
    h->ops->deinit(h);
    rf_log_reporter_close(&checked->log);
  }
}
