/* The beginning of the process, before anything else of it runs: the library is loaded with -z initfirst; linked into a
 * program, this is in .preinit_array.
 *
 * Exit handlers run in reverse order, so the end that is registered here comes after the program's exit handlers
 * and, but for static programs, after the destructors of all its libraries. */
#define _GNU_SOURCE
#include "exec_target.h"
#include "intercept_files.h"
#include "lifecycle.h"
#include "sanitizer_check.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* The C library's, as the C++ ABI has them. `library` NULL: the program, not a library. */
int __cxa_atexit(void (*function)(void *), void *argument, void *library);
int __cxa_at_quick_exit(void (*function)(void *), void *library) __attribute__((weak));

/* Runs inside exit(). To call exit again from there goes on where it stood, with another status; then come the flush of
 * stdio and the end, as if the program had asked for that status. */
static void at_exit(void *unused) {
  (void)unused;
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

static void begin(int argc, char **argv, char **environment) {
  (void)argc;
  (void)argv;
  if (environ == NULL) {
    environ = environment; /* this early the C library has not set it */
  }
#if RF_DROPIN_LIBRARY
  rf_intercept_transfer_begin();
#endif
  if (rf_sanitizer_leave()) {
    return;
  }
  rf_process_begin(RF_DROPIN_LIBRARY != 0);
#if RF_DROPIN_LIBRARY
  rf_intercept_files_init();
  rf_intercept_limits_init();
  rf_intercept_transfer_init();
  rf_exec_target_init();
#endif
  (void)__cxa_atexit(at_exit, NULL, NULL);
  if (__cxa_at_quick_exit != NULL) {
    (void)__cxa_at_quick_exit(at_quick_exit_, NULL);
  }
}

#if RF_DROPIN_LIBRARY
#define SECTION ".init_array"
#else
#define SECTION ".preinit_array" /* of programs only */
#endif

__attribute__((section(SECTION), used)) static void (*const entry)(int, char **, char **) = begin;
