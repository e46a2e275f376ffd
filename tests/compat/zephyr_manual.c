/* The calls that Zephyr's manual makes in its examples, as they are written there: pools without an &, blocks as
 * uintptr_t. */
#include "zephyr_manual.h"

#include <zephyr/kernel.h>
#include <zephyr/sys/mem_blocks.h>

SYS_MEM_BLOCKS_DEFINE(allocator, 64, 4, 4);
SYS_MEM_BLOCKS_DEFINE_STATIC(static_allocator, 64, 4, 4);

int manual_alloc(uintptr_t *first, uintptr_t *second) {
  int ret;
  uintptr_t blocks[2];
  ret = sys_mem_blocks_alloc(allocator, 2, blocks);
  *first = blocks[0];
  *second = blocks[1];
  return ret;
}

int manual_free(uintptr_t first, uintptr_t second) {
  int ret;
  uintptr_t blocks[2] = {first, second};
  ret = sys_mem_blocks_free(allocator, 2, blocks);
  return ret;
}

int manual_alloc_and_free(void) {
  int ret;
  uintptr_t blocks[2];
  ret = sys_mem_blocks_alloc(allocator, 2, blocks);
  if (ret == 0) {
    ret = sys_mem_blocks_free(allocator, 2, blocks);
  }
  return ret;
}

int manual_static(void) {
  int ret;
  uintptr_t blocks[2];
  ret = sys_mem_blocks_alloc(static_allocator, 2, blocks);
  if (ret == 0) {
    ret = sys_mem_blocks_free(static_allocator, 2, blocks);
  }
  return ret;
}

int manual_ext_buf(void) {
  int ret;
  uintptr_t blocks[2];
  uint8_t __aligned(4) backing_buffer[64 * 4];
  SYS_MEM_BLOCKS_DEFINE_WITH_EXT_BUF(inner_allocator, 64, 4, backing_buffer);
  ret = sys_mem_blocks_alloc(inner_allocator, 2, blocks);
  if (ret == 0 && (uint8_t *)blocks[1] != backing_buffer + 64) {
    return -1;
  }
  return ret;
}

/* ---- Groups ---- */

SYS_MEM_BLOCKS_DEFINE(allocator0, 64, 4, 4);
SYS_MEM_BLOCKS_DEFINE(allocator1, 64, 4, 4);
static sys_multi_mem_blocks_t alloc_group;

static sys_mem_blocks_t *choice_fn(struct sys_multi_mem_blocks *group, void *cfg) {
  uintptr_t const num = POINTER_TO_UINT(cfg);
  return num < (uintptr_t)group->num_allocators ? group->allocators[num] : NULL;
}

int manual_group(void) {
  sys_multi_mem_blocks_init(&alloc_group, choice_fn);
  sys_multi_mem_blocks_add_allocator(&alloc_group, &allocator0);
  sys_multi_mem_blocks_add_allocator(&alloc_group, &allocator1);

  int ret;
  uintptr_t blocks[1];
  size_t blk_size;
  ret = sys_multi_mem_blocks_alloc(&alloc_group, UINT_TO_POINTER(0), 1, blocks, &blk_size);
  if (ret != 0 || blk_size != 64 || (uint8_t *)blocks[0] != allocator0.buffer) {
    return -1;
  }
  ret = sys_multi_mem_blocks_free(&alloc_group, 1, blocks);
  return ret;
}

/* ---- The same calls with addresses and void pointers, as the rest of the manual and most code have them ---- */

int manual_by_address(void) {
  void *blocks[2];
  int ret = sys_mem_blocks_alloc(&allocator, 2, blocks);
  if (ret == 0) {
    ret = sys_mem_blocks_free(&allocator, 2, blocks);
  }
  if (ret == 0) {
    ret = sys_mem_blocks_alloc(&allocator, 1, NULL) == -EINVAL && sys_mem_blocks_free(NULL, 1, blocks) == -EINVAL ? 0
                                                                                                                  : -1;
  }
  return ret;
}

/* ---- Memory slabs; the last free is as it was before Zephyr 3.5, and the timeout as it was before 2.3 ---- */

static struct k_mem_slab my_slab;
static char __aligned(8) my_slab_buffer[6 * 400];

K_MEM_SLAB_DEFINE(my_defined_slab, 400, 6, 4);

int manual_slab(void) {
  char *block_ptr;
  void *block;
  if (k_mem_slab_init(&my_slab, my_slab_buffer, 400, 6) != 0) {
    return -1;
  }
  if (k_mem_slab_alloc(&my_slab, (void **)&block_ptr, K_MSEC(100)) == 0) {
    memset(block_ptr, 0, 400);
  } else {
    return -1;
  }
  k_mem_slab_free(&my_slab, (void *)block_ptr);
  if (k_mem_slab_alloc(&my_defined_slab, &block, 100) != 0) {
    return -1;
  }
  k_mem_slab_free(&my_defined_slab, &block);
  return (int)(k_mem_slab_num_used_get(&my_slab) + k_mem_slab_num_used_get(&my_defined_slab));
}
