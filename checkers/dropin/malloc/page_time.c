#define _GNU_SOURCE /* CLOCK_PROCESS_CPUTIME_ID */
#include "page_time.h"

#include "lib/core/compiler.h"

#include <errno.h>
#include <ringfence/port.h>
#include <time.h>

#define SAVED_NS 20000000U /* may be spent before there is a share of anything */
#define LOOK_NS 20000U     /* between two looks at the processor time, which are system calls */
#define WORK_MOST_NS 100000U
#define NO_LIMIT 100U

static struct {
  unsigned percent;
  bool settled;                     /* accessed atomically, as is the rest */
  uint64_t began_ns RF_ATOMIC_64;   /* of the clock */
  uint64_t looked_ns RF_ATOMIC_64;  /* the same, at the last look at the processor time */
  uint64_t allowed_ns RF_ATOMIC_64; /* what may be spent, by that look */
  uint64_t spent_ns RF_ATOMIC_64;
} pages = {.percent = NO_LIMIT};

void rf_page_time_begin(unsigned percent) {
  pages.percent = percent;
  pages.began_ns = rf_port_now_ns();
  pages.allowed_ns = SAVED_NS;
}

bool rf_page_time_is_limited(void) {
  return pages.percent < NO_LIMIT;
}

static uint64_t processor_ns(uint64_t now) {
  struct timespec used;
  int const saved = errno;
  bool const known =
      !__atomic_load_n(&pages.settled, __ATOMIC_RELAXED) && clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0;
  errno = saved;
  return known ? (uint64_t)used.tv_sec * 1000000000U + (uint64_t)used.tv_nsec
               : now - __atomic_load_n(&pages.began_ns, __ATOMIC_RELAXED);
}

bool rf_page_time_left(void) {
  uint64_t const spent = __atomic_load_n(&pages.spent_ns, __ATOMIC_RELAXED);
  if (spent < __atomic_load_n(&pages.allowed_ns, __ATOMIC_RELAXED)) {
    return true;
  }
  uint64_t const now = rf_port_now_ns();
  if (now - __atomic_load_n(&pages.looked_ns, __ATOMIC_RELAXED) < LOOK_NS) {
    return false;
  }
  uint64_t const allowed = SAVED_NS + processor_ns(now) / NO_LIMIT * pages.percent;
  __atomic_store_n(&pages.looked_ns, now, __ATOMIC_RELAXED);
  __atomic_store_n(&pages.allowed_ns, allowed, __ATOMIC_RELAXED);
  return spent < allowed;
}

uint64_t rf_page_time_enter(void) {
  return rf_page_time_is_limited() ? rf_port_now_ns() : 0;
}

/* Another process may have run meanwhile: no work takes much longer than WORK_MOST_NS. About as much is lost later,
 * when the program's own memory has to be fetched anew. */
void rf_page_time_leave(uint64_t entered) {
  if (rf_page_time_is_limited()) {
    uint64_t const work = rf_port_now_ns() - entered;
    uint64_t const counted = work < WORK_MOST_NS ? work : WORK_MOST_NS;
    __atomic_fetch_add(&pages.spent_ns, 2 * counted, __ATOMIC_RELAXED);
  }
}

void rf_page_time_forked(void) {
  if (!rf_page_time_is_limited()) {
    return;
  }
  __atomic_store_n(&pages.spent_ns, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&pages.allowed_ns, SAVED_NS, __ATOMIC_RELAXED);
  __atomic_store_n(&pages.began_ns, rf_port_now_ns(), __ATOMIC_RELAXED);
}

void rf_page_time_settle(void) {
  __atomic_store_n(&pages.settled, true, __ATOMIC_RELAXED);
}
