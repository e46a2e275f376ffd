#include "wrapper.h"

#include "lib/core/compiler.h"

#include <ringfence/port.h>
#include <string.h>

const rf_origin rf_no_origin;

/* ---- Findings ---- */

RF_COLD void rf_finding_begin(rf_finding *f, rf_bug bug, rf_access access, const void *address, const char *allocator,
                              const char *mode, const rf_origin *origin) {
  memset(f, 0, sizeof *f);
  f->bug = bug;
  f->cwe = rf_bug_cwe(bug, access);
  f->access = access;
  f->address = (uintptr_t)address;
  f->allocator = allocator;
  f->mode = mode;
  f->found.site = origin->site;
  f->found.thread = rf_port_thread_id();
  f->found.depth = rf_stack_capture_slow(origin, f->found.frames, RF_TRACE_DEPTH);
}

static rf_bug bug_of(rf_status status) {
  switch (status) {
  case RF_ERR_BAD_POINTER:
    return RF_BUG_BAD_FREE;
  case RF_ERR_NOT_ALLOCATED:
    return RF_BUG_DOUBLE_FREE;
  default:
    return RF_BUG_METADATA;
  }
}

RF_COLD void rf_finding_begin_refused(rf_finding *f, const rf_fault *fault, const char *allocator, const char *mode,
                                      const rf_origin *origin) {
  rf_bug const bug = bug_of(fault->status);
  rf_access const access = bug == RF_BUG_METADATA ? RF_ACCESS_UNKNOWN : RF_ACCESS_FREE;
  rf_finding_begin(f, bug, access, fault->ptr, allocator, mode, origin);
  f->detail = fault->what;
}

RF_COLD void rf_finding_begin_rejected(rf_finding *f, rf_reject why, size_t size, size_t detail, const char *allocator,
                                       const char *mode, const rf_origin *origin) {
  static const rf_bug bugs[] = {
      [RF_REJECT_SIZE] = RF_BUG_SIZE_TOO_BIG,
      [RF_REJECT_OVERFLOW] = RF_BUG_CALLOC_OVERFLOW,
      [RF_REJECT_ALIGN] = RF_BUG_BAD_ALIGNMENT,
  };
  rf_finding_begin(f, bugs[why], RF_ACCESS_UNKNOWN, NULL, allocator, mode, origin);
  f->size = size;
  f->argument = detail;
}

/* ---- Calls into the allocator below ---- */

void rf_inner_call_keep(const rf_fault *fault, void *context) {
  rf_inner_call *const call = (rf_inner_call *)context;
  if (call->fault.status == RF_OK) {
    call->fault = *fault;
  }
}

/* ---- Tables that refuse ---- */

static rf_status refuse(rf_allocator *self, const void *ptr, const rf_origin *origin) {
  const rf_refusing_ops *const ops = (const rf_refusing_ops *)(const void *)self->ops;
  ops->report(self, ptr, origin);
  return ops->status;
}

void *rf_refused_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  (void)size;
  (void)align;
  (void)refuse(self, NULL, &origin);
  return NULL;
}

rf_status rf_refused_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  return refuse(self, ptr, &origin);
}

void *rf_refused_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  (void)size;
  (void)align;
  (void)refuse(self, ptr, &origin);
  return NULL;
}

rf_status rf_refused_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_origin const origin = RF_ORIGIN_HERE(site);
  (void)size;
  return refuse(self, ptr, &origin);
}
