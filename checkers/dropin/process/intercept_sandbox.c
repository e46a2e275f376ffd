/* Interception of calls by which a program restricts what it may call or open (prctl, syscall). The library then does
 * without what would end the program (checkers/os/forbidden_calls.h), among it a call of mode page that sandboxes do
 * not expect (checkers/page/page_mover.c). Only in the library. */
#define _GNU_SOURCE /* syscall, CLONE_NEWNS */
#include "intercept_files.h"

#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/malloc/forward.h"
#include "checkers/dropin/malloc/page_time.h"
#include "checkers/dropin/os/raw_syscall.h"
#include "checkers/dropin/runtime/output.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/sandbox.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/host.h"
#include "checkers/page/page_store.h"
#include "intercept.h"
#include "intercept_clone.h"
#include "lib/core/compiler.h"
#include "lifecycle.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static __typeof__(&prctl) next_prctl;

void rf_intercept_sandbox_init(void) {
  next_prctl = THEIRS(prctl);
}

static int their_prctl(int option, const unsigned long argument[4]) {
  return next_prctl != NULL ? next_prctl(option, argument[0], argument[1], argument[2], argument[3])
                            : (int)syscall(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}

#define MODE_STRICT 1
#define MODE_FILTER 2
#define SMALL_MOST ((size_t)4096)

/* Memory for small blocks, where nobody may ask for any later: glibc's malloc has some, too. */
static void make_heap_ready(void) {
  rf_origin const origin = RF_CALLER;
  rf_cache *const cache = rf_enter();
  for (size_t size = RF_ALIGN_DEFAULT; cache != NULL && size <= SMALL_MOST; size += RF_ALIGN_DEFAULT) {
    void *const block = rf_cache_malloc(cache, size, RF_FAMILY_MALLOC, &origin);
    if (block != NULL) {
      (void)rf_cache_free(cache, block, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
    }
  }
  if (cache != NULL) {
    rf_leave(cache);
  }
}

/* The first walk of the unwinder wakes threads that might wait for it (futex). */
static void make_findings_ready(void) {
  uintptr_t frame;
  rf_host_keep();
  (void)rf_host_unwind(&frame, 1);
}

/* Before the program restricts itself, by prctl or the call of its own. */
static void prepare_sandbox(unsigned long mode, const void *filter) {
  bool const has_memory = rf_is_forbidden(RF_CALL_MMAP); /* as much as it will ever have: it is in one already */
  if (rf_process.checked && !has_memory && !rf_sandbox_gives_memory(mode, filter)) {
    make_heap_ready();
  }
  rf_page_store_settle();
  rf_page_time_settle();
  rf_output_keep_log();
  rf_page_signals_keep(true);
  make_findings_ready();
  rf_forward_settle();
}

static void entered_sandbox(bool done, unsigned long mode, const void *filter) {
  if (done) {
    rf_sandbox_entered(mode, filter);
  } else {
    rf_page_signals_keep(false);
  }
}

static int enter_sandbox(const unsigned long argument[4]) {
  prepare_sandbox(argument[0], (const void *)argument[1]);
  int const result = their_prctl(PR_SET_SECCOMP, argument);
  entered_sandbox(result == 0, argument[0], (const void *)argument[1]);
  return result;
}

RF_COLD RF_EXPORT int prctl(int option, ...) {
  unsigned long argument[4];
  va_list list;
  va_start(list, option);
  for (unsigned i = 0; i < 4; i++) {
    argument[i] = va_arg(list, unsigned long);
  }
  va_end(list);
  if (option == PR_SET_NO_NEW_PRIVS) {
    rf_page_store_settle();
    rf_page_time_settle();
  }
  if (option == PR_SET_SECCOMP) {
    return enter_sandbox(argument);
  }
  return their_prctl(option, argument);
}

/* ---- syscall: libraries for sandboxes enter them by it ---- */

#define SET_STRICT 0
#define SET_FILTER 1

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

/* True for a call that changes which files a process may open, or finds: Landlock's, or one that makes a child with
 * mounts of its own, as Bubblewrap does. */
static bool changes_files(long number, unsigned long what) {
  return number == SYS_landlock_restrict_self || (number == SYS_clone && (what & (CLONE_NEWNS | CLONE_NEWUSER)) != 0);
}

/* Such a call ends no process: the log stays open, and what findings need is read before. */
static void prepare_files(void) {
  rf_output_keep_log();
  make_findings_ready();
}

static bool enters_sandbox(long number, unsigned long what) {
  return number == SYS_seccomp && (what == SET_STRICT || what == SET_FILTER);
}

RF_EXPORT long syscall(long number, ...) {
  long argument[6];
  va_list list;
  va_start(list, number);
  for (unsigned i = 0; i < 6; i++) {
    argument[i] = va_arg(list, long);
  }
  va_end(list);
  bool const enters = enters_sandbox(number, (unsigned long)argument[0]);
  unsigned long const mode = argument[0] == SET_STRICT ? MODE_STRICT : MODE_FILTER;
  if (enters) {
    prepare_sandbox(mode, (const void *)argument[2]);
  } else if (changes_files(number, (unsigned long)argument[0])) {
    prepare_files();
  }
  if (RF_UNLIKELY(rf_call_forks(number, argument))) {
    return rf_call_fork(number, argument);
  }
  if (RF_UNLIKELY(rf_call_executes(number))) {
    return rf_call_execute(number, argument);
  }
  if (RF_UNLIKELY(rf_call_ends(number))) {
    argument[0] = rf_process_end(RF_ENDING_ABRUPT, (int)argument[0]);
  }
  long const result = rf_syscall_errno(number, argument); /* the drop-in's own calls come here too, however early */
  if (enters) {
    entered_sandbox(result >= 0, mode, (const void *)argument[2]);
  }
  return result;
}
