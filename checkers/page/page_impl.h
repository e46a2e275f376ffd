/* Types and functions that the parts of the page store share, from the lowest part up: each calls those above it in
 * this file, and no other. */
#ifndef RINGFENCE_PAGE_IMPL_H
#define RINGFENCE_PAGE_IMPL_H

#include "page_store.h"

#include <ringfence/port.h>
#include <stdint.h>

#include "checkers/shared/wrapper.h"
#include "lib/core/compiler.h"

/* ---- The system: page_posix.c ---- */

/* Bytes of a page, a power of two; 0 where the system has none. */
extern size_t rf_page_size_known; /* 0: not asked for yet; accessed atomically */
size_t rf_page_size_ask(void);

static inline size_t rf_page_size(void) {
  size_t const size = __atomic_load_n(&rf_page_size_known, __ATOMIC_RELAXED);
  return size != 0 ? size : rf_page_size_ask();
}

/* Closed address space, and memory for records, zeroed; NULL where the system refuses. */
void *rf_page_reserve(size_t size);
void *rf_page_records(size_t size);
void rf_page_release(void *start, size_t size);

/* Lets whole pages be read and written: zeroes. False where the system refuses. */
bool rf_page_open(void *start, size_t size);

/* Drops the content of the pages and closes them to the program. */
void rf_page_close(void *start, size_t size);

/* Closes them to the program; content and mapping stay. */
void rf_page_shut(void *start, size_t size);

/* Markers (MADV_GUARD_INSTALL) that close single pages of a mapping, which stays one; what was on them is lost. True
 * where the kernel has them: found out once, by their effect, since emulators answer that all is well. */
bool rf_page_has_marks(void);

/* Sets and takes away the markers of pages; taken away they show zeroes. False where the system refuses, some pages
 * being done. */
bool rf_page_mark(void *start, size_t size);
bool rf_page_unmark(void *start, size_t size);

/* ---- The system: page_mover.c ---- */

/* True for a release of Linux ("6.18.4-generic") from 6.16 on. Before, a page that is moved while the system swaps may
 * become another one: a race that was mended there. */
bool rf_page_mover_trusts(const char *release);

/* True where the memory of pages can be moved in this process; found out once, by its effect. */
bool rf_page_mover_begin(void);

/* From now on the range, which has no memory yet, is closed wherever it has none, whatever its access rights. */
bool rf_page_mover_register(void *start, size_t size);

/* Opens a page of such a range with the memory of another, which is closed. False where the system refuses: memory that
 * is shared with a child or a parent, or in use by a device, or locked by the program. */
bool rf_page_mover_move(uintptr_t to, uintptr_t from);

/* Opens pages of such a range, filled with the pattern of slack; those that have memory stay as they are. */
bool rf_page_mover_fill(uintptr_t start, size_t size);

/* Closes pages of such a range. Their content is lost. */
void rf_page_mover_empty(uintptr_t start, size_t size);

/* True until rf_page_mover_end: pages can be moved, and are closed where they have no memory. */
bool rf_page_mover_works(void);

/* Looks whether the descriptor was closed behind our back, or this is a child that was made so, and ends it then. */
void rf_page_mover_look(void);

/* In the child of a fork: a descriptor of its own, with which every range is to be registered again. */
bool rf_page_mover_renew(void);

/* No range is closed any more where it has no memory. */
void rf_page_mover_end(void);

/* ---- The system, again: page_posix.c ---- */

/* True where the process has no limit of data: RLIMIT_DATA counts all pages that may be written. */
bool rf_page_data_is_free(void);

/* True where pages that may be written but are not touched count for nothing: no RLIMIT_DATA, and memory is promised
 * freely. */
bool rf_page_writable_is_free(void);

/* A quarter of the memory that the machine or the process's control group has, or that its limits of data and of
 * address space leave it. */
size_t rf_page_memory_share(void);

/* A quarter of the process's limit of address space as it is now; SIZE_MAX where there is none. */
size_t rf_page_space_share(void);

/* The least memory limit of the control groups that `list` names, a file like /proc/self/cgroup, below the folder
 * `root`; SIZE_MAX where there is none. */
size_t rf_page_group_limit(const char *list, const char *root);

/* How many mappings the kernel allows a process, and how many it has; SIZE_MAX and 0 where that is not known. */
size_t rf_page_map_limit(void);
size_t rf_page_map_count(void);

/* A lock that a signal handler of the same thread cannot meet held: asynchronous signals are held back. */
typedef struct rf_page_mask {
  uint64_t opaque[16];
  bool nested; /* nothing was locked: this thread has it already */
} rf_page_mask;

/* Lets other threads run: to be called again and again until one of them has done what is waited for, with how often it
 * was called before. */
void rf_page_give_way(unsigned times);

/* The other two give way at most so many times: false where the lock could not be had. */
void rf_page_lock(rf_mutex *mutex, rf_page_mask *mask);
bool rf_page_try_lock(rf_mutex *mutex, rf_page_mask *mask, unsigned times);
bool rf_page_try(rf_mutex *mutex, unsigned times); /* signals are held back already */
void rf_page_unlock(rf_mutex *mutex, const rf_page_mask *mask);

/* ---- Blocks and runs ---- */

typedef enum rf_slot_state {
  SLOT_SPARE,  /* stands for nothing */
  SLOT_HOLE,   /* a free run of pages */
  SLOT_MAKING, /* about to become live */
  SLOT_LIVE,
  SLOT_SWEPT, /* live, and looked at by a sweep: who frees it waits */
  SLOT_HELD,  /* live, and being freed or resized */
  SLOT_FREED  /* in quarantine, or about to be */
} rf_slot_state;

typedef struct rf_page_origin {
  const rf_site *site;
  uintptr_t caller;
  uint32_t stack; /* of the depot; 0: none */
  uint32_t thread;
} rf_page_origin;

typedef struct rf_space rf_space;

/* A run of pages: a block's, or a hole. Written under the store's lock, or by the one thread that has it in state
 * MAKING or HELD, `state` last; the fault handler reads it as it finds it. */
typedef struct rf_slot rf_slot;
struct rf_slot {
  uint32_t state;  /* rf_slot_state, accessed atomically */
  uint32_t run;    /* first page of the run */
  uint32_t length; /* pages of the run, gap included */
  uint32_t first;  /* first page that is open */
  uint32_t pages;  /* so many are open */
  uint8_t family;
  uint8_t align_log2;
  bool kept;       /* freed, and its pages only shut */
  bool filled;     /* open, and full of the pattern of slack: no block is there yet */
  bool counted;    /* among the mappings that are allowed */
  bool restricted; /* the program has taken access rights from its pages; accessed atomically, as is the next */
  bool emptied;    /* and they may be zeros, slack included */
  rf_space *space;
  rf_slot *before; /* neighbours by address */
  rf_slot *after;
  rf_slot *previous; /* in a list of holes, or in quarantine */
  rf_slot *next;     /* the same, and of spare slots, and of freed ones that wait for the lock */
  uintptr_t block;
  size_t size;
  uint64_t serial;
  void *backing;
  rf_page_origin allocated;
  rf_page_origin released;
};

typedef enum rf_space_kind {
  SPACE_SMALL,  /* for blocks of some pages */
  SPACE_LARGE,  /* of many */
  SPACE_MOVING, /* of less than one, whose memory goes from one to the next */
  SPACE_KINDS
} rf_space_kind;

/* One piece of address space. Never moves; linked once it is complete. */
struct rf_space {
  rf_space *next; /* made before this one */
  uintptr_t start;
  uint32_t pages;
  rf_space_kind kind;
  bool moving;       /* pages are closed where they have no memory, which moves; accessed atomically */
  bool marks;        /* markers close its pages; false: access rights do, but for those that were armed before */
  bool locked;       /* some markers were refused; accessed atomically */
  uint32_t armed;    /* so many pages are closed by markers; accessed atomically */
  uint32_t capacity; /* slots */
  uint32_t used;     /* slots that were ever taken */
  uint32_t *owner;   /* for each page the number of the slot whose block is there + 1, or 0; accessed atomically */
  rf_slot *slots;
  rf_slot *spare;
  rf_slot *lowest; /* run */
  size_t record_bytes;
};

/* Pages are closed where they have no memory. Others may end that at any time. */
static inline bool rf_space_is_moving(const rf_space *space) {
  return __atomic_load_n(&space->moving, __ATOMIC_ACQUIRE);
}

#define RF_PAGE_BINS 32U
#define RF_PAGE_KINDS ((unsigned)SPACE_KINDS)
#define RF_PAGE_READY 1024U /* pages that keep their memory for blocks to come */
#define RF_PAGE_REOPENED 16U

struct rf_page_store {
  rf_page_store *other; /* in the list of all stores, which are never unmapped */
  uint32_t in_use;      /* by the list: 0 a store that may be made anew; accessed atomically */
  const void *owner;    /* while it is open; accessed atomically */
  uint16_t *tags;       /* of backing blocks; NULL: none are kept */
  size_t tags_mask;
  bool ended;
  rf_mutex lock;
  rf_page_store_options options;
  rf_space *spaces; /* accessed atomically */
  size_t next_space[RF_PAGE_KINDS];
  rf_slot *holes[RF_PAGE_KINDS][RF_PAGE_BINS];
  rf_slot *waiting; /* freed by signal handlers, to go to the quarantine; accessed atomically */
  rf_slot *oldest;  /* quarantine */
  rf_slot *newest;
  size_t quarantined;             /* bytes of address space */
  bool moving;                    /* some spaces are, or will be */
  rf_slot *ready;                 /* runs with a page that a freed block has left */
  unsigned ready_count;           /* and of those about to be */
  unsigned taken;                 /* slots in use and in quarantine */
  size_t opened;                  /* bytes */
  size_t memory;                  /* bytes that may be open at once */
  uint64_t declined RF_ATOMIC_64; /* requests for which there were no pages; accessed atomically */
  size_t reserved;
  uint64_t requested; /* bytes, ever */
  size_t closed_blocks;
  rf_counters counters;
  bool last_left; /* the block before went to the left */
  uint64_t lot;   /* state of the generator that a seed begins */
  rf_space *sweep_space;
  uint32_t sweep_at;
  uint64_t ended_at;       /* in order of ending */
  uint32_t reopened_count; /* pages that a fault opened so that the program could go on; atomically */
  uintptr_t reopened[RF_PAGE_REOPENED];
};

static inline rf_slot_state rf_slot_state_of(const rf_slot *s) {
  return (rf_slot_state)__atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

static inline void rf_slot_set_state(rf_slot *s, rf_slot_state state) {
  __atomic_store_n(&s->state, (uint32_t)state, __ATOMIC_RELEASE);
}

static inline uintptr_t rf_slot_open_start(const rf_slot *s) {
  return s->space->start + (uintptr_t)s->first * rf_page_size();
}

static inline uintptr_t rf_slot_open_end(const rf_slot *s) {
  return rf_slot_open_start(s) + (uintptr_t)s->pages * rf_page_size();
}

/* True for every state of a block that the program has. */
static inline bool rf_slot_is_live(const rf_slot *s) {
  rf_slot_state const state = rf_slot_state_of(s);
  return state == SLOT_LIVE || state == SLOT_SWEPT || state == SLOT_HELD;
}

/* Takes a live block for the calling thread alone; false where it is not live, or another thread has it. */
static inline bool rf_slot_take(rf_slot *s, rf_slot_state as) {
  uint32_t live = SLOT_LIVE;
  return __atomic_compare_exchange_n(&s->state, &live, (uint32_t)as, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* ---- Address space: page_runs.c ---- */

/* Closed pages after a block of so many: more behind larger ones, since strides are longer there. */
uint32_t rf_page_gap(uint32_t pages);

/* The kind of space for a block of so many pages. */
rf_space_kind rf_runs_kind(const rf_page_store *store, uint32_t pages);

/* A run of `length` pages taken out of a hole; NULL where there is none and no more address space. In state MAKING. */
rf_slot *rf_runs_take(rf_page_store *store, rf_space_kind kind, uint32_t length);

/* Address space for a first run; false where there is none. */
bool rf_runs_reserve(rf_page_store *store);

/* Makes the run at least `length` pages long, `wish` if there are so many; false where something is in the way. */
bool rf_runs_extend(rf_page_store *store, rf_slot *slot, uint32_t length, uint32_t wish);

/* The run becomes a hole, joined to those beside it. */
void rf_runs_give(rf_page_store *store, rf_slot *slot);

/* Notes the pages of the block as its own, or (false) as free. */
void rf_runs_mark(rf_slot *slot, bool mine);

/* The space that `address` lies in, or NULL. */
rf_space *rf_runs_space(const rf_page_store *store, uintptr_t address);

/* The slot whose block's pages `address` is on, or NULL. */
rf_slot *rf_runs_slot(const rf_page_store *store, uintptr_t address);

/* The slot whose block is nearest to `address`, which is on nobody's page, within `most` pages of its space to either
 * side; NULL where none is. */
rf_slot *rf_runs_nearest(const rf_page_store *store, uintptr_t address, uint32_t most);

/* ---- page_rights.c: blocks from whose pages the program has taken access rights ---- */

bool rf_page_is_restricted(const rf_slot *s);

/* Opens its pages where it is one; it stays one where the system refuses. By the thread that holds it. */
void rf_page_return_rights(rf_slot *s);

/* False where it is one, and its pages cannot be read, or slack of it may have been emptied. */
bool rf_page_can_be_read(const rf_slot *s);

/* ---- page_reopen.c ---- */

/* Opens the page of a fault, for the program to go on, filled with the pattern of what is there; one that got a live
 * block meanwhile is left alone. It is closed again by the next call on the store, or when there are too many. False
 * where the system refuses. Under the lock. */
bool rf_page_reopen(rf_page_store *store, const rf_slot *s, uintptr_t address);

/* Closes again the pages that faults have opened. Under the lock. */
void rf_page_reclose(rf_page_store *store);

/* ---- page_settle.c. Under the lock. ---- */

/* From now on markers close what was closed for want of memory. */
void rf_page_stop_moving(rf_page_store *store);

/* Registers all that moves anew, with the descriptor of a child; false where the system refuses. */
bool rf_page_register_again(const rf_page_store *store);

/* ---- page_registry.c ---- */

/* All stores that ever were, for the fault handler: the first, then by `other`. */
rf_page_store *rf_page_stores(void);
void rf_page_registry_add(rf_page_store *store);

/* The lock of opening and closing stores. */
void rf_page_registry_lock(rf_page_mask *mask);
void rf_page_registry_unlock(const rf_page_mask *mask);

static inline bool rf_page_store_in_use(const rf_page_store *store) {
  return __atomic_load_n(&store->in_use, __ATOMIC_ACQUIRE) != 0;
}

void rf_page_store_lock(rf_page_store *store, rf_page_mask *mask);

/* The same for the handler of a fault: pages that faults have opened stay open. Nothing is locked where this thread is
 * inside. */
void rf_page_store_lock_as_it_is(rf_page_store *store, rf_page_mask *mask);
void rf_page_store_unlock(rf_page_store *store, const rf_page_mask *mask);

/* The same without holding signals back, for what is done with each block. False where this thread is inside already:
 * the caller is a signal handler that interrupted it, and must do without. */
bool rf_page_enter(rf_page_store *store, rf_page_mask *mask);
void rf_page_leave(rf_page_store *store, const rf_page_mask *mask);

/* ---- page_mappings.c ---- */

/* For a store of so many blocks, 0 for any number: reads the kernel's limit anew where it may be reached, and what
 * pages that may be written count for. */
void rf_page_mappings_plan(size_t slots);

/* True where a space may be writable though little of it is used. */
bool rf_page_mappings_are_free(void);

/* Counts one more of the mappings that are allowed; false where there is none. rf_page_mapping_end gives it back. */
bool rf_page_mapping_begin(void);
void rf_page_mapping_end(void);

/* Logs, once, that the limit is near. */
void rf_page_mappings_report_full(const rf_page_store *store);

/* ---- page_close.c. Without the lock, by the one thread that has the pages. ---- */

/* Sees to it that pages of the space below number `end` can be opened. Under the lock. */
void rf_page_arm(rf_space *space, uint32_t end);

/* Pages of a space, whichever way they are closed. Opened ones show zeroes, or in locked memory anything. */
bool rf_page_open_range(rf_space *space, uintptr_t start, size_t size);
void rf_page_close_range(rf_space *space, uintptr_t start, size_t size);

/* Opens the pages of a block; false where the system refuses. */
bool rf_page_open_slot(rf_slot *s);

/* True where each block that is open takes mappings of the kernel's limit. */
bool rf_page_takes_mappings(const rf_slot *s);

/* True where opened pages show zeroes. */
bool rf_page_is_clean(const rf_slot *s);

/* Closes the pages of a block. */
void rf_page_drop(rf_slot *s);

/* The same for a freed block; a store that keeps pages may keep them. */
void rf_page_close_freed(const rf_page_store *store, rf_slot *s);

/* ---- page_move.c ---- */

/* Before a block is freed: the run that its memory may go to, or NULL. Takes the lock. */
rf_slot *rf_page_move_target(rf_page_store *store, const rf_slot *s);

/* Moves the memory of a freed block, which is closed then. Without the lock; false where the system refuses. */
bool rf_page_move_memory(rf_slot *to, const rf_slot *s);

/* Under the lock: the run is ready for a block, or (not moved) was not needed. */
void rf_page_move_end(rf_page_store *store, rf_slot *to, bool moved);

/* Under the lock: a run with its page open, or NULL. */
rf_slot *rf_page_ready_run(rf_page_store *store);

/* ---- page_quarantine.c. Under the lock. ---- */

/* Counts a block that was freed and closed, adds it, and gives up the oldest ones where there are too many bytes. */
void rf_page_enqueue(rf_page_store *store, rf_slot *s);

/* Without the lock: has it done by the next one who takes that. */
void rf_page_enqueue_later(rf_page_store *store, rf_slot *s);
void rf_page_enqueue_waiting(rf_page_store *store);

/* Takes the oldest block out; its run is the caller's. */
rf_slot *rf_page_unqueue_oldest(rf_page_store *store);

/* Gives up the oldest block. */
void rf_page_evict_oldest(rf_page_store *store);

/* ---- page_lookup.c. Under the lock. ---- */

/* The live block that starts at `ptr`, or NULL. Needs no lock where the program keeps the block. */
rf_slot *rf_page_live_at(const rf_page_store *store, const void *ptr);

/* The same, in state HELD and the caller's alone. Needs no lock. */
rf_slot *rf_page_hold(const rf_page_store *store, const void *ptr);

rf_page_block rf_page_describe(const rf_slot *s);

/* ---- page_backing.c ---- */

/* A table for so many slots; false where there is no memory. rf_backing_end frees it. */
bool rf_backing_begin(rf_page_store *store);
void rf_backing_end(rf_page_store *store);

/* The block is live, with its backing block; the block is not live any more, or has none. Under the lock. */
void rf_backing_add(rf_page_store *store, const rf_slot *s);
void rf_backing_remove(rf_page_store *store, const void *backing);

/* The live block whose backing block is `ptr`, or NULL. Under the lock. */
const rf_slot *rf_backing_find(const rf_page_store *store, const void *ptr);

/* ---- page_report.c ---- */

rf_page_origin rf_page_keep_origin(const rf_page_store *store, const rf_origin *origin);
rf_page_origin rf_page_keep_freeing(const rf_page_store *store, const rf_origin *origin); /* of a call that frees */
void rf_page_trace(const rf_page_store *store, const rf_page_origin *origin, rf_trace *out);

void rf_page_finding(const rf_page_store *store, rf_finding *f, rf_bug bug, rf_access access, const void *address,
                     const rf_origin *origin);
void rf_page_finding_block(const rf_page_store *store, rf_finding *f, const rf_slot *s);

/* Looks for disturbed slack of a live block, if its pages can be read. At most two findings, before and after the
 * block; the slack is written anew. Under the lock; the caller reports when it has left it. */
unsigned rf_page_inspect(const rf_page_store *store, const rf_slot *s, const rf_origin *origin, rf_finding found[2]);

/* The first wrong byte in the slack of the live block; NULL where there is none, or its pages cannot be read. */
const unsigned char *rf_page_damaged_slack(const rf_slot *s);

/* Writes the pattern to the slack of an open block, and to new memory. */
void rf_page_fill_slack(const rf_slot *s);

void rf_page_fill_new(const rf_page_store *store, unsigned char *at, size_t size);

void rf_page_report_each(const rf_page_store *store, rf_finding *found, unsigned count);

/* ---- page_fault.c ---- */

/* A fault at `address` was made at `pc`: reported where it is about a block of some store. True where the program may
 * try again, the page having been opened. */
bool rf_page_fault(uintptr_t address, rf_access access, uintptr_t pc, const void *frame);

/* ---- page_signal_stack.c ---- */

/* True once it is settled whether the calling thread has a stack of ours for handlers. */
bool rf_page_stack_is_settled(void);

/* Whether handlers and their stacks stay as they are: what rf_page_signals_keep sets. Lock-free. */
void rf_page_signals_set_kept(bool keep);
bool rf_page_signals_are_kept(void);

/* ---- page_signal.c ---- */

/* Installs the handler where it is not in place, and gives this thread a stack for it. Looks at each call whether it is
 * in place; `seldom`, at one in some, and when rf_page_signals_changed was called. */
void rf_page_watch(bool seldom);

#endif /* RINGFENCE_PAGE_IMPL_H */
