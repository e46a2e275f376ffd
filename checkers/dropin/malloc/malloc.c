#define _GNU_SOURCE
/* C's allocation functions as glibc has them, with its limits and errno, in one table of thin fronts.
 *
 *  - malloc(0) and calloc with a product of 0 give a block of no bytes that is like no other; realloc(p, 0) frees;
 *  - nothing above PTRDIFF_MAX is served: NULL, ENOMEM; a calloc or reallocarray that wraps: the same;
 *  - aligned_alloc and posix_memalign refuse an alignment that is no power of two with EINVAL (posix_memalign also one
 *    that is no multiple of sizeof(void *), by returning it); memalign rounds it up, as ever;
 *  - free leaves errno alone.
 *
 * In modes that hand requests on, the next malloc's contract holds instead. Each front then ends in a jump to it.
 */
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/os/pages.h"
#include "forward.h"
#include "guarded_blocks.h"
#include "malloc_impl.h"
#include "reject.h"
#include "short_way.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

RF_EXPORT void *malloc(size_t size);
RF_EXPORT void *calloc(size_t count, size_t size);
RF_EXPORT void *realloc(void *ptr, size_t size);
RF_EXPORT void *reallocarray(void *ptr, size_t count, size_t size);
RF_EXPORT void free(void *ptr);
RF_EXPORT void cfree(void *ptr);
RF_EXPORT void free_sized(void *ptr, size_t size);
RF_EXPORT void free_aligned_sized(void *ptr, size_t align, size_t size);
RF_EXPORT void *aligned_alloc(size_t align, size_t size);
RF_EXPORT int posix_memalign(void **out, size_t align, size_t size);
RF_EXPORT void *memalign(size_t align, size_t size);
RF_EXPORT void *valloc(size_t size);
RF_EXPORT void *pvalloc(size_t size);
RF_EXPORT size_t malloc_usable_size(void *ptr);

/* The address that all others see, and ours. Volatile: a compiler may take the two for the same, and clang makes ours
 * part of those who call the function by its name. */
extern void *own_malloc(size_t size) __attribute__((alias("malloc"), visibility("hidden")));
static void *(*volatile const visible_malloc)(size_t size) = malloc;
static void *(*volatile const visible_realloc)(void *ptr, size_t size) = realloc;
static void (*volatile const visible_free)(void *ptr) = free;

static bool intercepted;

/* The address is another, and leads to another: found out once, at the beginning. */
RF_RARE static bool is_other(void) {
  static enum { NOT_KNOWN, OURS, OTHER } whose;
  if (whose == NOT_KNOWN) {
    whose = rf_libc_is_jump((uintptr_t)visible_malloc) ? OURS : OTHER;
  }
  return whose == OTHER;
}

bool rf_malloc_is_replaced(void) {
  return (visible_malloc != own_malloc && is_other()) || intercepted;
}

static bool entered;

static void *note_entry(size_t size) {
  (void)size;
  entered = true;
  return NULL;
}

/* A request that our malloc would hand on: it does not where another one answers to the same address. */
bool rf_malloc_find_interception(void) {
  void *(*const next)(size_t) = rf_forward.next.malloc;
  int32_t const left = rf_forward_left;
  if (rf_malloc_is_replaced()) {
    return false;
  }
  entered = false;
  rf_forward.next.malloc = note_entry;
  rf_forward_left = 1;
  void *const block = visible_malloc(1);
  rf_forward_left = left;
  rf_forward.next.malloc = next;
  intercepted = !entered;
  if (intercepted) {
    visible_free(block);
  }
  return intercepted;
}

void *malloc(size_t size) {
  if (rf_forward_counts()) {
    return rf_forward.next.malloc(size);
  }
  return rf_short_alloc_here(size, RF_FAMILY_MALLOC, true);
}

void *calloc(size_t count, size_t size) {
  if (rf_forward_counts()) {
    return rf_forward.next.calloc(count, size);
  }
  rf_origin const origin = RF_CALLER;
  return rf_malloc_impl_zalloc(count, size, &origin);
}

void *realloc(void *ptr, size_t size) {
  if (rf_forward_is_others(ptr) && (ptr != NULL || rf_forward_counts())) {
    return rf_forward.next.realloc(ptr, size);
  }
  rf_origin const origin = RF_CALLER;
  return rf_malloc_impl_realloc(ptr, size, &origin);
}

void *reallocarray(void *ptr, size_t count, size_t size) {
  rf_origin const origin = RF_CALLER;
  size_t total;
  if (!rf_mul(count, size, &total)) {
    return rf_malloc_reject(RF_REJECT_OVERFLOW, size, count, ENOMEM, &origin);
  }
  return rf_malloc_is_replaced() ? visible_realloc(ptr, total) : rf_malloc_impl_realloc(ptr, total, &origin);
}

void free(void *ptr) {
  if (rf_forward_is_others(ptr)) {
    rf_forward.next.free(ptr);
    return;
  }
  rf_short_free_here(ptr, RF_FAMILY_MALLOC, SIZE_MAX, true);
}

void cfree(void *ptr) {
  if (rf_forward_is_others(ptr)) {
    rf_forward.next.free(ptr);
    return;
  }
  rf_origin const origin = RF_CALLER;
  rf_malloc_impl_free(ptr, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
}

/* C23's. The size must be the one that was requested. The alignment of a request is not kept, so it is not compared. */
void free_sized(void *ptr, size_t size) {
  if (rf_forward_is_others(ptr)) {
    rf_forward.next.free(ptr);
    return;
  }
  rf_origin const origin = RF_CALLER;
  rf_malloc_impl_free(ptr, RF_FAMILY_MALLOC, size, &origin);
}

void free_aligned_sized(void *ptr, size_t align, size_t size) {
  if (rf_forward_is_others(ptr)) {
    rf_forward.next.free(ptr);
    return;
  }
  rf_origin const origin = RF_CALLER;
  (void)align;
  rf_malloc_impl_free(ptr, RF_FAMILY_MALLOC, size, &origin);
}

/* Less than malloc's alignment is never given: programs rely on it. */
static void *aligned(size_t align, size_t size, const rf_origin *origin) {
  return rf_malloc_impl_alloc(size, rf_guarded_blocks_align(align), RF_FAMILY_MALLOC, origin);
}

/* NULL where the request is the next malloc's. */
static void *sampled(size_t align, size_t size, const rf_origin *origin) {
  if (!rf_is_pow2(align)) {
    return rf_malloc_reject(RF_REJECT_ALIGN, size, align, errno, origin); /* which is that malloc's to set */
  }
  return rf_forward_sample(size, rf_guarded_blocks_align(align), RF_FAMILY_MALLOC, origin);
}

void *aligned_alloc(size_t align, size_t size) {
  rf_origin const origin = RF_CALLER;
  if (rf_forward.now == RF_FORWARD_ON) {
    void *const block = sampled(align, size, &origin);
    return block != NULL ? block : rf_forward.next.aligned_alloc(align, size);
  }
  return rf_is_pow2(align) ? aligned(align, size, &origin)
                           : rf_malloc_reject(RF_REJECT_ALIGN, size, align, EINVAL, &origin);
}

static int write_aligned(void **out, size_t align, size_t size, const rf_origin *origin) {
  int const saved = errno;
  int error = 0;
  if (!rf_is_pow2(align) || align % sizeof(void *) != 0) {
    (void)rf_malloc_reject(RF_REJECT_ALIGN, size, align, EINVAL, origin);
    error = EINVAL;
  } else {
    void *const p = aligned(align, size, origin);
    if (p != NULL) {
      *out = p;
    } else {
      error = ENOMEM;
    }
  }
  errno = error == ENOMEM ? ENOMEM : saved; /* as the C library's has it, though POSIX does not ask for it */
  return error;
}

int posix_memalign(void **out, size_t align, size_t size) {
  rf_origin const origin = RF_CALLER;
  if (rf_forward.now != RF_FORWARD_ON) {
    return write_aligned(out, align, size, &origin);
  }
  void *const block = align % sizeof(void *) == 0 ? sampled(align, size, &origin)
                                                  : rf_malloc_reject(RF_REJECT_ALIGN, size, align, errno, &origin);
  if (block == NULL) {
    return rf_forward.next.posix_memalign(out, align, size);
  }
  *out = block;
  return 0;
}

static void *rounded_up(size_t align, size_t size, const rf_origin *origin) {
  size_t const power = rf_next_power_above(align);
  if (power == 0) {
    return rf_malloc_reject(RF_REJECT_ALIGN, size, align, EINVAL, origin);
  }
  return aligned(power, size, origin);
}

static void *rounded_up_anywhere(size_t align, size_t size, const rf_origin *origin) {
  if (rf_forward.now != RF_FORWARD_ON) {
    return rounded_up(align, size, origin);
  }
  size_t const power = rf_next_power_above(align);
  void *const block = sampled(power != 0 ? power : align, size, origin);
  return block != NULL ? block : rf_forward.next.memalign(align, size);
}

void *memalign(size_t align, size_t size) {
  rf_origin const origin = RF_CALLER;
  return rounded_up_anywhere(align, size, &origin);
}

void *valloc(size_t size) {
  rf_origin const origin = RF_CALLER;
  return rounded_up_anywhere(rf_pages_round(1), size, &origin);
}

void *pvalloc(size_t size) {
  rf_origin const origin = RF_CALLER;
  size_t const page = rf_pages_round(1);
  size_t whole;
  if (!rf_round_up(size, page, &whole)) {
    return rf_malloc_reject(RF_REJECT_SIZE, size, page, ENOMEM, &origin);
  }
  return rounded_up_anywhere(page, whole, &origin);
}

/* The requested size, to the byte: a program may write as much as this says. */
size_t malloc_usable_size(void *ptr) {
  if (rf_forward_is_others(ptr)) {
    return rf_forward.next.usable_size(ptr);
  }
  rf_origin const origin = RF_CALLER;
  return rf_malloc_impl_usable_size(ptr, &origin);
}

/* The C library's own would do, but the block would then seem to come from inside the C library. */
static char *copy(const char *text, size_t length, const rf_origin *origin) {
  char *const p = rf_malloc_is_replaced()
                      ? visible_malloc(length + 1)
                      : rf_malloc_impl_alloc(length + 1, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, origin);
  if (p != NULL) {
    memcpy(p, text, length);
    p[length] = '\0';
  }
  return p;
}

RF_EXPORT char *strdup(const char *s) {
  rf_origin const origin = RF_CALLER;
  return copy(s, strlen(s), &origin);
}

RF_EXPORT char *strndup(const char *string, size_t n) {
  rf_origin const origin = RF_CALLER;
  return copy(string, strnlen(string, n), &origin);
}

/* ---- glibc's own names ----
 *
 * Some programs call these directly; all must come from one malloc. A malloc behind ours may be built on them, so what
 * is handed on goes where it would without us, and is never sampled: that malloc may give out other addresses than it
 * gets. */

#define RF_LIBC(name, parameters, theirs, own)                                                                         \
  RF_EXPORT void *name parameters;                                                                                     \
  void *name parameters {                                                                                              \
    rf_origin const origin = RF_CALLER;                                                                                \
    return rf_forward.now == RF_FORWARD_ON ? (theirs) : (own);                                                         \
  }

RF_LIBC(__libc_malloc, (size_t size), rf_forward.libc.malloc(size),
        rf_malloc_impl_alloc(size, RF_ALIGN_DEFAULT, RF_FAMILY_MALLOC, &origin))
RF_LIBC(__libc_calloc, (size_t count, size_t size), rf_forward.libc.calloc(count, size),
        rf_malloc_impl_zalloc(count, size, &origin))
RF_LIBC(__libc_memalign, (size_t align, size_t size), rf_forward.libc.memalign(align, size),
        rounded_up(align, size, &origin))
RF_LIBC(__libc_valloc, (size_t size), rf_forward.libc.memalign(rf_pages_round(1), size),
        aligned(rf_pages_round(1), size, &origin))

RF_EXPORT void *__libc_pvalloc(size_t size);
void *__libc_pvalloc(size_t size) {
  rf_origin const origin = RF_CALLER;
  size_t whole;
  if (!rf_round_up(size, rf_pages_round(1), &whole)) {
    return rf_malloc_reject(RF_REJECT_SIZE, size, rf_pages_round(1), ENOMEM, &origin);
  }
  return rf_forward.now == RF_FORWARD_ON ? rf_forward.libc.memalign(rf_pages_round(1), whole)
                                         : aligned(rf_pages_round(1), whole, &origin);
}

RF_EXPORT void *__libc_realloc(void *ptr, size_t size);
void *__libc_realloc(void *ptr, size_t size) {
  rf_origin const origin = RF_CALLER;
  return !rf_forward_is_ours(ptr) ? rf_forward.libc.realloc(ptr, size) : rf_malloc_impl_realloc(ptr, size, &origin);
}

RF_EXPORT void __libc_free(void *ptr);
void __libc_free(void *ptr) {
  rf_origin const origin = RF_CALLER;
  if (!rf_forward_is_ours(ptr)) {
    rf_forward.libc.free(ptr);
  } else {
    rf_malloc_impl_free(ptr, RF_FAMILY_MALLOC, SIZE_MAX, &origin);
  }
}

RF_EXPORT int __posix_memalign(void **out, size_t align, size_t size);
int __posix_memalign(void **out, size_t align, size_t size) {
  rf_origin const origin = RF_CALLER;
  return rf_forward.now == RF_FORWARD_ON ? rf_forward.libc.posix_memalign(out, align, size)
                                         : write_aligned(out, align, size, &origin);
}
