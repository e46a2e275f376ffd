#include "lib/core/adapter.h"

#include "lib/core/checksum.h"

#include <string.h>

#define DAMAGED "record or table was overwritten"

static rf_adapter *adapter_of(rf_allocator *self) {
  return (rf_adapter *)(void *)self;
}

static const rf_adapter_ops *ops_of(const rf_adapter *a) {
  return (const rf_adapter_ops *)(const void *)a->base.ops;
}

static size_t checksum_of(const rf_adapter *a) {
  return rf_checksum_add_address(rf_checksum_add_address(rf_checksum_begin(a), a->target), a->sizes);
}

static bool intact(const rf_adapter *a) {
  return a->checksum == checksum_of(a) && ops_of(a)->intact(a);
}

static rf_status refuse_damaged(rf_adapter *a, const void *at, const rf_site *site) {
  return rf_fault_refuse(&a->base, RF_ERR_CORRUPT, DAMAGED, at, site);
}

static void lock(const rf_adapter *a) {
  rf_mutex *const mutex = ops_of(a)->mutex != NULL ? ops_of(a)->mutex(a) : NULL;
  if (mutex != NULL) {
    rf_mutex_lock(mutex);
  }
}

static void unlock(const rf_adapter *a) {
  rf_mutex *const mutex = ops_of(a)->mutex != NULL ? ops_of(a)->mutex(a) : NULL;
  if (mutex != NULL) {
    rf_mutex_unlock(mutex);
  }
}

/* ---- Allocation ---- */

void *rf_adapter_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_adapter *const a = adapter_of(self);
  rf_adapter_block block = {a, 0, 0, 0, NULL};
  if (!intact(a)) {
    (void)refuse_damaged(a, a, site);
    return NULL;
  }
  lock(a);
  rf_status const status = ops_of(a)->alloc(a, size, align, &block, site);
  if (status == RF_OK) {
    rf_count_alloc(&a->counters, size);
  } else {
    a->counters.failures++;
  }
  unlock(a);
  if (status == RF_ERR_CORRUPT) {
    (void)refuse_damaged(a, block.ptr, site);
  }
  if (status == RF_OK && ops_of(a)->on_alloc != NULL) {
    ops_of(a)->on_alloc(a, &block);
  }
  return status == RF_OK ? block.ptr : NULL;
}

static rf_status refuse(rf_adapter *a, rf_verdict verdict, const void *ptr, const rf_site *site) {
  return verdict == RF_POINTER_CORRUPT ? refuse_damaged(a, ptr, site) : rf_verdict_refuse(&a->base, verdict, ptr, site);
}

rf_status rf_adapter_free(rf_allocator *self, void *ptr, const rf_site *site) {
  rf_adapter *const a = adapter_of(self);
  rf_adapter_block block;
  if (!intact(a)) {
    return refuse_damaged(a, a, site);
  }
  lock(a);
  rf_verdict verdict = ops_of(a)->find(a, ptr, &block);
  if (verdict == RF_POINTER_OK) {
    verdict = ops_of(a)->free(a, &block);
  }
  if (verdict == RF_POINTER_OK) {
    rf_count_free(&a->counters, block.size);
  }
  unlock(a);
  if (verdict == RF_POINTER_OK && ops_of(a)->on_free != NULL) {
    ops_of(a)->on_free(a, &block);
  }
  return refuse(a, verdict, ptr, site);
}

rf_status rf_adapter_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  rf_adapter *const a = adapter_of(self);
  rf_adapter_block block;
  rf_status status = RF_OK;
  if (!intact(a)) {
    return refuse_damaged(a, a, site);
  }
  lock(a);
  rf_verdict const verdict = ops_of(a)->find(a, ptr, &block);
  if (verdict == RF_POINTER_OK) {
    status = ops_of(a)->resize(a, &block, size);
  }
  if (verdict == RF_POINTER_OK && status == RF_OK) {
    rf_count_resize(&a->counters, block.size, size);
  }
  unlock(a);
  if (status == RF_ERR_CORRUPT) {
    return refuse_damaged(a, a, site);
  }
  return verdict == RF_POINTER_OK ? status : refuse(a, verdict, ptr, site);
}

/* ---- Queries and the walk ---- */

size_t rf_adapter_usable_size(rf_allocator *self, const void *ptr) {
  rf_adapter *const a = adapter_of(self);
  rf_adapter_block block;
  size_t room = 0;
  if (!intact(a)) {
    return 0;
  }
  lock(a);
  if (ops_of(a)->find(a, ptr, &block) == RF_POINTER_OK) {
    ops_of(a)->reveal(a, &block);
    room = block.room;
  }
  unlock(a);
  return room;
}

bool rf_adapter_owns(rf_allocator *self, const void *ptr) {
  const rf_adapter *const a = adapter_of(self);
  return intact(a) && ops_of(a)->owns(a, ptr);
}

rf_status rf_adapter_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  rf_adapter *const a = adapter_of(self);
  if (!intact(a)) {
    return RF_ERR_CORRUPT;
  }
  lock(a);
  rf_status const status = ops_of(a)->walk(a, visit, context);
  unlock(a);
  return status;
}

rf_status rf_adapter_check(rf_allocator *self, rf_fault *where) {
  rf_adapter *const a = adapter_of(self);
  rf_fault fault = {RF_ERR_CORRUPT, DAMAGED, self, a, NULL};
  if (intact(a)) {
    lock(a);
    fault.what = ops_of(a)->damage(a, &fault.ptr);
    unlock(a);
  }
  if (fault.what == NULL) {
    return RF_OK;
  }
  *where = fault;
  return RF_ERR_CORRUPT;
}

void rf_adapter_stats(rf_allocator *self, rf_stats *out) {
  rf_adapter *const a = adapter_of(self);
  memset(out, 0, sizeof *out);
  if (!intact(a)) {
    return;
  }
  lock(a);
  rf_count_into(&a->counters, out);
  ops_of(a)->stats(a, out);
  out->overhead = out->capacity - out->free_bytes - out->used;
  unlock(a);
}

void rf_adapter_counters(rf_allocator *self, rf_counters *out) {
  rf_adapter *const a = adapter_of(self);
  memset(out, 0, sizeof *out);
  if (!intact(a)) {
    return;
  }
  lock(a);
  *out = a->counters;
  unlock(a);
}

/* ---- Init and deinit ---- */

void rf_adapter_deinit(rf_allocator *self) {
  rf_adapter *const a = adapter_of(self);
  if (a->checksum == checksum_of(a)) {
    ops_of(a)->deinit(a);
  }
  memset(&a->counters, 0, sizeof a->counters);
}

void rf_adapter_init(rf_adapter *a, const rf_adapter_ops *ops, void *target, size_t *sizes) {
  memset(a, 0, sizeof *a);
  a->base.ops = &ops->base;
  a->target = target;
  a->sizes = sizes;
  a->checksum = checksum_of(a);
}
