#include <ringfence/checked_pools.h>

#include <ringfence/pool_watch.h>
#include <ringfence/port.h>
#include <ringfence/watch.h>

#include "choose_reporter.h"
#include "lib/core/compiler.h"
#include "mode_options.h"

static bool sweeps_at_end;

RF_COLD rf_mode rf_checked_pools_init(const rf_checked_options *options) {
  const rf_options *const o = options != NULL ? &options->settings : rf_options_of_process();
  rf_mode const mode = rf_mode_base(o->mode);
  rf_pool_watch_options watch;
  rf_pool_watch_options_default(&watch);
  watch.mode = rf_mode_name(mode);
  watch.fill = o->fill;
  sweeps_at_end = o->sweep;
  static rf_log_reporter log;
  rf_log_reporter_close(&log); /* that of an earlier call */
  if (o->pools && (mode == RF_MODE_GUARD || mode == RF_MODE_PAGE)) {
    watch.reporter = rf_choose_reporter(&log, options);
    return rf_pool_watch_start(&watch) == RF_OK ? mode : RF_MODE_OFF;
  }
  rf_pool_watch_stop();
  return RF_MODE_OFF;
}

#if RF_WATCH

/* ---- By itself: the first pool that begins asks for the options of the process ---- */

static void begin_first(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller);
static void begin_first_static(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                               const void *caller);

static void ignore(const rf_watched_pool *view, void *first, size_t count, const rf_site *site, const void *caller) {
  (void)view;
  (void)first;
  (void)count;
  (void)site;
  (void)caller;
}

static const rf_watcher first_watcher = {
    .begin = begin_first,
    .begin_static = begin_first_static,
    .end = ignore,
    .alloc = ignore,
    .claim = ignore,
    .free = ignore,
};

/* Two threads may come at once. */
static void replace_first_watcher(void) {
  static rf_mutex lock; /* zeroed static storage is a mutex on the ports at hand */
  rf_mutex_lock(&lock);
  if (__atomic_load_n(&rf_watcher_of_process, __ATOMIC_ACQUIRE) == &first_watcher) {
    (void)rf_checked_pools_init(NULL);
  }
  rf_mutex_unlock(&lock);
}

static void begin_first(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                        const void *caller) {
  replace_first_watcher();
  RF_WATCH_TELL(begin, *view, first, count, site, caller);
}

static void begin_first_static(const rf_watched_pool *view, void *first, size_t count, const rf_site *site,
                               const void *caller) {
  replace_first_watcher();
  RF_WATCH_TELL(begin_static, *view, first, count, site, caller);
}

__attribute__((constructor)) static void watch_from_start(void) {
  if (rf_watcher_of_process == NULL) {
    rf_watcher_of_process = &first_watcher;
  }
}

__attribute__((destructor)) static void sweep_at_end(void) {
  if (sweeps_at_end) {
    (void)rf_pool_watch_sweep();
  }
}

#endif
