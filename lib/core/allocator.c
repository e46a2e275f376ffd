#include <ringfence/track.h>

#include <string.h>

void *rf_reject_at(rf_allocator *allocator, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  if (allocator->ops->reject != NULL) {
    allocator->ops->reject(allocator, why, size, detail, site);
  }
  return NULL;
}

void *rf_calloc_at(rf_allocator *allocator, size_t count, size_t size, const rf_site *site) {
  size_t total;
  if (!rf_mul(count, size, &total)) {
    return rf_reject_at(allocator, RF_REJECT_OVERFLOW, size, count, site);
  }
  void *const p = rf_alloc_at(allocator, total, RF_ALIGN_DEFAULT, site);
  if (p != NULL) {
    memset(p, 0, total);
  }
  return p;
}

void *rf_realloc_move(rf_allocator *allocator, void *ptr, size_t old_size, size_t size, size_t align,
                      const rf_site *site) {
  void *const moved = allocator->ops->alloc(allocator, size, align, site);
  if (moved == NULL) {
    return NULL;
  }
  rf_track_copy(moved, ptr, old_size < size ? old_size : size);
  if (allocator->ops->free(allocator, ptr, site) != RF_OK) {
    (void)allocator->ops->free(allocator, moved, site);
    return NULL;
  }
  return moved;
}

static bool find_live(const rf_block *block, void *context) {
  const void **const wanted = (const void **)context;
  if (!block->used || block->ptr != *wanted) {
    return true;
  }
  *wanted = NULL;
  return false;
}

/* RF_ERR_BAD_POINTER where `ptr` is known not to be a live block, RF_ERR_CORRUPT where damage keeps that from being
 * known. A block of no bytes has no usable size either: only a walk tells it from a bad pointer. */
static rf_status look_for(rf_allocator *allocator, const void *ptr, size_t usable) {
  if (usable != 0) {
    return RF_OK;
  }
  rf_status const status = rf_walk(allocator, find_live, &ptr);
  if (status == RF_OK && ptr != NULL) {
    return RF_ERR_BAD_POINTER;
  }
  return status == RF_ERR_CORRUPT ? status : RF_OK;
}

/* alloc + copy + free for a pointer that nobody has looked at yet. */
static void *realloc_by_moving(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  if (allocator->ops->usable_size == NULL) {
    return NULL; /* how much to copy is not known */
  }
  size_t const usable = allocator->ops->usable_size(allocator, ptr);
  rf_status const status = look_for(allocator, ptr, usable);
  if (status == RF_ERR_BAD_POINTER) {
    (void)allocator->ops->free(allocator, ptr, site); /* which refuses and reports it */
    return NULL;
  }
  if (status == RF_ERR_CORRUPT) { /* a new block could neither take its place nor be given back */
    (void)rf_fault_refuse(allocator, status, "the heap's data were overwritten", ptr, site);
    return NULL;
  }
  return rf_realloc_move(allocator, ptr, usable, size, align, site);
}

void *rf_realloc_at(rf_allocator *allocator, void *ptr, size_t size, size_t align, const rf_site *site) {
  const rf_allocator_ops *const ops = allocator->ops;
  if (ptr == NULL) {
    return rf_alloc_at(allocator, size, align, site);
  }
  if (size == 0) {
    (void)ops->free(allocator, ptr, site);
    return NULL;
  }
  if (size > RF_SIZE_LIMIT) {
    return rf_reject_at(allocator, RF_REJECT_SIZE, size, align, site);
  }
  if (!rf_is_pow2(align)) {
    return rf_reject_at(allocator, RF_REJECT_ALIGN, size, align, site);
  }
  if (ops->realloc != NULL) {
    return ops->realloc(allocator, ptr, size, align, site);
  }
  if (ops->resize != NULL && rf_is_aligned(ptr, align)) {
    rf_status const status = ops->resize(allocator, ptr, size, site);
    if (status == RF_OK) {
      return ptr;
    }
    if (status != RF_ERR_NO_MEMORY) {
      return NULL;
    }
  }
  return realloc_by_moving(allocator, ptr, size, align, site);
}

rf_status rf_resize_at(rf_allocator *allocator, void *ptr, size_t size, const rf_site *site) {
  if (ptr == NULL || size == 0) {
    return RF_ERR_INVALID;
  }
  if (size > RF_SIZE_LIMIT) {
    (void)rf_reject_at(allocator, RF_REJECT_SIZE, size, 0, site);
    return RF_ERR_INVALID;
  }
  if (allocator->ops->resize == NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  return allocator->ops->resize(allocator, ptr, size, site);
}

char *rf_strdup_at(rf_allocator *allocator, const char *text, const rf_site *site) {
  size_t const size = strlen(text) + 1;
  char *const copy = (char *)rf_alloc_at(allocator, size, 1, site);
  if (copy != NULL) {
    memcpy(copy, text, size);
  }
  return copy;
}

size_t rf_usable_size(rf_allocator *allocator, const void *ptr) {
  if (ptr == NULL || allocator->ops->usable_size == NULL) {
    return 0;
  }
  return allocator->ops->usable_size(allocator, ptr);
}

bool rf_owns(rf_allocator *allocator, const void *ptr) {
  return ptr != NULL && allocator->ops->owns != NULL && allocator->ops->owns(allocator, ptr);
}

rf_status rf_walk(rf_allocator *allocator, rf_walk_fn visit, void *context) {
  if (allocator->ops->walk == NULL) {
    return RF_ERR_UNSUPPORTED;
  }
  return allocator->ops->walk(allocator, visit, context);
}

rf_status rf_check(rf_allocator *allocator, rf_fault *where) {
  rf_fault unwanted;
  if (allocator->ops->check == NULL) {
    return RF_OK;
  }
  return allocator->ops->check(allocator, where != NULL ? where : &unwanted);
}

void rf_stats_get(rf_allocator *allocator, rf_stats *out) {
  allocator->ops->stats(allocator, out);
}

void rf_counters_get(rf_allocator *allocator, rf_counters *out) {
  rf_stats s;
  if (allocator->ops->counters != NULL) {
    allocator->ops->counters(allocator, out);
    return;
  }
  rf_stats_get(allocator, &s);
  *out = (rf_counters){s.used, s.peak, s.blocks, s.peak_blocks, s.allocations, s.failures};
}

rf_allocator *rf_inner(rf_allocator *allocator) {
  return allocator->ops->inner != NULL ? allocator->ops->inner(allocator) : NULL;
}

void rf_deinit(rf_allocator *allocator) {
  while (allocator != NULL) {
    rf_allocator *const inner = rf_inner(allocator);
    if (allocator->ops->deinit != NULL) {
      allocator->ops->deinit(allocator);
    }
    allocator = inner;
  }
}
