#define _GNU_SOURCE
#include "forward.h"

#include "checkers/dropin/runtime/caller.h"
#include "checkers/dropin/runtime/own_cache.h"
#include "checkers/dropin/runtime/signals.h"
#include "checkers/dropin/runtime/state.h"
#include "checkers/dropin/runtime/steering.h"
#include "checkers/os/host.h"
#include "guarded_blocks.h"
#include "reject.h"

#include <errno.h>
#include <ringfence/port.h>
#include <string.h>
#include <unistd.h>

#define EARLY_BYTES ((size_t)16 * 1024)
#define SAMPLE_EVERY_NS ((uint64_t)4000 * 1000) /* of a thread, at least, and of the process before its first */

rf_forward_state rf_forward = {.low = 0, .last = SIZE_MAX};
RF_THREAD_LOCAL int32_t rf_forward_left;

/* The countdown to a sample in runs that report requests which cannot be served: each request is looked at there. */
static RF_THREAD_LOCAL int32_t left_unseen;

static RF_THREAD_LOCAL uint64_t sampled; /* when, in nanoseconds */

static uintptr_t last_sampled; /* low word of when any thread's last one was; accessed atomically */

static uintptr_t first_break; /* the program break when the process began; 0: there is no other malloc */

/* ---- Early requests ---- */

typedef struct early_block {
  _Alignas(RF_ALIGN_DEFAULT) size_t size;
} early_block;

static struct {
  _Alignas(RF_ALIGN_DEFAULT) unsigned char bytes[EARLY_BYTES];
  size_t used; /* accessed atomically */
} early;

static void *early_alloc(size_t size, size_t align) {
  size_t const most = sizeof early.bytes - sizeof(early_block);
  if (align > most || size > most - align) {
    return NULL;
  }
  size_t const whole = (sizeof(early_block) + align + size + RF_ALIGN_DEFAULT - 1) & ~(RF_ALIGN_DEFAULT - 1);
  size_t const at = __atomic_fetch_add(&early.used, whole, __ATOMIC_RELAXED);
  if (at > sizeof early.bytes - whole) {
    __atomic_fetch_sub(&early.used, whole, __ATOMIC_RELAXED);
    return NULL;
  }
  uintptr_t const start = (uintptr_t)early.bytes + at + sizeof(early_block);
  unsigned char *const block = (unsigned char *)((start + align - 1) & ~(uintptr_t)(align - 1));
  ((early_block *)(void *)block)[-1].size = size;
  return block;
}

bool rf_forward_is_early(const void *ptr, size_t *size) {
  if ((uintptr_t)ptr - (uintptr_t)early.bytes >= sizeof early.bytes) {
    return false;
  }
  *size = ((const early_block *)ptr)[-1].size;
  return true;
}

/* ---- The range of our blocks ---- */

/* A block outside is the first one: the address space of sampled blocks is reserved as a whole, and could not be had
 * at the beginning. */
void *rf_forward_include(void *block) {
  if (block != NULL && rf_forward_is_others(block)) {
    __atomic_store_n(&rf_forward.last, SIZE_MAX, __ATOMIC_RELAXED);
    __atomic_store_n(&rf_forward.low, 0, __ATOMIC_RELEASE);
  }
  return block;
}

/* To the spaces of sampled blocks and, where there were such requests, the early area. Not if a request came before the
 * options were known, so that there are arenas; nor if requests that cannot be served are reported, since each realloc
 * is looked at then. */
static void limit_to_sampled(void) {
  if (rf_cache_total() != 0 || rf_process.report_rejected) {
    return;
  }
  uintptr_t const area = (uintptr_t)early.bytes;
  uintptr_t low = rf_page_all.low;
  uintptr_t end = low + rf_page_all.size;
  if (early.used != 0) {
    bool const alone = rf_page_all.size == 0;
    low = alone || area < low ? area : low;
    end = alone || area + sizeof early.bytes > end ? area + sizeof early.bytes : end;
  }
  rf_forward.low = low;
  rf_forward.last = end - low - (end != low);
}

/* ---- The beginning ---- */

void rf_forward_begin(const rf_options *options) {
  bool const bare = options->mode == RF_MODE_OFF || options->mode == RF_MODE_SAMPLE;
  bool const wanted = bare && options->heap == RF_HEAP_NEXT && options->trace == NULL;
  rf_forward.now = wanted ? RF_FORWARD_SOON : RF_FORWARD_NOTHING;
  bool const found = rf_next_malloc_find(&rf_forward.next);
  if (found && wanted) {
    rf_next_malloc_find_libc(&rf_forward.next, &rf_forward.libc);
  }
  rf_forward.now = found && wanted ? RF_FORWARD_ON : RF_FORWARD_NOTHING;
  first_break = found ? (uintptr_t)sbrk(0) : 0;
}

void rf_forward_own(void (*call)(void)) {
  rf_forwarding const before = rf_forward.now;
  rf_forward.now = before == RF_FORWARD_NOTHING ? RF_FORWARD_SOON : before;
  call();
  rf_forward.now = before;
}

void rf_forward_begin_sampling(void) {
  rf_forward_left = 0;
  left_unseen = 0;
  if (rf_forward.now == RF_FORWARD_ON) {
    limit_to_sampled();
  }
}

void rf_forward_settle(void) {
  if (rf_forward.now == RF_FORWARD_ON) {
    rf_forward.next.free(rf_forward.next.malloc(1));
  }
}

/* ---- Requests ---- */

/* A sampled block costs some microseconds. If allocations come so close together that this would show, fewer are
 * sampled; not if the options ask for more, or for the same ones in every run. A thread's first one has to wait for
 * those of others: threads may be many, and short. */
static bool is_too_soon(void) {
  const rf_options *const o = &rf_process.options;
  bool const limited = __atomic_load_n(&rf_steering_now.limited, __ATOMIC_RELAXED);
  if (o->sample_seed != 0 || (o->sample_rate < RF_SAMPLE_RATE_DEFAULT && !limited)) {
    return false;
  }
  uint64_t const now = rf_port_now_ns();
  bool const first = sampled == 0;
  uintptr_t const others = __atomic_load_n(&last_sampled, __ATOMIC_RELAXED);
  return first ? others != 0 && (uintptr_t)now - others < SAMPLE_EVERY_NS : now - sampled < SAMPLE_EVERY_NS;
}

static void spend_time(void) {
  sampled = rf_port_now_ns();
  __atomic_store_n(&last_sampled, (uintptr_t)sampled, __ATOMIC_RELAXED);
}

/* Once in each thread, at its first request: the threads that the C library starts for timers (SIGEV_THREAD) have no
 * block of ours, and the mask of the one that starts them, in which all signals are blocked. */
static void open_faults(void) {
  static RF_THREAD_LOCAL bool done;
  if (!done) {
    done = true;
    rf_signals_open_faults();
  }
}

/* After the countdown, or in its place. */
static bool is_sampled(void) {
  int32_t *const left = rf_process.report_rejected ? &left_unseen : &rf_forward_left;
  if (*left > 0) {
    --*left;
    return false;
  }
  int32_t next = 0;
  open_faults();
  bool const due = rf_guarded_blocks_draw(&next);
  *left = next > 0 ? next - 1 : 0;
  return due && !is_too_soon();
}

/* NULL where it is not its turn, or there is no room. */
static void *sample(const rf_page_request *request, const rf_origin *origin) {
  rf_caller_trace called;
  if (RF_LIKELY(!is_sampled())) {
    return NULL;
  }
  int const saved = errno;
  const rf_origin *const caller = rf_caller_of(origin, &called);
  void *block = NULL;
  if (rf_guarded_blocks_want_site(caller)) {
    spend_time();
    block = rf_forward_include(rf_guarded_blocks_alloc(request, caller));
  }
  errno = saved;
  return block;
}

/* NULL, with errno set, where the early area is full. */
static void *give_early(size_t size, size_t align) {
  void *const block = early_alloc(size, align);
  errno = block == NULL ? ENOMEM : errno;
  return block;
}

void *rf_forward_sample(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (RF_UNLIKELY(size > RF_SIZE_LIMIT)) {
    return rf_malloc_reject(RF_REJECT_SIZE, size, align, ENOMEM, origin);
  }
  rf_page_request const request = {.size = size, .align = align, .family = family};
  return sample(&request, origin);
}

/* Some mallocs align blocks below RF_ALIGN_DEFAULT bytes to their size alone: enough for malloc, but not for a C++ type
 * that asks for more. */
static void *alloc_next(size_t size, size_t align, rf_family family) {
  bool const plain = align <= RF_ALIGN_DEFAULT && (size >= RF_ALIGN_DEFAULT || family == RF_FAMILY_MALLOC);
  return plain ? rf_forward.next.malloc(size) : rf_forward.next.memalign(align, size != 0 ? size : 1);
}

void *rf_forward_alloc(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (RF_UNLIKELY(rf_forward.now == RF_FORWARD_SOON)) {
    return give_early(size, align);
  }
  void *const block = rf_forward_sample(size, align, family, origin);
  return block != NULL ? block : alloc_next(size, align, family);
}

void *rf_forward_zalloc(size_t count, size_t size, const rf_origin *origin) {
  size_t total;
  void *block = NULL;
  bool const fits = rf_mul(count, size, &total);
  if (RF_UNLIKELY(rf_forward.now == RF_FORWARD_SOON)) {
    return give_early(fits ? total : SIZE_MAX, RF_ALIGN_DEFAULT);
  }
  if (RF_UNLIKELY(!fits)) {
    (void)rf_malloc_reject(RF_REJECT_OVERFLOW, size, count, ENOMEM, origin);
  } else if (RF_UNLIKELY(total > RF_SIZE_LIMIT)) {
    (void)rf_malloc_reject(RF_REJECT_SIZE, total, RF_ALIGN_DEFAULT, ENOMEM, origin);
  } else {
    rf_page_request const request = {.size = total, .align = RF_ALIGN_DEFAULT, .zeroed = true};
    block = sample(&request, origin);
  }
  return block != NULL ? block : rf_forward.next.calloc(count, size);
}

bool rf_forward_is_ours(const void *ptr) {
  size_t size;
  return rf_forward.now != RF_FORWARD_ON || rf_guarded_blocks_own(ptr) || rf_span_holding((uintptr_t)ptr) != NULL ||
         rf_forward_is_early(ptr, &size);
}

bool rf_forward_free(void *ptr) {
  bool const others = !rf_forward_is_ours(ptr);
  if (others) {
    rf_forward.next.free(ptr);
  }
  return others;
}

bool rf_forward_realloc(void *ptr, size_t size, const rf_origin *origin, void **moved) {
  if (rf_forward_is_ours(ptr)) {
    return false;
  }
  if (RF_UNLIKELY(size > RF_SIZE_LIMIT)) {
    (void)rf_malloc_reject(RF_REJECT_SIZE, size, RF_ALIGN_DEFAULT, ENOMEM, origin);
  }
  *moved = rf_forward.next.realloc(ptr, size);
  return true;
}

/* ---- Blocks of another malloc ---- */

#if defined(__GLIBC__)

/* glibc has two words before each block there: the second is its size and three bits, as of the next block. */
#define HEADER (2 * sizeof(size_t))
#define BEFORE_IN_USE ((size_t)1)
#define NEVER_THERE ((size_t)6) /* of a mapping, of another heap than that of the break */
#define BITS (BEFORE_IN_USE | NEVER_THERE)

static size_t head_of(uintptr_t block) {
  size_t head;
  memcpy(&head, (const void *)(block - sizeof head), sizeof head);
  return head;
}

static bool has_head(uintptr_t block, uintptr_t end) {
  return block >= first_break + HEADER && block <= end && rf_host_readable((const void *)(block - HEADER), HEADER);
}

/* Memory that the program took from the break by sbrk is none: free would crash in glibc, or do damage unseen. */
static bool looks_like_a_block(uintptr_t block, uintptr_t end) {
  if (block % HEADER != 0 || !has_head(block, end)) {
    return false;
  }
  size_t const head = head_of(block);
  size_t const size = head & ~BITS;
  return (head & NEVER_THERE) == 0 && size >= 2 * HEADER && size % HEADER == 0 && size <= end - block &&
         has_head(block + size, end) && (head_of(block + size) & BEFORE_IN_USE) != 0;
}

#else

static bool looks_like_a_block(uintptr_t block, uintptr_t end) {
  (void)block;
  (void)end;
  return true;
}

#endif

static bool is_block_of_break(uintptr_t block) {
  if (first_break == 0 || block < first_break) {
    return false;
  }
  uintptr_t const end = (uintptr_t)sbrk(0);
  return block < end && looks_like_a_block(block, end);
}

/* A library does not tell where its other functions keep their blocks: any allocated memory may hold one. */
bool rf_forward_is_foreign(const void *ptr) {
  uintptr_t const block = (uintptr_t)ptr;
  return is_block_of_break(block) ||
         (rf_forward.next.has_others && block % sizeof(void *) == 0 && rf_host_is_allocated_memory(ptr));
}
