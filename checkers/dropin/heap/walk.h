/* All blocks: walked, described, checked. With all caches stopped, but for rf_heap_live. */
#ifndef RINGFENCE_DROPIN_WALK_H
#define RINGFENCE_DROPIN_WALK_H

#include "check.h"

#include <ringfence/allocator.h>

/* The live block that starts at `ptr`; false where there is none. Any thread that is inside a cache. */
bool rf_heap_live(const void *ptr, rf_view *out);

/* Calls `visit` for each live block in address order, until it says false. */
void rf_heap_walk(bool (*visit)(const rf_view *view, void *context), void *context);

/* Checks every block, live or freed, and reports each damage once. Returns the number of findings. */
size_t rf_heap_sweep(const rf_origin *origin);

/* The same for about `budget_ns` nanoseconds, from the newest spans on. */
size_t rf_heap_sweep_newest(uint64_t budget_ns, const rf_origin *origin);

/* The same, but each call goes on where the last one stopped, and begins anew after the last block. */
size_t rf_heap_sweep_step(uint64_t budget_ns, const rf_origin *origin);

/* Memory from the system, without descriptions. False where a call said so. */
typedef bool (*rf_range_fn)(uintptr_t start, uintptr_t end, void *context);
bool rf_heap_each_range(rf_range_fn visit, void *context);

/* As an allocator that can be asked for its statistics and be walked: for rf_dump. */
rf_allocator *rf_heap_allocator(void);

/* Memory by use. */
typedef struct rf_heap_bytes {
  size_t mapped;
  size_t large; /* of these, for large blocks that live */
  size_t freed; /* large blocks that were freed and are kept */
} rf_heap_bytes;

rf_heap_bytes rf_heap_bytes_now(void);

#endif /* RINGFENCE_DROPIN_WALK_H */
