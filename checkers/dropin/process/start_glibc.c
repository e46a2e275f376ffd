/* Exit handlers run in reverse order, so the end that is registered here comes after the program's exit handlers
 * and, but for static programs, after the destructors of all its libraries. */
#define _GNU_SOURCE
#include "fork.h"
#include "intercept_files.h"
#include "lifecycle.h"
#include "start.h"
#include "unloaded_places.h"

#include <stdlib.h>
#include <unistd.h>

/* The C library's, as the C++ ABI has them. `library` NULL: the program, not a library. */
int __cxa_atexit(void (*function)(void *), void *argument, void *library);
int __cxa_at_quick_exit(void (*function)(void *), void *library) __attribute__((weak));

/* Runs inside exit(). To call exit again from there goes on where it stood, with another status; then come the flush of
 * stdio and the end, as if the program had asked for that status. */
static void at_exit(void *unused) {
  (void)unused;
#if RF_DROPIN_LIBRARY
  rf_intercept_transfer_end();
  rf_intercept_descriptors_end();
  rf_intercept_glibc_end();
  rf_intercept_calls_end();
#endif
  int const status = rf_process_end(RF_ENDING_EXIT, -1);
  if (status != -1) {
    exit(status);
  }
}

static void at_quick_exit_(void *unused) {
  (void)unused;
  int const status = rf_process_end(RF_ENDING_ABRUPT, -1);
  if (status != -1) {
    _exit(status);
  }
}

#if RF_DROPIN_LIBRARY
/* In the child of a fork other threads had these locks. */
static void forked(void) {
  rf_dlclose_forked();
  rf_unloaded_places_forked();
}
#endif

void rf_start_of_libc(void) {
#if RF_DROPIN_LIBRARY
  rf_fork_child_also(forked);
  rf_intercept_glibc_init();
  rf_intercept_calls_init();
  rf_intercept_closed_init();
  rf_intercept_fortify_init();
  rf_intercept_sync_init();
#endif
  (void)__cxa_atexit(at_exit, NULL, NULL);
  if (__cxa_at_quick_exit != NULL) {
    (void)__cxa_at_quick_exit(at_quick_exit_, NULL);
  }
}
