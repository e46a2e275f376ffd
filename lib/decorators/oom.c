#include <ringfence/oom.h>

/* One request in its callbacks. Lives on the stack of the thread that made it. */
typedef struct rf_oom_rescue {
  uint32_t thread;
  unsigned attempt;
  size_t needed;
  rf_oom_callback *next_callback; /* where this rescue goes on; kept right by rf_oom_remove */
  struct rf_oom_rescue *next;
} rf_oom_rescue;

static rf_oom *oom_of(rf_allocator *self) {
  return (rf_oom *)(void *)self;
}

/* False, and nothing locked, once `oom` has ended, and its mutex with it. */
static bool enter(rf_oom *oom) {
  if (oom->ready) {
    rf_mutex_lock(&oom->mutex);
  }
  return oom->ready;
}

/* False where this thread is in a callback of `oom` already, or `oom` has ended: the request has failed. */
static bool rescue_begin(rf_oom *oom, rf_oom_rescue *rescue, size_t needed) {
  rescue->thread = rf_port_thread_id();
  rescue->attempt = 0;
  rescue->needed = needed;
  rescue->next_callback = NULL;
  if (!enter(oom)) {
    return false;
  }
  for (const rf_oom_rescue *r = oom->rescues; r != NULL; r = r->next) {
    if (r->thread == rescue->thread) {
      oom->failures++;
      rf_mutex_unlock(&oom->mutex);
      return false;
    }
  }
  rescue->next = oom->rescues;
  oom->rescues = rescue;
  rf_mutex_unlock(&oom->mutex);
  return true;
}

static void rescue_end(rf_oom *oom, rf_oom_rescue *rescue, bool succeeded) {
  rf_mutex_lock(&oom->mutex);
  rf_oom_rescue **link = &oom->rescues;
  while (*link != rescue) {
    link = &(*link)->next;
  }
  *link = rescue->next;
  if (succeeded) {
    oom->rescued++;
  } else {
    oom->given_up++;
    oom->failures++;
  }
  rf_mutex_unlock(&oom->mutex);
}

/* Takes the next callback of this round, copied, so that it runs with the mutex free. */
static bool next_callback(rf_oom *oom, rf_oom_rescue *rescue, rf_oom_callback *out) {
  rf_mutex_lock(&oom->mutex);
  rf_oom_callback *const callback = rescue->next_callback;
  if (callback != NULL) {
    *out = *callback;
    rescue->next_callback = callback->next;
  }
  rf_mutex_unlock(&oom->mutex);
  return callback != NULL;
}

/* One round through all callbacks: true where at least one freed something and the limit allows another try. */
static bool rescue_round(rf_oom *oom, rf_oom_rescue *rescue) {
  rf_oom_callback callback;
  bool freed = false;
  if (rescue->attempt == oom->attempts) {
    return false;
  }
  rescue->attempt++;
  rf_mutex_lock(&oom->mutex);
  rescue->next_callback = oom->callbacks;
  rf_mutex_unlock(&oom->mutex);
  while (next_callback(oom, rescue, &callback)) {
    if (callback.fn(callback.context, rescue->attempt, rescue->needed)) {
      freed = true;
    }
  }
  return freed;
}

static void *oom_alloc(rf_allocator *self, size_t size, size_t align, const rf_site *site) {
  rf_oom *const oom = oom_of(self);
  void *p = rf_alloc_at(oom->inner, size, align, site);
  rf_oom_rescue rescue;
  if (p != NULL || !rescue_begin(oom, &rescue, size)) {
    return p;
  }
  while (p == NULL && rescue_round(oom, &rescue)) {
    p = rf_alloc_at(oom->inner, size, align, site);
  }
  rescue_end(oom, &rescue, p != NULL);
  return p;
}

/* Stops at the live block that *context points to, which is NULL then. */
static bool is_another(const rf_block *block, void *context) {
  const void **const wanted = (const void **)context;
  bool const found = block->used && block->ptr == *wanted;
  *wanted = found ? NULL : *wanted;
  return !found;
}

/* A realloc of what inner does not know, which refuses it, or of a block of no bytes, which looks the same but to a
 * walk: never tried again. Inner's own count of failures is no help, since other threads fail meanwhile. */
static void *realloc_once(rf_oom *oom, void *ptr, size_t size, size_t align, const rf_site *site) {
  void *const p = rf_realloc_at(oom->inner, ptr, size, align, site);
  if (p != NULL) {
    return p;
  }
  const void *wanted = ptr;
  rf_status const walked = rf_walk(oom->inner, is_another, &wanted);
  bool const refused = walked == RF_ERR_CORRUPT || (walked == RF_OK && wanted != NULL);
  if (!refused && enter(oom)) {
    oom->failures++;
    rf_mutex_unlock(&oom->mutex);
  }
  return NULL;
}

static void *oom_realloc(rf_allocator *self, void *ptr, size_t size, size_t align, const rf_site *site) {
  rf_oom *const oom = oom_of(self);
  if (rf_usable_size(oom->inner, ptr) == 0) {
    return realloc_once(oom, ptr, size, align, site);
  }
  void *p = rf_realloc_at(oom->inner, ptr, size, align, site);
  rf_oom_rescue rescue;
  if (p != NULL || !rescue_begin(oom, &rescue, size)) {
    return p;
  }
  while (p == NULL && rescue_round(oom, &rescue) && rf_usable_size(oom->inner, ptr) != 0) {
    p = rf_realloc_at(oom->inner, ptr, size, align, site);
  }
  rescue_end(oom, &rescue, p != NULL);
  return p;
}

static rf_status oom_free(rf_allocator *self, void *ptr, const rf_site *site) {
  return rf_free_at(oom_of(self)->inner, ptr, site);
}

static rf_status oom_resize(rf_allocator *self, void *ptr, size_t size, const rf_site *site) {
  return rf_resize_at(oom_of(self)->inner, ptr, size, site);
}

static size_t oom_usable_size(rf_allocator *self, const void *ptr) {
  return rf_usable_size(oom_of(self)->inner, ptr);
}

static bool oom_owns(rf_allocator *self, const void *ptr) {
  return rf_owns(oom_of(self)->inner, ptr);
}

static rf_status oom_walk(rf_allocator *self, rf_walk_fn visit, void *context) {
  return rf_walk(oom_of(self)->inner, visit, context);
}

static rf_status oom_check(rf_allocator *self, rf_fault *where) {
  return rf_check(oom_of(self)->inner, where);
}

static size_t failures_of(rf_oom *oom) {
  bool const entered = enter(oom);
  size_t const failures = oom->failures;
  if (entered) {
    rf_mutex_unlock(&oom->mutex);
  }
  return failures;
}

static void oom_stats(rf_allocator *self, rf_stats *out) {
  rf_stats_get(oom_of(self)->inner, out);
  out->failures = failures_of(oom_of(self));
}

static void oom_counters(rf_allocator *self, rf_counters *out) {
  rf_counters_get(oom_of(self)->inner, out);
  out->failures = failures_of(oom_of(self));
}

static void oom_reject(rf_allocator *self, rf_reject why, size_t size, size_t detail, const rf_site *site) {
  (void)rf_reject_at(oom_of(self)->inner, why, size, detail, site);
}

static rf_allocator *oom_inner(rf_allocator *self) {
  return oom_of(self)->inner;
}

static void oom_deinit(rf_allocator *self) {
  rf_oom *const oom = oom_of(self);
  if (oom->ready) {
    oom->ready = false;
    oom->callbacks = NULL;
    rf_mutex_deinit(&oom->mutex);
  }
}

static const rf_allocator_ops oom_ops = {
    .name = "oom",
    .alloc = oom_alloc,
    .free = oom_free,
    .realloc = oom_realloc,
    .resize = oom_resize,
    .usable_size = oom_usable_size,
    .owns = oom_owns,
    .walk = oom_walk,
    .check = oom_check,
    .stats = oom_stats,
    .reject = oom_reject,
    .inner = oom_inner,
    .deinit = oom_deinit,
    .counters = oom_counters,
};

rf_status rf_oom_init(rf_oom *oom, rf_allocator *inner, unsigned attempts) {
  if (oom == NULL || inner == NULL) {
    return RF_ERR_INVALID;
  }
  rf_status const status = rf_mutex_init(&oom->mutex);
  if (status != RF_OK) {
    return status;
  }
  oom->base.ops = &oom_ops;
  oom->inner = inner;
  oom->callbacks = NULL;
  oom->rescues = NULL;
  oom->attempts = attempts != 0 ? attempts : RF_OOM_ATTEMPTS;
  oom->rescued = 0;
  oom->given_up = 0;
  oom->failures = 0;
  oom->ready = true;
  return RF_OK;
}

/* The link that points to `callback`, or the list's end. Call with the mutex held. */
static rf_oom_callback **find_link(rf_oom *oom, const rf_oom_callback *callback) {
  rf_oom_callback **link = &oom->callbacks;
  while (*link != NULL && *link != callback) {
    link = &(*link)->next;
  }
  return link;
}

rf_status rf_oom_add(rf_oom *oom, rf_oom_callback *callback, rf_oom_fn fn, void *context) {
  if (oom == NULL || callback == NULL || fn == NULL || !enter(oom)) {
    return RF_ERR_INVALID;
  }
  rf_oom_callback **const link = find_link(oom, callback);
  rf_status const status = *link == NULL ? RF_OK : RF_ERR_BUSY;
  if (status == RF_OK) {
    callback->fn = fn;
    callback->context = context;
    callback->next = NULL;
    *link = callback;
  }
  rf_mutex_unlock(&oom->mutex);
  return status;
}

rf_status rf_oom_remove(rf_oom *oom, rf_oom_callback *callback) {
  if (oom == NULL || callback == NULL || !enter(oom)) {
    return RF_ERR_INVALID;
  }
  rf_oom_callback **const link = find_link(oom, callback);
  rf_status const status = *link != NULL ? RF_OK : RF_ERR_INVALID;
  if (status == RF_OK) {
    *link = callback->next;
    for (rf_oom_rescue *r = oom->rescues; r != NULL; r = r->next) {
      if (r->next_callback == callback) {
        r->next_callback = callback->next;
      }
    }
  }
  rf_mutex_unlock(&oom->mutex);
  return status;
}

void rf_oom_stats_get(rf_oom *oom, rf_oom_stats *out) {
  bool const entered = enter(oom);
  out->rescued = oom->rescued;
  out->given_up = oom->given_up;
  if (entered) {
    rf_mutex_unlock(&oom->mutex);
  }
}
