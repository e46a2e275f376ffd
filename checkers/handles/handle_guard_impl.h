/* Types and functions that the parts of rf_handle_guard share, from the lowest part up: each calls those above it in
 * this file, and no other. Internal to handle_guard*.c. */
#ifndef RINGFENCE_HANDLE_GUARD_IMPL_H
#define RINGFENCE_HANDLE_GUARD_IMPL_H

#include <ringfence/handle_guard.h>
#include <ringfence/layout.h>
#include <ringfence/port.h>
#include <ringfence/stack.h>
#include <ringfence/track.h>

#include "checkers/shared/pattern.h"
#include "checkers/shared/wrapper.h"

/* Abandoned: the header was found damaged and reported; the handle is never used again. Moved: the former place of a
 * block. */
typedef enum handle_state { HANDLE_ABANDONED, HANDLE_LIVE, HANDLE_FREED, HANDLE_MOVED } handle_state;

/* The origin of a call in two words: its site, or the return address if it has none. */
typedef struct handle_call {
  const rf_site *site;
  uintptr_t caller;
  uintptr_t thread;
} handle_call;

/* The header of a block, copied in and out since blocks may be aligned to less:
 *
 *     inner block               payload (what the program sees)
 *     | header  | front redzone | size bytes | back redzone             |
 *     |<------ prefix --------->|            | HANDLE_BACK or more      |     a multiple of the heap's alignment in all
 *
 * The checksum is bound to the handle, not to the address: inner blocks move. */
typedef struct handle_header {
  handle_call allocated;
  handle_call shown;    /* where the address was last asked for */
  handle_call released; /* of a freed block */
  size_t size;          /* requested */
  rf_handle self;       /* by which the inner heap knows this block */
  rf_handle subject;    /* by which the program knew it */
  rf_handle next;       /* in the list of shown blocks or in quarantine */
  uint16_t locks;
  uint8_t state;
  uint8_t listed; /* among the shown blocks */
  uintptr_t checksum;
} handle_header;

_Static_assert(sizeof(handle_header) == 11 * sizeof(uintptr_t) + 16,
               "no padding, whose bytes the checksum would cover");

#define HANDLE_FRONT 16 /* at least */
#define HANDLE_BACK 16

_Static_assert(sizeof(handle_header) + HANDLE_FRONT + HANDLE_BACK == (UINTPTR_MAX > UINT32_MAX ? 136 : 92),
               "bytes per block, before what the alignment adds");

/* ---- Layout ---- */

static inline rf_handle_guard *handle_guard_of(rf_handles *self) {
  return (rf_handle_guard *)self;
}

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
void rf_handle_guard_write_redzones(const rf_handle_guard *guard, unsigned char *block, const handle_header *h);

/* ---- AddressSanitizer ---- */

/* Only in builds in which the heap below unpoisons these places itself, to move their bytes after damage. */
#if RF_TRACK_ASAN
void __asan_poison_memory_region(void const volatile *p, size_t size);
void __asan_unpoison_memory_region(void const volatile *p, size_t size);
#define HANDLE_POISON(p, size) __asan_poison_memory_region((p), (size))
#define HANDLE_UNPOISON(p, size) __asan_unpoison_memory_region((p), (size))
#else
#define HANDLE_POISON(p, size) ((void)(p), (void)(size))
#define HANDLE_UNPOISON(p, size) ((void)(p), (void)(size))
#endif

/* ---- handle_guard_report.c ---- */

/* Begins a finding: everything but the block. */
void rf_handle_guard_finding(const rf_handle_guard *guard, rf_finding *f, rf_bug bug, rf_access access,
                             const void *address, const rf_origin *origin);

/* Adds the block behind `h`, whose payload is or was at `payload`. */
void rf_handle_guard_finding_block(rf_finding *f, const handle_header *h, const unsigned char *payload);

/* Reports and repairs every damage to one block with a valid header. Returns the number of findings; *reaches_end is
 * true where the last byte of the back redzone is damaged. */
size_t rf_handle_guard_inspect(rf_handle_guard *guard, unsigned char *block, const handle_header *h,
                               const rf_origin *origin, bool *reaches_end);

/* The areas of a block that must hold a pattern: its payload where freed or moved, and both redzones. */
typedef struct handle_areas {
  rf_pattern_area payload;
  rf_pattern_area front;
  rf_pattern_area back;
} handle_areas;

handle_areas rf_handle_guard_areas(const rf_handle_guard *guard, unsigned char *block, const handle_header *h);

/* True where the block is in quarantine: its payload carries the pattern of freed memory, and is poisoned. */
static inline bool handle_is_quarantined(const handle_header *h) {
  return h->state == HANDLE_FREED || h->state == HANDLE_MOVED;
}

/* ---- handle_guard_sweep.c ---- */

size_t rf_handle_guard_sweep_from(rf_handle_guard *guard, const rf_origin *origin);

/* The first damage there is, for check; RF_OK where there is none. */
rf_status rf_handle_guard_first_damage(rf_handle_guard *guard, rf_fault *where);

/* ---- handle_guard_open.c ---- */

/* The place of the inner block; faults are kept from the program. */
rf_status rf_handle_guard_inner_address(rf_handle_guard *guard, rf_handle handle, unsigned char **block);

/* Report a call with a block or without (NULL), a call after the end, and a damaged header. */
void rf_handle_guard_report(rf_handle_guard *guard, rf_bug bug, rf_access access, rf_handle handle,
                            unsigned char *block, const handle_header *h, const char *detail, const rf_origin *origin);
rf_status rf_handle_guard_report_ended(rf_handle_guard *guard, const rf_origin *origin);
rf_status rf_handle_guard_report_metadata(rf_handle_guard *guard, const rf_origin *origin);

/* The header and place of a live block. Reports any other handle; with RF_ACCESS_FREE that of a freed block is a double
 * free. */
rf_status rf_handle_guard_open(rf_handle_guard *guard, rf_handle handle, rf_access access, unsigned char **block,
                               handle_header *h, const rf_origin *origin);

/* ---- handle_guard_move.c ---- */

void rf_handle_guard_flush_from(rf_handle_guard *guard, size_t keep, const rf_origin *origin);

/* Puts the block, freed or moved away, into quarantine: filled, poisoned, and locked where it is. */
void rf_handle_guard_enqueue(rf_handle_guard *guard, unsigned char *block, handle_header *h, const rf_origin *origin);

/* Notes that the address of the block was given out. */
void rf_handle_guard_list_shown(rf_handle_guard *guard, unsigned char *block, handle_header *h,
                                const rf_origin *origin);

/* Takes `h` off that list; the caller writes its header. */
void rf_handle_guard_unlist(rf_handle_guard *guard, handle_header *h);

/* A raw inner block. Empties the quarantine before the program's callback is asked for memory. */
rf_handle rf_handle_guard_alloc_inner(rf_handle_guard *guard, size_t total, unsigned flags, const rf_origin *origin);

/* Moves the live block to a new place with room for `size` bytes, under the same handle; the old place goes into
 * quarantine. False, and nothing changed, where there is no room. *block and *h are then those of the new place. */
bool rf_handle_guard_relocate(rf_handle_guard *guard, unsigned char **block, handle_header *h, size_t size,
                              unsigned flags, const rf_origin *origin);

/* Moves every unlocked block whose address was given out. */
void rf_handle_guard_move_shown(rf_handle_guard *guard, const rf_origin *origin);

/* ---- handle_guard_alloc.c: operations ---- */

rf_handle rf_handle_guard_op_alloc(rf_handles *self, size_t size, unsigned flags, const rf_site *site);
rf_status rf_handle_guard_op_free(rf_handles *self, rf_handle handle, const rf_site *site);
rf_status rf_handle_guard_op_resize(rf_handles *self, rf_handle handle, size_t size, const rf_site *site);

static inline handle_call handle_call_of(const rf_origin *origin) {
  return (handle_call){origin->site, origin->caller, rf_port_thread_id()};
}

#endif /* RINGFENCE_HANDLE_GUARD_IMPL_H */
