/* rf_guard: wraps any rf_allocator and finds writes outside blocks, writes after free, double and bad frees, and leaks.
 *
 *     rf_guard guard;
 *     rf_guard_init(&guard, &heap.base, NULL);
 *     char *p = rf_alloc(&guard.base, 13);
 *     p[13] = 0;
 *     rf_free(&guard.base, p);    heap-buffer-overflow: 1 byte written 0 bytes after a 13-byte block
 *
 * Algorithm: each block carries a header whose checksum is bound to the block's address, size and links and to a secret
 * of the guard, redzones before and after the payload down to the exact byte, and the place of its allocation. Freed
 * blocks are filled with 0xCC and wait in a quarantine, first in, first out among blocks of one capacity, bounded in
 * bytes. They leave it by serving a request of their size (on hosts) or go back, and are checked again then. After
 * Microsoft's debug CRT heap (fills), dlmalloc's footers (checksum) and AddressSanitizer (quarantine, names of
 * findings).
 *
 * Finds damage at the next free or realloc of the block, when the block leaves the quarantine, at rf_guard_sweep,
 * rf_check and deinit. Reads are not seen; they show 0xCD (new memory) and 0xCC (freed memory).
 *
 * Complexity: O(1) per operation beyond the inner allocator's, but for filling and checking bytes: 2 * size bytes per
 * block, bounded by options. The report of a bug may walk all blocks.
 * Memory: all of it in the blocks and in rf_guard (5 KiB on 64-bit hosts, 3 KiB on 32-bit ones, a few hundred bytes
 * bare); guard never allocates for itself. Overhead per block: see RF_GUARD_PREFIX below.
 * Alignment: any power of two that the inner allocator serves; the default is RF_ALIGN_DEFAULT.
 * Threads and interrupts: not synchronised; put rf_lock outside (program -> lock -> guard -> heap).
 * Returns NULL iff the inner allocator does, for the size plus overhead, twice: before a second try all of the
 * quarantine is given back to it. So a request that fails changes free_bytes, largest_free and overhead, too, and the
 * inner allocator may count two failures for one.
 *
 * The inner allocator must have alloc and free. With `owns`, no pointer is looked at before the inner
 * allocator says that it lies in its memory; without, the system is asked on each free whether the memory is readable
 * (a system call; on bare targets nobody can be asked). With `resize`, large blocks grow in place. With `walk`, a walk
 * is in address order; without, in order of allocation.
 */
#ifndef RINGFENCE_GUARD_H
#define RINGFENCE_GUARD_H

#include <ringfence/allocator.h>
#include <ringfence/block.h>
#include <ringfence/finding.h>
#include <ringfence/stack.h>
#include <ringfence/system.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Thread ids are kept per block where there are threads. */
#ifndef RF_GUARD_THREADS
#if RF_HAS_SYSTEM
#define RF_GUARD_THREADS 1
#else
#define RF_GUARD_THREADS 0
#endif
#endif

/* The block of the inner allocator:
 *
 *     inner block                                    payload (what the program sees)
 *     |                                              |
 *     | gap | header ...................... | front  | size bytes | back guard ... |
 *     |     | links, origin, size, checksum | 0xFD.. |            | 0xFD..         |
 *     |     |<-------- RF_GUARD_PREFIX ------------->|            | RF_GUARD_BACK_MIN and all slack, up to _MAX
 *
 *     gap: only of blocks aligned to more than RF_GUARD_PREFIX; front guard: RF_GUARD_FRONT bytes
 *
 * An inner heap keeps its own links in the first two words of a free block, so the fields from `released` on can still
 * be read of a block that has left the quarantine and was not used again. Private to guard*.c. */
typedef struct rf_guard_header rf_guard_header;
struct rf_guard_header {
  rf_guard_header *next; /* live: allocated before this one; quarantine: freed after this one */
#if RF_GUARD_THREADS
  uint32_t allocated_by;
  uint32_t released_by;
#endif
  size_t size; /* requested */
  union {
    rf_guard_header *prev; /* live: allocated after this one */
    uintptr_t released;    /* quarantine: origin of the free */
  } u;
  uintptr_t allocated; /* origin of the allocation: a site, a return address or the number of a stack, by `kind` */
  uint16_t back;       /* bytes of back guard */
  uint8_t align_log2;  /* of the payload; the top bit: the family's flag */
  uint8_t kind;        /* state, family and the kinds of both origins, two bits each */
  uint32_t checksum;   /* over all of the above, the address and the guard's secret */
};

/* Bytes per block beyond the payload and the inner allocator's own: prefix + back guard. 64-bit targets 64 + 16, 32-bit
 * with threads 48 + 16, 32-bit bare 32 + 8; guard_impl.h asserts it. */
#if RF_GUARD_THREADS
#define RF_GUARD_FRONT 16
#define RF_GUARD_BACK_MIN 16
#elif UINTPTR_MAX > UINT32_MAX
#define RF_GUARD_FRONT 24
#define RF_GUARD_BACK_MIN 16
#else
#define RF_GUARD_FRONT 8
#define RF_GUARD_BACK_MIN 8
#endif
#define RF_GUARD_BACK_MAX 1024
#define RF_GUARD_PREFIX (sizeof(rf_guard_header) + RF_GUARD_FRONT)

typedef struct rf_guard_options {
  size_t quarantine;     /* bytes of freed blocks (overhead included) kept back; 0: none */
  size_t fill_alloc;     /* fill at most so many bytes of each new block with RF_PATTERN_NEW; 0: none */
  size_t fill_free;      /* fill and later check at most so many bytes of each freed block; 0: none; SIZE_MAX: all */
  size_t move_below;     /* realloc moves blocks up to this size even where they could stay: stale pointers show */
  unsigned stack_depth;  /* return addresses to keep per allocation and free; 0: call sites only */
  rf_stack_depot *depot; /* where stacks are kept; NULL: the caller's return address alone is kept */
  rf_reporter *reporter; /* NULL: rf_reporter_plain, which halts at the first finding */
  bool leaks_at_deinit;  /* report what is live at deinit */
  bool sweep_at_deinit;  /* check everything at deinit */
  bool watched;          /* also put all but live payloads out of bounds, where the build has a watcher (asan.h) */
  bool tagged;           /* rf_mte_init's: rf_guard_init takes it for false */
} rf_guard_options;

/* Freed blocks wait in queues, one for each capacity up to RF_GUARD_QUEUES - 1 steps of RF_GUARD_STEP bytes, and one
 * for all others; see guard_quarantine.h. */
#define RF_GUARD_STEP 16
#if RF_GUARD_THREADS
#define RF_GUARD_QUEUES 65
#else
#define RF_GUARD_QUEUES 1
#endif
#define RF_GUARD_AGES 4

typedef struct rf_guard_queue {
  rf_guard_header *oldest; /* leaves first */
  rf_guard_header *newest;
  uint32_t ripe;                 /* of the oldest, how many have waited long enough */
  uint32_t young[RF_GUARD_AGES]; /* the others, by the age in which they were freed */
} rf_guard_queue;

/* Pages of the inner allocator's that are known to be there; on hosts only. */
#define RF_GUARD_PAGES 256
#define RF_GUARD_PAGE 4096 /* the smallest there are */

typedef struct rf_guard {
  rf_allocator base;
  rf_allocator *inner;
  rf_guard_options options;
  uintptr_t secret;     /* mixed into every checksum */
  rf_guard_header live; /* sentinel of the ring of live blocks: next is the newest, u.prev the oldest */
  size_t quarantined;   /* bytes in the queues */
  size_t age_left;      /* bytes to be freed until the next age begins */
  unsigned age;         /* the present one: of rf_guard_queue.young */
  unsigned leaving;     /* the queue from which a block left last */
  unsigned remainder;   /* what the inner allocator's small blocks have beyond a multiple of RF_GUARD_STEP */
  bool remainder_known;
#if RF_GUARD_THREADS
  unsigned page_epoch; /* another one whenever the inner allocator may have given pages up */
#endif
  rf_counters counters;
  size_t abandoned;       /* live blocks that are given up, their headers overwritten */
  bool has_owns;          /* the inner allocator can say what it owns */
  bool inner_damaged;     /* found so by its check: it gets no block back until it is whole again */
  bool inner_reported;    /* that has been reported */
  rf_guard_header *swept; /* where rf_guard_sweep_step goes on; NULL: at the beginning */
  bool swept_freed;       /* and it is in quarantine, */
  unsigned swept_queue;   /* in this queue */
  struct rf_guard *other; /* next in the list of all guards of the process */
  rf_guard_queue queues[RF_GUARD_QUEUES];
#if RF_GUARD_THREADS
  uintptr_t pages[RF_GUARD_PAGES]; /* where live blocks were seen: the page's address and `page_epoch` */
#endif
} rf_guard;

/* The options that NULL stands for. */
void rf_guard_options_default(rf_guard_options *out);

/* Wraps `inner`, which must outlive the guard and be used through it only. `options` is copied; NULL takes defaults.
 * RF_OK, or RF_ERR_INVALID for NULL arguments. Then use &guard->base.
 *
 * Its deinit sweeps and reports what is live if so told, and gives every block back to the inner allocator. */
rf_status rf_guard_init(rf_guard *guard, rf_allocator *inner, const rf_guard_options *options);

/* Checks every live and quarantined block and the inner allocator, and reports each damage once (guard and fill bytes
 * are written anew). Returns the number of findings. */
size_t rf_guard_sweep(rf_guard *guard);

/* The same for a call from `origin`; NULL where no call asked for it, as at the end of a process. */
size_t rf_guard_sweep_from(rf_guard *guard, const rf_origin *origin);

/* The same for live and quarantined blocks, for about `budget_ns` nanoseconds (at least a few blocks): each call goes
 * on where the last one stopped, and begins anew after the last block. For programs that are idle now and then, and for
 * threads that sweep in the background. */
size_t rf_guard_sweep_step(rf_guard *guard, uint64_t budget_ns);

/* Gives quarantined blocks back to the inner allocator, oldest first, after checking them, until at most `keep` bytes
 * remain. */
void rf_guard_flush(rf_guard *guard, size_t keep);

/* One live block, for leak lists and snapshots. */
typedef struct rf_guard_block {
  void *ptr;
  size_t size;
  rf_family family;
  rf_trace allocated;
} rf_guard_block;

/* Fills *out for the live block that starts at `ptr`; false where there is none. Does not report. */
bool rf_guard_describe(rf_guard *guard, const void *ptr, rf_guard_block *out);

/* Reports the live block that starts at `ptr` as leaked; false where there is none. The block stays live. */
bool rf_guard_report_leak(rf_guard *guard, const void *ptr, const char *detail);

/* Reports every live block as leaked (arenas without roots: tests, bare targets). Returns the number of blocks. */
size_t rf_guard_report_live(rf_guard *guard);

/* As alloc, free and realloc of guard.base, with the kind of call and where it came from (NULL: not known). `size` of
 * free is what a sized delete believes, SIZE_MAX where nothing is said. The arguments are as rf_allocator_ops receives
 * them: no NULL pointer, no size above RF_SIZE_LIMIT, `align` a power of two, realloc's size not 0. */
void *rf_guard_alloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin);
rf_status rf_guard_free_from(rf_guard *guard, void *ptr, rf_family family, size_t size, const rf_origin *origin);
void *rf_guard_realloc_from(rf_guard *guard, void *ptr, size_t size, size_t align, const rf_origin *origin);

/* As rf_guard_alloc_from, the block zeroed; cheaper than filling it with RF_PATTERN_NEW and zeroing it afterwards. */
void *rf_guard_zalloc_from(rf_guard *guard, size_t size, size_t align, rf_family family, const rf_origin *origin);

/* Reports a request that was turned away, as the `reject` operation does, with its origin. */
void rf_guard_reject_from(rf_guard *guard, rf_reject why, size_t size, size_t detail, const rf_origin *origin);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_GUARD_H */
