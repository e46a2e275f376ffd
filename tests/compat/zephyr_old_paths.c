/* Headers as Zephyr had them before 3.2, or has them with CONFIG_LEGACY_INCLUDE_PATH, and one that 3.1 to 3.3 had. */
#include "zephyr_manual.h"

#include <kernel.h>
#include <sys/heap_listener.h>
#include <sys/math_extras.h>
#include <sys/mem_blocks.h>
#include <sys/multi_heap.h>
#include <sys/printk.h>
#include <sys/sys_heap.h>
#include <sys/util.h>
#include <toolchain.h>
#include <zephyr.h>
#include <zephyr/zephyr.h>

struct object {
  uint8_t kind;
  uint32_t value;
} __packed;

BUILD_ASSERT(sizeof(struct object) == 5, "packed");

static char __aligned(8) memory[KB(1)];

int old_paths(void) {
  struct sys_heap heap;
  size_t bytes;
  if (size_mul_overflow(sizeof(struct object), 10, &bytes)) {
    return -1;
  }
  sys_heap_init(&heap, memory, sizeof(memory));
  struct object *objects = sys_heap_aligned_alloc(&heap, 64, bytes);
  if (unlikely(objects == NULL) || !IS_ALIGNED(objects, 64)) {
    return -ENOMEM;
  }
  __ASSERT(bytes == 50, "%zu bytes", bytes);
  sys_heap_free(&heap, objects);
  return size_mul_overflow(SIZE_MAX, 2, &bytes) && size_add_overflow(SIZE_MAX, 1, &bytes) ? 0 : -1;
}
