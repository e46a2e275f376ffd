/* Zephyr: memory slabs, fixed-size blocks that threads share and wait for. Part of <zephyr/kernel.h>.
 *
 *     K_MEM_SLAB_DEFINE(messages, 64, 10, 4);
 *     void *block;
 *     if (k_mem_slab_alloc(&messages, &block, K_MSEC(100)) == 0) …
 *     k_mem_slab_free(&messages, block);
 *
 * Algorithm: as there, a LIFO list of the free blocks inside them; blocks that were never out are not in it yet, so
 *   that a slab needs no init before its first use. A block that comes back while threads wait goes to the one that
 *   waited longest; among those of the highest priority, where the program has Zephyr's k_current_get and
 *   k_thread_priority_get.
 * Overhead: none; a block is as large as it was asked to be.
 *
 *     buffer ─┐
 *             | block 0 | block 1 | … | block fresh-1 | never out … |
 *
 *     first word of a free block = link ^ mask     link: 1 + index of the next free one, 0 at the end
 *                                                  mask: from the block's address and the slab's
 *
 * Better: a block that is foreign, interior, misaligned or free already is refused and reported, in release builds too;
 *   so is a free block that was written to, when it is next in line. Statistics are always on, whatever CONFIG_… says.
 * Complexity: O(1), but for waiting: O(threads that wait); and a free of a block whose first word looks like a link,
 *   which goes through the list to be sure.
 * Alignment: that of the buffer and the block size, both multiples of sizeof(void *).
 * Threads: every call from any thread. Interrupts: over the bare port, whose mutex masks them; none waits there.
 */
#ifndef RINGFENCE_ZEPHYR_MEM_SLAB_H
#define RINGFENCE_ZEPHYR_MEM_SLAB_H

#include <ringfence/port.h>
#include <ringfence/site.h>
#include <ringfence/zephyr/spinlock.h>
#include <ringfence/zephyr/sys/mem_stats.h>
#include <ringfence/zephyr/sys/util.h>
#include <ringfence/zephyr/timeout.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct k_mem_slab_info {
  uint32_t num_blocks;
  size_t block_size;
  uint32_t num_used;
  uint32_t max_used;
};

struct rf_zephyr_slab_waiter; /* on the stack of the thread that waits */

/* The caller's storage. Before there was info its fields were the slab's: code finds them in either place. */
struct k_mem_slab {
  char *buffer;
  char *free_list; /* the free block that was used last; NULL: none but those that were never out */
  __extension__ union {
    struct k_mem_slab_info info;
    struct {
      uint32_t num_blocks;
      size_t block_size;
      uint32_t num_used;
      uint32_t max_used;
    };
  };
  /* Ours. */
  uint32_t fresh;                        /* index of the first block that was never out */
  struct rf_zephyr_slab_waiter *waiters; /* in the order in which they get blocks */
  struct k_spinlock lock;
};

/* ---- Slabs, ready before main: `slab_num_blocks` blocks of `slab_block_size` bytes, rounded up to sizeof(void *), the
 * first at a multiple of `slab_align`. STATIC: with internal linkage. IN_SECT: the buffer has the attribute
 * `in_section`. TYPE: as large and as aligned as `type`. ---- */

#define K_MEM_SLAB_DEFINE(name, slab_block_size, slab_num_blocks, slab_align)                                          \
  K_MEM_SLAB_DEFINE_IN_SECT(name, , slab_block_size, slab_num_blocks, slab_align)
#define K_MEM_SLAB_DEFINE_STATIC(name, slab_block_size, slab_num_blocks, slab_align)                                   \
  K_MEM_SLAB_DEFINE_IN_SECT_STATIC(name, , slab_block_size, slab_num_blocks, slab_align)
#define K_MEM_SLAB_DEFINE_TYPE(name, type, slab_num_blocks)                                                            \
  K_MEM_SLAB_DEFINE(name, sizeof(type), slab_num_blocks, __alignof__(type))
#define K_MEM_SLAB_DEFINE_TYPE_STATIC(name, type, slab_num_blocks)                                                     \
  K_MEM_SLAB_DEFINE_STATIC(name, sizeof(type), slab_num_blocks, __alignof__(type))
#define K_MEM_SLAB_DEFINE_IN_SECT(name, in_section, slab_block_size, slab_num_blocks, slab_align)                      \
  RF_ZEPHYR_SLAB_DEFINE_(name, , in_section, slab_block_size, slab_num_blocks, slab_align)
#define K_MEM_SLAB_DEFINE_IN_SECT_STATIC(name, in_section, slab_block_size, slab_num_blocks, slab_align)               \
  RF_ZEPHYR_SLAB_DEFINE_(name, static, in_section, slab_block_size, slab_num_blocks, slab_align)

/* The value of a slab that is an element of an array, or a member, ready before main. The buffer and the size are
 * multiples of sizeof(void *). */
#define Z_MEM_SLAB_INITIALIZER(slab, slab_buffer, slab_block_size, slab_num_blocks)                                    \
  {                                                                                                                    \
    (slab_buffer), NULL, {{(slab_num_blocks), (slab_block_size), 0, 0}}, 0, NULL, {                                    \
      {{0}}, 0                                                                                                         \
    }                                                                                                                  \
  }

/* Makes a slab of `num_blocks` blocks of `block_size` bytes at `buffer`, the caller's as long as it is used. Made anew,
 * what was out is gone; with no thread inside. 0; -EINVAL, and nothing done, for NULL, no blocks, a buffer or a size
 * that is no multiple of sizeof(void *), and a product that wraps. */
int k_mem_slab_init(struct k_mem_slab *slab, void *buffer, size_t block_size, uint32_t num_blocks);

/* A block in *mem, waiting for one no longer than `timeout`: 0. Else *mem is NULL: -ENOMEM where none is free and
 * nothing was waited for, -EAGAIN where it was in vain, -EFAULT, reported, where a free block was overwritten.
 * `timeout` may be milliseconds, too. */
int k_mem_slab_alloc(struct k_mem_slab *slab, void **mem, k_timeout_t timeout);

/* Gives a block back: `mem`, or, of type void ** and not itself in the slab, what it points to, as before Zephyr 3.5.
 * NULL does nothing; what is not a block that is out is refused and reported. */
void k_mem_slab_free(struct k_mem_slab *slab, void *mem);

/* Blocks that are out, the most so far, and blocks that are free. */
static inline uint32_t k_mem_slab_num_used_get(struct k_mem_slab *slab) {
  return __atomic_load_n(&slab->info.num_used, __ATOMIC_RELAXED);
}

static inline uint32_t k_mem_slab_max_used_get(struct k_mem_slab *slab) {
  return __atomic_load_n(&slab->info.max_used, __ATOMIC_RELAXED);
}

static inline uint32_t k_mem_slab_num_free_get(struct k_mem_slab *slab) {
  return slab->info.num_blocks - k_mem_slab_num_used_get(slab);
}

/* Bytes free, out, and out at most since the slab was made or _reset_max was called. 0; -EINVAL for NULL. */
int k_mem_slab_runtime_stats_get(struct k_mem_slab *slab, struct sys_memory_stats *stats);
int k_mem_slab_runtime_stats_reset_max(struct k_mem_slab *slab);

/* ---- Additions ---- */

/* k_mem_slab_free with its site as an argument; `by_address`: `mem` may be the address of the pointer. */
void rf_zephyr_slab_free_at(struct k_mem_slab *slab, void *mem, bool by_address, const rf_site *site);

/* ---- Parts of the macros above ---- */

#define RF_ZEPHYR_SLAB_DEFINE_(name, linkage, in_section, block_size, num_blocks, align)                               \
  BUILD_ASSERT(IS_POWER_OF_TWO(align), #name ": slab_align must be a power of 2");                                     \
  BUILD_ASSERT((block_size) % (align) == 0, #name ": slab_block_size must be a multiple of slab_align");               \
  static char in_section __aligned(WB_UP(align)) _k_mem_slab_buf_##name[(size_t)(num_blocks)*WB_UP(block_size)];       \
  linkage struct k_mem_slab name = Z_MEM_SLAB_INITIALIZER(name, _k_mem_slab_buf_##name, WB_UP(block_size), num_blocks)

#ifdef __cplusplus
} /* extern "C" */

static inline int k_mem_slab_alloc(struct k_mem_slab *slab, void **mem, int timeout_ms) {
  return k_mem_slab_alloc(slab, mem, rf_zephyr_timeout_of_ms(timeout_ms));
}

/* Their sizes tell void ** from the rest. */
char (&rf_zephyr_kind_of(void **))[2];
char rf_zephyr_kind_of(const void *);
#define RF_ZEPHYR_BY_ADDRESS_(mem) (sizeof(rf_zephyr_kind_of(mem)) == 2)

#else

#define RF_ZEPHYR_BY_ADDRESS_(mem) _Generic((mem), void ** : true, default : false)

#ifndef RINGFENCE_ZEPHYR_IMPL
#define k_mem_slab_alloc(slab, mem, timeout) k_mem_slab_alloc((slab), (mem), RF_ZEPHYR_TIMEOUT_(timeout))
#endif

#endif

#ifndef RINGFENCE_ZEPHYR_IMPL
#define k_mem_slab_free(slab, mem) rf_zephyr_slab_free_at((slab), (mem), RF_ZEPHYR_BY_ADDRESS_(mem), RF_HERE)
#endif

#endif /* RINGFENCE_ZEPHYR_MEM_SLAB_H */
