/* The beginning of the process, before anything else of it runs: the library is loaded with -z initfirst, or by a
 * loader that begins with what is preloaded first and needs nothing but the C library (musl's); linked into a program,
 * this is in .preinit_array. */
#define _GNU_SOURCE
#include "start.h"
#include "exec_target.h"
#include "intercept_clone.h"
#include "intercept_files.h"
#include "lifecycle.h"
#include "sanitizer_check.h"

#include <unistd.h>

static void begin(int argc, char **argv, char **environment) {
  (void)argc;
  (void)argv;
  if (environ == NULL) {
    environ = environment; /* this early glibc has not set it; musl has, and passes no arguments */
  }
#if RF_DROPIN_LIBRARY
  rf_intercept_transfer_begin();
#endif
  if (rf_sanitizer_leave()) {
    return;
  }
  rf_process_begin(RF_DROPIN_LIBRARY != 0);
  rf_start_of_libc();
#if RF_DROPIN_LIBRARY
  rf_intercept_files_init();
  rf_intercept_descriptors_init();
  rf_intercept_sandbox_init();
  rf_intercept_clone_init();
  rf_intercept_mappings_init();
  rf_intercept_transfer_init();
  rf_intercept_signal_init();
  rf_exec_target_init();
#endif
}

#if RF_DROPIN_LIBRARY
#define SECTION ".init_array"
#else
#define SECTION ".preinit_array" /* of programs only */
#endif

__attribute__((section(SECTION), used)) static void (*const entry)(int, char **, char **) = begin;
