/* rf_guard_small: guard for boards with little flash. It finds writes outside blocks, writes after free, double and bad
 * frees and leaks, and reports them as numbers, whose texts are the host's.
 *
 *     rf_guard_small_init(&guard, &heap.base, 512);
 *     char *p = rf_alloc(&guard.base, 13);
 *     p[13] = 0;
 *     rf_free(&guard.base, p);          on the console: two lines "#RF:…", for `ringfence report --image fw.elf`
 *
 * Algorithm: before each block stand two words: its size and state, and its call site with the bits of a checksum in
 * those that no address of a site has. Behind it stand 4 to 7 guard bytes. A freed block is filled with 0xCC and waits
 * in a ring of RF_GUARD_SMALL_WAITING blocks, the oldest going back to the heap first.
 *
 *     | word: size, alignment, state | word: site, checksum | payload | 4 to 7 guard bytes |
 *
 * rf_guard has, and this lacks: stacks and threads; a list of all blocks (leaks and damage of live blocks are
 * looked for by the inner allocator's walk); the bytes around the damage; growing in place; a checksum of 32 bits (here
 * about 3 on boards, and the guard bytes, which are not where a wrong size says); fills of new blocks; moves at each
 * realloc; suppressions.
 *
 * Complexity: O(1) per operation beyond the inner allocator's, but for filling and checking the payload once.
 * Overhead: 8 bytes before a block and 4 to 7 behind it on 32 bit, 16 before it on 64 bit; before a block of larger
 *   alignment (16 by default on RISC-V), as many as its alignment.
 * Alignment: any power of two up to 2^15 that the inner allocator serves.
 * Sizes: up to RF_GUARD_SMALL_MOST, 64 MiB on 32 bit.
 * Threads and interrupts: not synchronised; put rf_lock outside.
 * Returns NULL iff the inner allocator does, for the size plus overhead, twice: the ring is emptied before a second
 * try.
 *
 * The inner allocator must have owns and usable_size, and serves nobody else; with `walk`, leaks and damage are looked
 * for at the end.
 */
#ifndef RINGFENCE_GUARD_SMALL_H
#define RINGFENCE_GUARD_SMALL_H

#include <ringfence/allocator.h>
#include <ringfence/finding.h>
#include <ringfence/system.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Freed blocks that wait at once; two words of rf_guard_small each. */
#ifndef RF_GUARD_SMALL_WAITING
#define RF_GUARD_SMALL_WAITING 8
#endif

/* Bits for the address of a call site: on 64 bit, of the address itself; on 32 bit, of its distance from a constant of
 * this library, on boards up to 256 MiB in either direction, wherever flash is. A site beyond is forgotten. */
#ifndef RF_GUARD_SMALL_SITE_BITS
#if UINTPTR_MAX > UINT32_MAX
#define RF_GUARD_SMALL_SITE_BITS 48
#elif RF_HAS_SYSTEM
#define RF_GUARD_SMALL_SITE_BITS 32
#else
#define RF_GUARD_SMALL_SITE_BITS 29
#endif
#endif

#define RF_GUARD_SMALL_MOST ((SIZE_MAX >> 6) - 64)

/* A finding by numbers. Sites are NULL where they are not known. */
typedef struct rf_small_finding {
  rf_bug bug;
  uintptr_t address; /* the first byte found wrong, or the pointer that was handed in */
  uintptr_t block;   /* 0: none */
  size_t size;       /* requested */
  const rf_site *found;
  const rf_site *allocated;
  const rf_site *released;
} rf_small_finding;

typedef struct rf_guard_small rf_guard_small;
struct rf_guard_small {
  rf_allocator base;
  rf_allocator *inner; /* NULL once ended */
  /* Receives each finding, and may not call the allocator. rf_guard_small_init sets rf_guard_small_print. */
  void (*report)(rf_guard_small *self, const rf_small_finding *finding);
  rf_counters counters;
  size_t quarantine; /* bytes */
  size_t waiting_bytes;
  unsigned oldest;
  unsigned waiting_count;
  unsigned findings; /* so far */
  struct {
    unsigned char *block;
    const rf_site *released;
  } waiting[RF_GUARD_SMALL_WAITING];
};

/* Wraps `inner`, which the caller keeps until rf_deinit; freed blocks wait while they have no more than `quarantine`
 * bytes together. RF_OK: &guard->base is an allocator. RF_ERR_INVALID for NULL, RF_ERR_UNSUPPORTED where the inner
 * allocator cannot tell its blocks (owns, usable_size). */
rf_status rf_guard_small_init(rf_guard_small *guard, rf_allocator *inner, size_t quarantine);

/* Checks every block, live or waiting, as far as the inner allocator can be walked. Each damage is told once; a block
 * whose words before it were damaged stays the heap's, and its free is refused. Returns the number of findings.
 * Synchronise it as a call of the allocator. */
unsigned rf_guard_small_sweep(rf_guard_small *guard);

/* Writes the finding to rf_port_log, in the serial form (report_serial.h), without texts. */
void rf_guard_small_print(rf_guard_small *self, const rf_small_finding *finding);

/* The lines of the serial form, of number `record`, to any other place: a buffer that survives a reset, say. */
void rf_small_finding_write(const rf_small_finding *finding, unsigned record, const rf_sink *sink);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_GUARD_SMALL_H */
