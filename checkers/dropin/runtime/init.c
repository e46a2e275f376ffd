#define _GNU_SOURCE
#include "init.h"

#include "checkers/checked/mode_options.h"
#include "checkers/dropin/heap/cache.h"
#include "checkers/dropin/heap/walk.h"
#include "checkers/dropin/os/futex.h"
#include "checkers/dropin/os/pages.h"
#include "checkers/dropin/os/raw_syscall.h"
#include "process_reporter.h"
#include "thread.h"
#include "unmapped.h"

#include <ringfence/fault.h>
#include <ringfence/port.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkers/os/memory_tags.h"
#include "checkers/os/reserve_stack.h"
#include "checkers/os/stack_rules.h"
#include "checkers/shared/wrapper.h"

#define DEPOT_BYTES ((size_t)(sizeof(void *) > 4 ? 64 : 16) << 20)
#define DEPOT_OF_SAMPLES ((size_t)16 << 20) /* over months, in a large program */
#define DEPOT_OF_FEW ((size_t)4 << 20)      /* mode off */
#define DEPOT_LEAST ((size_t)256 << 10)
#define DEPOT_SHARE 64U /* one part in so many of a limited resource */

/* ---- Options ---- */

/* Refused frees of a heap that checks nothing: a finding in mode sample, in others a fault for the handler. */
static void refused(rf_status status, const void *ptr, const rf_origin *origin) {
  rf_fault const fault = {status, NULL, rf_heap_allocator(), ptr, NULL};
  if (rf_process.options.mode != RF_MODE_SAMPLE) {
    (void)rf_fault_raise(&fault);
    return;
  }
  rf_finding f;
  rf_finding_begin_refused(&f, &fault, "malloc", "sample", origin);
  rf_report(rf_process.guard_options.reporter, &f);
}

static void configure_heap(void) {
  rf_heap_options o = rf_heap_options_of(&rf_process.guard_options);
  if (!rf_process.checked) {
    o.checked = false;
    o.stack_depth = 0;
    o.depot = NULL;
  }
  o.order_seed = rf_process.options.order_seed;
  o.refused = refused;
  o.leaving = rf_unmapped_note;
  o.left = rf_unmapped_bad_free;
  rf_heap_configure(&o);
}

static bool cover(uintptr_t start, uintptr_t end, void *unused) {
  (void)unused;
  rf_memory_tags_cover(start, end - start);
  return true;
}

static void choose_depot(void) {
  rf_guard_options *const o = &rf_process.guard_options;
  o->depot = rf_process.lacks_depot ? NULL : &rf_process.depot;
  o->stack_depth = rf_process.lacks_depot ? 0 : o->stack_depth;
}

bool rf_process_configure(void) {
  const rf_options *const o = &rf_process.options;
  bool const done = rf_process_read_options();
  if (!done && rf_process.ready) {
    return false;
  }
  rf_process.checked = o->mode == RF_MODE_GUARD || o->mode == RF_MODE_PAGE || o->mode == RF_MODE_MTE;
  rf_process.report_rejected = o->rejected && o->mode != RF_MODE_OFF;
  rf_process.guard_options = rf_options_for_guard(o);
  choose_depot();
  rf_process.guard_options.reporter = &rf_process_reporter;
  rf_process_reporter_init();
  configure_heap();
  if (rf_memory_tags_on()) {
    (void)rf_heap_each_range(cover, NULL); /* blocks that were asked for before the options could be read */
  }
  if (!rf_process.checked && !o->halt) {
    rf_fault_handler_set(rf_fault_log, NULL);
  }
  return done;
}

/* A share of the limit, at most `most`. `result`: of getrlimit, whose first parameter has another type with each C
 * library; `limit`: what it wrote. */
static size_t share_of(int result, const struct rlimit *limit, size_t most) {
  bool const scarce = result == 0 && limit->rlim_cur / DEPOT_SHARE < most;
  return scarce ? (size_t)limit->rlim_cur / DEPOT_SHARE : most;
}

/* Address space may be scarce, and most of the depot is never touched. RLIMIT_DATA counts all that is mapped
 * writable. */
static size_t depot_bytes(void) {
  struct rlimit limit;
  size_t const most = rf_process.checked                          ? DEPOT_BYTES
                      : rf_process.options.mode == RF_MODE_SAMPLE ? DEPOT_OF_SAMPLES
                                                                  : DEPOT_OF_FEW;
  size_t const space = share_of(getrlimit(RLIMIT_AS, &limit), &limit, most);
  size_t const data = share_of(getrlimit(RLIMIT_DATA, &limit), &limit, most);
  return space < data ? space : data;
}

static void *depot_memory;

/* A limit that the program sets later finds most of the depot mapped and never used: the program has it back. What is
 * left has room for half as many stacks again. */
static bool shrink_depot(size_t wanted) {
  rf_stack_depot *const depot = &rf_process.depot;
  size_t const capacity = __atomic_load_n(&depot->capacity, __ATOMIC_RELAXED);
  size_t const used = __atomic_load_n(&depot->used, __ATOMIC_RELAXED);
  size_t const spare = used / 2 + DEPOT_LEAST;
  if (used + spare + wanted > capacity) {
    return false;
  }
  rf_record_table_cut(depot_memory, rf_stack_depot_shrink(depot, spare));
  return true;
}

static void open_depot(void) {
  size_t const share = depot_bytes();
  for (size_t size = share > DEPOT_LEAST ? share : DEPOT_LEAST; size >= DEPOT_LEAST; size /= 2) {
    void *const memory = rf_record_table(size);
    if (memory != NULL) {
      depot_memory = memory;
      (void)rf_stack_depot_init(&rf_process.depot, memory, size);
      rf_pages_on_refusal(shrink_depot);
      return;
    }
  }
  rf_process.lacks_depot = true;
  choose_depot();
}

/* By a system call of our own, as each process would hold 64 KiB of the C library's pages for its functions alone. */
static unsigned count_cores(void) {
  unsigned long words[sizeof(cpu_set_t) / sizeof(long)] = {0};
  long const bytes = rf_raw_syscall(SYS_sched_getaffinity, (const long[6]){0, sizeof words, (long)words});
  unsigned count = 0;
  for (long i = 0; i < bytes / (long)sizeof words[0]; i++) {
    count += (unsigned)__builtin_popcountl(words[i]);
  }
  return count != 0 ? count : 1;
}

/* Asks the C library neither for the process's number nor for the time: another library's functions may be in the place
 * of its own, and allocate. */
void rf_process_init(void) {
  static rf_futex lock;
  if (__atomic_load_n(&rf_process.ready, __ATOMIC_ACQUIRE)) {
    return;
  }
  rf_futex_lock(&lock);
  if (!rf_process.ready) {
    if (rf_process_refuse != NULL) {
      rf_process_refuse();
    }
    rf_process.id = (pid_t)rf_raw_syscall(SYS_getpid, (const long[6]){0});
    (void)rf_process_configure();
    open_depot();
    rf_reserve_stack_init(rf_record_table(RF_RESERVE_STACK_BYTES));
    configure_heap();
    rf_heap_init(count_cores());
    rf_thread_init();
    __atomic_store_n(&rf_process.ready, true, __ATOMIC_RELEASE);
  }
  rf_futex_unlock(&lock);
}
