#include <ringfence/fault.h>
#include <ringfence/zephyr/sys/heap_listener.h>
#include <ringfence/zephyr/sys/mem_blocks.h>
#include <string.h>

/* Here the functions are defined, with the types that they have. */
#undef sys_mem_blocks_alloc
#undef sys_mem_blocks_free
#undef sys_multi_mem_blocks_alloc
#undef sys_multi_mem_blocks_free

/* Defined by the program, or not. */
#pragma weak k_sys_fatal_error_handler

/* Calls the program's handler where Zephyr would assert. False if it has none. */
static bool panic(void) {
  if (k_sys_fatal_error_handler == NULL) {
    return false;
  }
  k_sys_fatal_error_handler(K_ERR_KERNEL_PANIC, NULL);
  return true;
}

static int bad_argument(void) {
  (void)panic();
  return -EINVAL;
}

/* The error of sys_mem_blocks_free, and of most other calls. */
static int error_of(rf_status status) {
  switch (status) {
  case RF_OK:
    return 0;
  case RF_ERR_NO_MEMORY:
    return -ENOMEM;
  case RF_ERR_INVALID:
    return -EINVAL;
  default:
    return -EFAULT;
  }
}

/* ---- Listeners ---- */

static sys_mem_blocks_t *pool_of(rf_memblocks *blocks) {
  return (sys_mem_blocks_t *)(void *)((unsigned char *)blocks - offsetof(sys_mem_blocks_t, blocks));
}

static void pass_on_alloc(rf_memblocks *blocks, void *ptr, size_t bytes, void *context) {
  (void)context;
  heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(pool_of(blocks)), ptr, bytes);
}

static void pass_on_free(rf_memblocks *blocks, void *ptr, size_t bytes, void *context) {
  (void)context;
  heap_listener_notify_free(HEAP_ID_FROM_POINTER(pool_of(blocks)), ptr, bytes);
}

/* The last of every pool's list, and so never written to: one serves all. */
rf_memblocks_listener rf_zephyr_listener = {pass_on_alloc, pass_on_free, NULL, NULL};

/* ---- Blocks ---- */

int sys_mem_blocks_alloc(sys_mem_blocks_t *mem_block, size_t count, void **out_blocks) {
  if (mem_block == NULL || out_blocks == NULL) {
    return bad_argument();
  }
  return error_of(rf_memblocks_alloc(&mem_block->blocks, count, out_blocks));
}

int sys_mem_blocks_alloc_contiguous(sys_mem_blocks_t *mem_block, size_t count, void **out_block) {
  if (mem_block == NULL || out_block == NULL) {
    return bad_argument();
  }
  return error_of(rf_memblocks_alloc_contiguous(&mem_block->blocks, count, out_block));
}

int sys_mem_blocks_get(sys_mem_blocks_t *mem_block, void *in_block, size_t count) {
  if (mem_block == NULL) {
    return bad_argument();
  }
  rf_status const status = rf_memblocks_claim(&mem_block->blocks, in_block, count);
  if (status == RF_OK) {
    return 0;
  }
  bool const inside_a_block = status == RF_ERR_BAD_POINTER && rf_memblocks_owns(&mem_block->blocks, in_block);
  return inside_a_block ? -EINVAL : -ENOMEM;
}

int sys_mem_blocks_is_region_free(sys_mem_blocks_t *mem_block, void *in_block, size_t count) {
  if (mem_block == NULL) {
    (void)panic();
    return 0;
  }
  return count != 0 && rf_memblocks_is_region_free(&mem_block->blocks, in_block, count);
}

int sys_mem_blocks_free(sys_mem_blocks_t *mem_block, size_t count, void **in_blocks) {
  if (mem_block == NULL || in_blocks == NULL) {
    return bad_argument();
  }
  return error_of(rf_memblocks_free(&mem_block->blocks, count, in_blocks));
}

int sys_mem_blocks_free_contiguous(sys_mem_blocks_t *mem_block, void *block, size_t count) {
  if (mem_block == NULL) {
    return bad_argument();
  }
  return error_of(rf_memblocks_free_contiguous(&mem_block->blocks, block, count));
}

/* ---- Statistics ---- */

int sys_mem_blocks_runtime_stats_get(sys_mem_blocks_t *mem_block, struct sys_memory_stats *stats) {
  rf_stats s;
  if (mem_block == NULL || stats == NULL) {
    return -EINVAL;
  }
  rf_memblocks_stats(&mem_block->blocks, &s);
  stats->free_bytes = s.free_bytes;
  stats->allocated_bytes = s.used;
  stats->max_allocated_bytes = s.peak;
  return 0;
}

int sys_mem_blocks_runtime_stats_reset_max(sys_mem_blocks_t *mem_block) {
  if (mem_block == NULL) {
    return -EINVAL;
  }
  rf_memblocks_reset_peak(&mem_block->blocks);
  return 0;
}

/* ---- Groups ---- */

static rf_memblocks *choose(rf_blockgroup *blockgroup, void *cfg) {
  unsigned char *const inside = (unsigned char *)blockgroup;
  sys_multi_mem_blocks_t *const group =
      (sys_multi_mem_blocks_t *)(void *)(inside - offsetof(sys_multi_mem_blocks_t, group));
  sys_mem_blocks_t *const chosen = group->choice_fn != NULL ? group->choice_fn(group, cfg) : NULL;
  return chosen != NULL ? &chosen->blocks : NULL;
}

void sys_multi_mem_blocks_init(sys_multi_mem_blocks_t *group, sys_multi_mem_blocks_choice_fn_t choice_fn) {
  if (group == NULL) {
    (void)panic();
    return;
  }
  memset(group, 0, sizeof *group);
  group->choice_fn = choice_fn;
  (void)rf_blockgroup_init(&group->group, choose);
  group->group.quiet = true;
}

void sys_multi_mem_blocks_add_allocator(sys_multi_mem_blocks_t *group, sys_mem_blocks_t *alloc) {
  if (group == NULL || alloc == NULL || group->num_allocators == MAX_MULTI_ALLOCATORS) {
    if (!panic()) {
      (void)rf_fault_refuse(NULL, RF_ERR_INVALID, "zephyr: no room for a pool in the group", group, NULL);
    }
    return;
  }
  int const place = group->num_allocators++;
  group->allocators[place] = alloc;
  (void)rf_blockgroup_add(&group->group, &group->members[place], &alloc->blocks); /* twice the same: once is enough */
}

int sys_multi_mem_blocks_alloc(sys_multi_mem_blocks_t *group, void *cfg, size_t count, void **out_blocks,
                               size_t *blk_size) {
  if (group == NULL || out_blocks == NULL) {
    return bad_argument();
  }
  return error_of(rf_blockgroup_alloc(&group->group, cfg, count, out_blocks, blk_size));
}

int sys_multi_mem_blocks_free(sys_multi_mem_blocks_t *group, size_t count, void **in_blocks) {
  void *first;
  if (group == NULL || in_blocks == NULL) {
    return bad_argument();
  }
  if (count == 0) {
    return 0;
  }
  memcpy(&first, in_blocks, sizeof first); /* may be an array of uintptr_t */
  const rf_memblocks *const owner = rf_blockgroup_owner(&group->group, first);
  if (owner == NULL || count > owner->num_blocks) {
    return -EINVAL;
  }
  return error_of(rf_blockgroup_free(&group->group, count, in_blocks));
}
