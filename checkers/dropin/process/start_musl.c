/* musl runs exit handlers before all destructors, and these in the reverse order of their libraries' beginnings: ours
 * come last. Behind them come only the flush of stdio and the end, which happen here where the status is another one:
 * exit cannot be called again. */
#define _GNU_SOURCE
#include "checkers/dropin/os/libc.h"
#include "lifecycle.h"
#include "start.h"
#include "stream_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool begun; /* not where the process was left to a sanitizer */

static void end(rf_process_ending ending) {
  int const status = rf_process_end(ending, -1);
  if (status != -1) {
    if (ending == RF_ENDING_EXIT) {
      (void)fflush(NULL);
    }
    (void)syscall(SYS_exit_group, status);
  }
}

__attribute__((destructor)) static void at_exit(void) {
  if (begun) {
    end(RF_ENDING_EXIT);
  }
}

static void at_quick_exit_(void) {
  end(RF_ENDING_ABRUPT);
}

/* The last exit handler, as it was registered first. From here on musl holds the loader's lock, which fork takes after
 * our preparation, and at the end it flushes all streams: no other thread may be inside fork, or get there. */
static void end_forks(void) {
  (void)rf_stream_list_lock();
}

void rf_start_of_libc(void) {
  begun = true;
  rf_libc_init();
  (void)atexit(end_forks);
  (void)at_quick_exit(at_quick_exit_);
}
