/* Mode asan: see asan.h. The poisoning is guard's (guard_impl.h); here is what becomes of AddressSanitizer's errors. */
#include <ringfence/asan.h>

#include "checkers/guard/guard_impl.h"

#include <string.h>

const char *rf_asan_watcher(void) {
  return RF_TRACK_ASAN ? "AddressSanitizer" : RF_TRACK_VALGRIND ? "Valgrind" : NULL;
}

#if RF_TRACK_ASAN

void __asan_set_error_report_callback(void (*callback)(const char *text));
int __asan_report_present(void);
void *__asan_get_report_pc(void);
void *__asan_get_report_bp(void);
void *__asan_get_report_address(void);
int __asan_get_report_access_type(void);
size_t __asan_get_report_access_size(void);
const char *__asan_get_report_description(void);
void *__asan_region_is_poisoned(void *start, size_t size);
const char *__asan_locate_address(void *address, char *name, size_t name_size, void **region, size_t *region_size);

static rf_bug bug_of(const rf_finding *f) {
  if (f->offset < 0) {
    return RF_BUG_BUFFER_UNDERFLOW;
  }
  return (size_t)f->offset >= f->size ? RF_BUG_BUFFER_OVERFLOW : RF_BUG_USE_AFTER_FREE;
}

static const char *detail_of(const rf_finding *f, const rf_guard_header *h) {
  if (f->bug == RF_BUG_USE_AFTER_FREE) {
    return "the block is in quarantine";
  }
  if (f->address >= (uintptr_t)block_of(h) && f->address < (uintptr_t)front_redzone_of(h)) {
    return "the block's metadata are there";
  }
  return f->freed ? "the block nearest to it was freed" : NULL;
}

static void report(const rf_guard *guard, const rf_guard_header *h, rf_finding *f) {
  f->bug = RF_BUG_METADATA;
  f->detail = "no block is near: free memory, or the allocator's own";
  if (h != NULL) {
    rf_guard_finding_block(guard, f, h);
    f->bug = bug_of(f);
    f->detail = detail_of(f, h);
    if (f->address >= (uintptr_t)block_of(h) && f->address < (uintptr_t)end_of(h)) {
      rf_guard_finding_window(guard, f, h, (const unsigned char *)f->address);
    }
  }
  f->cwe = rf_bug_cwe(f->bug, f->access);
  rf_report(guard->options.reporter, f);
}

/* Blocks from malloc lie among those of others: an address outside of what was poisoned here concerns the nearest of
 * ours only where AddressSanitizer takes it for one beside the same piece of malloc's. */
static bool concerns(const rf_guard *guard, const rf_guard_header *h, const void *address) {
  void *region = NULL;
  size_t size = 0;
  char name[1];
  if (h == NULL || rf_owns(guard->inner, address) || strcmp(__asan_get_report_description(), "use-after-poison") == 0) {
    return true;
  }
  (void)__asan_locate_address((void *)(uintptr_t)address, name, sizeof name, &region, &size);
  return (uintptr_t)h >= (uintptr_t)region && (uintptr_t)h < (uintptr_t)region + size;
}

/* The first byte out of bounds of those that were touched: an access may begin in a block and end behind it. */
static const void *first_outside(void *address, size_t size) {
  const void *const outside = __asan_region_is_poisoned(address, size);
  return outside != NULL ? outside : address;
}

/* Called by AddressSanitizer once its own report is out. */
static void on_error(const char *text) {
  const rf_guard_header *nearest;
  rf_finding f;
  (void)text;
  if (!__asan_report_present()) {
    return;
  }
  const void *const address = first_outside(__asan_get_report_address(), __asan_get_report_access_size());
  const rf_guard *const guard = rf_guard_nearest(address, &nearest);
  if (guard == NULL || !concerns(guard, nearest, address)) {
    return; /* not ours: AddressSanitizer has said all there is to say */
  }
  rf_access const access = __asan_get_report_access_type() ? RF_ACCESS_WRITE : RF_ACCESS_READ;
  rf_origin const origin = {NULL, (uintptr_t)__asan_get_report_pc(), __asan_get_report_bp()};
  rf_guard_finding(guard, &f, RF_BUG_METADATA, access, address, &origin);
  f.access_size = __asan_get_report_access_size();
  f.at_access = true;
  report(guard, nearest, &f);
}

static void listen(void) {
  __asan_set_error_report_callback(on_error);
}

#else

static void listen(void) {}

#endif

rf_status rf_asan_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options) {
  rf_guard_options watched;
  if (!RF_TRACK) {
    return RF_ERR_UNSUPPORTED;
  }
  if (options != NULL) {
    watched = *options;
  } else {
    rf_guard_options_default(&watched);
  }
  watched.watched = true;
  rf_status const status = rf_guard_init(guard, inner, &watched);
  if (status == RF_OK) {
    listen();
  }
  return status;
}
