#include <ringfence/lock.h>
#include <ringfence/oom.h>
#include <ringfence/simple.h>

static unsigned char arena[4096];
static void *cache;

/* Runs with the lock free: it may use the heap. */
static bool drop_cache(void *context, unsigned attempt, size_t needed) {
  rf_allocator *const a = context;
  void *const dropped = cache;
  (void)attempt;
  (void)needed;
  cache = NULL;
  return dropped != NULL && rf_free(a, dropped) == RF_OK;
}

int main(void) {
  rf_simple heap;
  rf_lock lock;
  rf_oom oom;
  rf_oom_callback callback;
  if (rf_simple_init(&heap, arena, sizeof arena) != RF_OK || rf_lock_init(&lock, &heap.base) != RF_OK ||
      rf_oom_init(&oom, &lock.base, 0) != RF_OK) {
    return 1;
  }
  rf_allocator *const a = &oom.base; /* program -> oom -> lock -> simple: for any thread */
  rf_oom_add(&oom, &callback, drop_cache, a);
  cache = rf_alloc(a, 3000);
  void *const p = rf_alloc(a, 2000); /* no room: drop_cache makes some */
  rf_free(a, p);
  rf_deinit(a); /* oom, then lock, then simple */
  return p != NULL ? 0 : 1;
}
