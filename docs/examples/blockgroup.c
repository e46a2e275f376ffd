#include <ringfence/blockgroup.h>
#include <ringfence/blockgroup_allocator.h>
#include <stdio.h>

/* Two kinds of memory: the caller says which it wants. */
RF_MEMBLOCKS_DEFINE_STATIC(fast, 64, 8, 64);
RF_MEMBLOCKS_DEFINE_STATIC(large, 1024, 16, 64);

enum where { FAST, LARGE };

static rf_memblocks *choose(rf_blockgroup *group, void *config) {
  (void)group;
  return *(const enum where *)config == FAST ? &fast : &large;
}

int main(void) {
  rf_blockgroup group;
  rf_blockgroup_member members[2];
  enum where want = LARGE;
  void *blocks[3];
  size_t size;
  if (rf_blockgroup_init(&group, choose) != RF_OK || rf_blockgroup_add(&group, &members[0], &fast) != RF_OK ||
      rf_blockgroup_add(&group, &members[1], &large) != RF_OK) {
    return 1;
  }
  if (rf_blockgroup_alloc(&group, &want, 2, blocks, &size) != RF_OK) {
    return 1;
  }
  printf("two blocks of %zu bytes\n", size);
  want = FAST;
  if (rf_blockgroup_alloc(&group, &want, 1, &blocks[2], &size) != RF_OK) {
    return 1;
  }
  printf("one block of %zu bytes\n", size);
  rf_blockgroup_free(&group, 3, blocks); /* each to the pool that owns it, all or none */

  /* The same pools as an allocator of any size up to 1024, for code that takes an rf_allocator. */
  static size_t sizes[8 + 16];
  rf_blockgroup_allocator heap;
  if (rf_blockgroup_allocator_init(&heap, &group, sizes) != RF_OK) {
    return 1;
  }
  char *const name = rf_strdup(&heap.base, "in a block of 64 bytes");
  int *const table = rf_calloc(&heap.base, 100, sizeof *table);
  printf("%zu of 8 and %zu of 16 blocks out\n", fast.used, large.used);
  rf_free(&heap.base, table);
  rf_free(&heap.base, name);
  return 0;
}
