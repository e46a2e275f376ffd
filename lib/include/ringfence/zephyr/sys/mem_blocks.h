/* Zephyr: the memory blocks allocator, over rf_memblocks and rf_blockgroup.
 *
 * As in Zephyr: every name, macro, argument and return value; pools that need no init call; the pool's fields that
 * code reads (buffer, bitmap, info, and num_blocks and blk_sz_shift as they were before there was info).
 * Better: block sizes that are no power of two (then info.blk_sz_shift is rounded down, and of no use); a batch
 * is taken and freed under one lock, all or nothing; misaligned, interior and repeated pointers are -EFAULT; a listener
 * hears of successes only; statistics and listeners are always on.
 * Restriction: bitmap is read-only.
 *
 * Threads and interrupts: every call from any thread, and from interrupts over the bare port.
 */
#ifndef RINGFENCE_ZEPHYR_SYS_MEM_BLOCKS_H
#define RINGFENCE_ZEPHYR_SYS_MEM_BLOCKS_H

#include <ringfence/blockgroup.h>
#include <ringfence/memblocks.h>
#include <ringfence/zephyr/kernel.h>
#include <ringfence/zephyr/sys/bitarray.h>
#include <ringfence/zephyr/sys/mem_stats.h>
#include <ringfence/zephyr/sys/util.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAX_MULTI_ALLOCATORS 8

typedef struct sys_mem_blocks sys_mem_blocks_t;
typedef struct sys_multi_mem_blocks sys_multi_mem_blocks_t;

/* Answers the pool, one of `group`, that is to serve a request with this `cfg`; NULL: the request fails with -EINVAL.
 */
typedef sys_mem_blocks_t *(*sys_multi_mem_blocks_choice_fn_t)(struct sys_multi_mem_blocks *group, void *cfg);

struct sys_mem_blocks_info {
  uint32_t num_blocks;
  uint8_t blk_sz_shift;
};

struct sys_mem_blocks {
  __extension__ union {
    struct sys_mem_blocks_info info;
    struct {
      uint32_t num_blocks;
      uint8_t blk_sz_shift;
    };
  };
  uint8_t *buffer;
  sys_bitarray_t *bitmap;
  rf_memblocks blocks; /* does the work */
  sys_mem_blocks_t *self;
};

struct sys_multi_mem_blocks {
  int num_allocators;
  sys_multi_mem_blocks_choice_fn_t choice_fn;
  sys_mem_blocks_t *allocators[MAX_MULTI_ALLOCATORS];
  rf_blockgroup group; /* does the work */
  rf_blockgroup_member members[MAX_MULTI_ALLOCATORS];
};

/* ---- Pools, ready before main. `num_blks` blocks of `blk_sz` bytes; the buffer is aligned to `buf_align`, a power of
 * two of which blk_sz is a multiple, or is the array `buf` of yours. STATIC: with internal linkage. ---- */

#define SYS_MEM_BLOCKS_DEFINE(name, blk_sz, num_blks, buf_align)                                                       \
  RF_ZEPHYR_DEFINE_OWN_(name, blk_sz, num_blks, buf_align, )
#define SYS_MEM_BLOCKS_DEFINE_STATIC(name, blk_sz, num_blks, buf_align)                                                \
  RF_ZEPHYR_DEFINE_OWN_(name, blk_sz, num_blks, buf_align, static)
#define SYS_MEM_BLOCKS_DEFINE_WITH_EXT_BUF(name, blk_sz, num_blks, buf) RF_ZEPHYR_DEFINE_(name, blk_sz, num_blks, buf, )
#define SYS_MEM_BLOCKS_DEFINE_STATIC_WITH_EXT_BUF(name, blk_sz, num_blks, buf)                                         \
  RF_ZEPHYR_DEFINE_(name, blk_sz, num_blks, buf, static)

/* ---- Blocks. Each returns 0, or -EINVAL for a pool or an array that is NULL (after k_sys_fatal_error_handler, if
 * there is one); NULL for a block is one that is in no pool. count 0 succeeds and does nothing. ---- */

/* Takes `count` blocks, lowest first, into out_blocks. -ENOMEM: not so many are free; none is taken then. */
int sys_mem_blocks_alloc(sys_mem_blocks_t *mem_block, size_t count, void **out_blocks);

/* Takes `count` adjacent blocks; *out_block is the first (NULL for count 0). -ENOMEM: no such run. */
int sys_mem_blocks_alloc_contiguous(sys_mem_blocks_t *mem_block, size_t count, void **out_block);

/* Takes the `count` blocks from in_block on. -ENOMEM: one is taken or not in the pool; -EINVAL: in_block is inside a
 * block. */
int sys_mem_blocks_get(sys_mem_blocks_t *mem_block, void *in_block, size_t count);

/* 1 where the `count` blocks from in_block on are in the pool and free; 0 where not, and for count 0. */
int sys_mem_blocks_is_region_free(sys_mem_blocks_t *mem_block, void *in_block, size_t count);

/* Gives blocks back, in any order, all or none. -EINVAL: count exceeds the pool; -EFAULT: one is no block of this pool,
 * or free already, or named twice. */
int sys_mem_blocks_free(sys_mem_blocks_t *mem_block, size_t count, void **in_blocks);

/* Gives back `count` adjacent blocks, all or none. -EINVAL: more than the pool has from there on; -EFAULT as above. */
int sys_mem_blocks_free_contiguous(sys_mem_blocks_t *mem_block, void *block, size_t count);

/* Bytes free, taken, and taken at most. -EINVAL for NULL. */
int sys_mem_blocks_runtime_stats_get(sys_mem_blocks_t *mem_block, struct sys_memory_stats *stats);

/* The maximum is from now on counted from what is taken now. -EINVAL for NULL. */
int sys_mem_blocks_runtime_stats_reset_max(sys_mem_blocks_t *mem_block);

/* ---- Groups ---- */

void sys_multi_mem_blocks_init(sys_multi_mem_blocks_t *group, sys_multi_mem_blocks_choice_fn_t choice_fn);

/* Adds a pool, which may be in several groups. A group that has MAX_MULTI_ALLOCATORS already stays as it is, and
 * k_sys_fatal_error_handler, or else Ringfence's fault handler, is told. */
void sys_multi_mem_blocks_add_allocator(sys_multi_mem_blocks_t *group, sys_mem_blocks_t *alloc);

/* sys_mem_blocks_alloc from the pool that the choice function names; *blk_size (NULL allowed) is then its block size (0
 * for count 0). -EINVAL where it names none. */
int sys_multi_mem_blocks_alloc(sys_multi_mem_blocks_t *group, void *cfg, size_t count, void **out_blocks,
                               size_t *blk_size);

/* Gives blocks of any of the group's pools back, all or none. -EINVAL: in_blocks[0] is in no pool, or count exceeds the
 * pool that it is in; -EFAULT: a later one is in no pool, or as sys_mem_blocks_free. */
int sys_multi_mem_blocks_free(sys_multi_mem_blocks_t *group, size_t count, void **in_blocks);

/* ---- Parts of the macros above. ---- */

extern rf_memblocks_listener rf_zephyr_listener; /* passes events on to heap listeners */

#define RF_ZEPHYR_DEFINE_(name, blk_sz, num_blks, buf, linkage)                                                        \
  RF_MEMBLOCKS_ASSERT_((blk_sz) > 0 && (num_blks) > 0, #name " needs at least one block of one byte");                 \
  static size_t _sys_mem_blocks_bundles_##name[RF_MEMBLOCKS_WORDS(num_blks)];                                          \
  static sys_bitarray_t _sys_mem_blocks_bitmap_##name = {                                                              \
      (num_blks), DIV_ROUND_UP(num_blks, 32), (rf_zephyr_bundle *)_sys_mem_blocks_bundles_##name, {{{0}}, 0}};         \
  static rf_mutex _sys_mem_blocks_lock_##name; /* zeroed, which is initialised */                                      \
  linkage sys_mem_blocks_t name = {{{(num_blks), (uint8_t)(63 - __builtin_clzll((unsigned long long)(blk_sz)))}},      \
                                   (buf),                                                                              \
                                   &_sys_mem_blocks_bitmap_##name,                                                     \
                                   RF_MEMBLOCKS_INITIALIZER(blk_sz, num_blks, buf, _sys_mem_blocks_bundles_##name,     \
                                                            true, &_sys_mem_blocks_lock_##name, &rf_zephyr_listener),  \
                                   &(name)}

#define RF_ZEPHYR_DEFINE_OWN_(name, blk_sz, num_blks, buf_align, linkage)                                              \
  BUILD_ASSERT(IS_POWER_OF_TWO(buf_align), #name ": the alignment must be a power of 2");                              \
  BUILD_ASSERT((blk_sz) % (buf_align) == 0, #name ": the block size must be a multiple of the alignment");             \
  static uint8_t __aligned(WB_UP(buf_align)) _sys_mem_blocks_buf_##name[(size_t)(num_blks) * (blk_sz)];                \
  RF_ZEPHYR_DEFINE_(name, blk_sz, num_blks, _sys_mem_blocks_buf_##name, linkage)

/* ---- Zephyr's manual passes pools without an & and blocks as uintptr_t: both compile, and do what is meant. ---- */

static inline sys_mem_blocks_t *rf_zephyr_pool(sys_mem_blocks_t *pool) {
  return pool;
}

/* `pool` is a copy; it knows whose. */
static inline sys_mem_blocks_t *rf_zephyr_pool_of_copy(sys_mem_blocks_t pool) {
  return pool.self;
}

#ifdef __cplusplus
} /* extern "C" */

#include <type_traits>

template <typename Block>
using rf_zephyr_if_word = typename std::enable_if<std::is_same<Block, uintptr_t>::value, int>::type;

template <typename Block, rf_zephyr_if_word<Block> = 0>
inline int sys_mem_blocks_alloc(sys_mem_blocks_t *mem_block, size_t count, Block *out_blocks) {
  return sys_mem_blocks_alloc(mem_block, count, reinterpret_cast<void **>(out_blocks));
}
template <typename Block>
inline int sys_mem_blocks_alloc(sys_mem_blocks_t &mem_block, size_t count, Block *out_blocks) {
  return sys_mem_blocks_alloc(&mem_block, count, out_blocks);
}
template <typename Block, rf_zephyr_if_word<Block> = 0>
inline int sys_mem_blocks_free(sys_mem_blocks_t *mem_block, size_t count, Block *in_blocks) {
  return sys_mem_blocks_free(mem_block, count, reinterpret_cast<void **>(in_blocks));
}
template <typename Block> inline int sys_mem_blocks_free(sys_mem_blocks_t &mem_block, size_t count, Block *in_blocks) {
  return sys_mem_blocks_free(&mem_block, count, in_blocks);
}
template <typename Block, rf_zephyr_if_word<Block> = 0>
inline int sys_multi_mem_blocks_alloc(sys_multi_mem_blocks_t *group, void *cfg, size_t count, Block *out_blocks,
                                      size_t *blk_size) {
  return sys_multi_mem_blocks_alloc(group, cfg, count, reinterpret_cast<void **>(out_blocks), blk_size);
}
template <typename Block, rf_zephyr_if_word<Block> = 0>
inline int sys_multi_mem_blocks_free(sys_multi_mem_blocks_t *group, size_t count, Block *in_blocks) {
  return sys_multi_mem_blocks_free(group, count, reinterpret_cast<void **>(in_blocks));
}

#else

#define RF_ZEPHYR_POOL_(pool)                                                                                          \
  _Generic((pool), sys_mem_blocks_t : rf_zephyr_pool_of_copy, default : rf_zephyr_pool)(pool)
#define RF_ZEPHYR_BLOCKS_(blocks) _Generic((blocks), uintptr_t * : (void **)(blocks), default : (blocks))

#define sys_mem_blocks_alloc(mem_block, count, out_blocks)                                                             \
  sys_mem_blocks_alloc(RF_ZEPHYR_POOL_(mem_block), (count), RF_ZEPHYR_BLOCKS_(out_blocks))
#define sys_mem_blocks_free(mem_block, count, in_blocks)                                                               \
  sys_mem_blocks_free(RF_ZEPHYR_POOL_(mem_block), (count), RF_ZEPHYR_BLOCKS_(in_blocks))
#define sys_multi_mem_blocks_alloc(group, cfg, count, out_blocks, blk_size)                                            \
  sys_multi_mem_blocks_alloc((group), (cfg), (count), RF_ZEPHYR_BLOCKS_(out_blocks), (blk_size))
#define sys_multi_mem_blocks_free(group, count, in_blocks)                                                             \
  sys_multi_mem_blocks_free((group), (count), RF_ZEPHYR_BLOCKS_(in_blocks))

#endif

#endif /* RINGFENCE_ZEPHYR_SYS_MEM_BLOCKS_H */
