/* What the parts of rf_handle_guard share: handle_guard.c (the operations) and handle_guard_report.c (finding damage and saying
 * so). Internal to checkers/. */
#ifndef RINGFENCE_HANDLE_GUARD_IMPL_H
#define RINGFENCE_HANDLE_GUARD_IMPL_H

#include <ringfence/handle_guard.h>
#include <ringfence/layout.h>
#include <ringfence/track.h>
#include <ringfence/stack.h>

#include "checkers/shared/fill.h"
#include "checkers/shared/wrapper.h"

#define HANDLE_FILL_FREE 0xCC
#define HANDLE_FILL_RAW 0xCD
#define HANDLE_FILL_GUARD 0xFD

/* Condemned: the header was found damaged, which was reported; the handle is of no use any more. Moved: what is left where a
 * block was. */
typedef enum handle_state { HANDLE_CONDEMNED, HANDLE_LIVE, HANDLE_FREED, HANDLE_MOVED } handle_state;

/* Where a call came from, in two words: its site, or where there is none the return address. */
typedef struct handle_place {
  const rf_site *site;
  uintptr_t caller;
  uintptr_t thread;
} handle_place;

/* What stands before a payload, copied in and out since blocks may be aligned to less:
 *
 *     inner block               payload (what the program sees)
 *     | header  | front guard   | size bytes | back guard               |
 *     |<------ prefix --------->|            | HANDLE_BACK or more      |     a multiple of the heap's alignment in all
 *
 * The magic is bound to the handle, not to the address: inner blocks move. */
typedef struct handle_header {
  handle_place allocated;
  handle_place shown;    /* where the address was last asked for */
  handle_place released; /* of a freed block */
  size_t size;           /* requested */
  rf_handle self;        /* by which the inner heap knows this block */
  rf_handle subject;     /* by which the program knew it */
  rf_handle next;        /* in the list of shown blocks or in quarantine */
  uint16_t locks;
  uint8_t state;
  uint8_t listed; /* among the shown blocks */
  uintptr_t magic;
} handle_header;

_Static_assert(sizeof(handle_header) == 11 * sizeof(uintptr_t) + 16, "no padding, whose bytes the magic would cover");

#define HANDLE_FRONT 16 /* at least */
#define HANDLE_BACK 16

_Static_assert(sizeof(handle_header) + HANDLE_FRONT + HANDLE_BACK == (UINTPTR_MAX > UINT32_MAX ? 136 : 92),
               "bytes per block, before what the alignment adds");

/* ---- Layout ---- */

static inline size_t handle_total(const rf_handle_guard *guard, size_t size) {
  size_t const sum = guard->prefix + size + HANDLE_BACK;
  return (sum + (guard->align - 1)) & ~(guard->align - 1);
}

static inline unsigned char *handle_payload(const rf_handle_guard *guard, unsigned char *block) {
  return block + guard->prefix;
}

/* ---- The header ---- */

void rf_handle_guard_write(const rf_handle_guard *guard, unsigned char *block, handle_header *h);

/* False where it is not one that was written for `handle`. */
bool rf_handle_guard_read(const rf_handle_guard *guard, const unsigned char *block, rf_handle handle, handle_header *h);

/* Writes both guards of a block whose header is `h`. */
void rf_handle_guard_fence(const rf_handle_guard *guard, unsigned char *block, const handle_header *h);

/* ---- AddressSanitizer ---- */

/* Where the heap below knows of it too, which moves what lies in these places when it was damaged. */
#if RF_TRACK_ASAN
void __asan_poison_memory_region(void const volatile *p, size_t size);
void __asan_unpoison_memory_region(void const volatile *p, size_t size);
#define HANDLE_POISON(p, size) __asan_poison_memory_region((p), (size))
#define HANDLE_UNPOISON(p, size) __asan_unpoison_memory_region((p), (size))
#else
#define HANDLE_POISON(p, size) ((void)(p), (void)(size))
#define HANDLE_UNPOISON(p, size) ((void)(p), (void)(size))
#endif

/* ---- Findings ---- */

/* Begins a finding: everything but the block. */
void rf_handle_guard_finding(const rf_handle_guard *guard, rf_finding *f, rf_bug bug, rf_access access,
                             const void *address, const rf_origin *origin);

/* Puts in the block behind `h`, whose payload is or was at `payload`. */
void rf_handle_guard_finding_block(rf_finding *f, const handle_header *h, const unsigned char *payload);

/* Reports and repairs every damage to one block, whose header is sound. Returns how many there were; *to_the_end tells whether the
 * last byte of its back guard was among it. */
size_t rf_handle_guard_inspect(rf_handle_guard *guard, unsigned char *block, const handle_header *h,
                               const rf_origin *origin, bool *to_the_end);

size_t rf_handle_guard_sweep_from(rf_handle_guard *guard, const rf_origin *origin);

/* The first damage there is, for check; RF_OK where there is none. */
rf_status rf_handle_guard_first_damage(rf_handle_guard *guard, rf_fault *where);

#endif /* RINGFENCE_HANDLE_GUARD_IMPL_H */
