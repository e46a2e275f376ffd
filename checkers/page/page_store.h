/* The store of blocks on pages of their own: what modes page and sample, and the drop-in, have in common. Internal to
 * checkers/.
 *
 * Address space is reserved in large pieces (spaces) that are closed to the program. A block gets a run of pages there:
 * as many as it needs are opened, and a gap of pages that stay closed follows. A free closes the pages and drops what
 * was in them; the run is not used again before it has left the quarantine, which is bounded in bytes of address space
 * and in blocks. page_close.c says how pages are closed.
 *
 *     space:   | closed | block A | gap ...... | block B | gap ...... | free run ................ | closed |
 *     right:                      | slack FD.. | size bytes | slack FD.. |   the last bytes of the last page
 *     left:                       | size bytes | slack FD.................|   the first bytes of the first page
 *
 * Slack is there where alignment or the other side demands it; it is filled and checked to the byte when the block is
 * freed, resized or swept. Descriptions of blocks stand apart, in memory that is mapped for them alone: no stray write
 * of the program comes near.
 *
 * A touch of what is closed raises a signal. page_fault.c looks the address up here and makes the finding.
 *
 * Complexity: one system call to open a block, one to close it, a short search for a run. Memory: pages, and about 200
 * bytes for each block in use or in quarantine, from the system.
 * Threads: every function may be called by any thread at any time, and after fork in the child. The lock is held for
 * the search alone: pages are opened, closed, filled and compared by the thread whose block it is, meanwhile. Handlers
 * may call as well: one that interrupts its own thread in there gets no block and no resize, and what it frees is
 * closed at once, though in quarantine a little later.
 */
#ifndef RINGFENCE_PAGE_STORE_H
#define RINGFENCE_PAGE_STORE_H

#include <ringfence/guard.h>
#include <ringfence/page.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_page_store rf_page_store;

/* One live block. */
typedef struct rf_page_block {
  void *ptr;
  size_t size;
  rf_family family;
  uint64_t serial; /* how many the store had served before it */
  void *backing;
  const rf_site *site; /* of its allocation; NULL: none was recorded */
} rf_page_block;

typedef struct rf_page_store_options {
  const char *allocator; /* for findings; static strings */
  const char *mode;
  rf_reporter *reporter;
  rf_stack_depot *depot; /* NULL: callers only */
  unsigned stack_depth;
  rf_page_side side;
  size_t quarantine;   /* bytes of address space of freed blocks */
  size_t fill_alloc;   /* fill at most so many bytes of each new block */
  unsigned slots;      /* blocks at once, in use and in quarantine together; 0: as many as the system allows */
  size_t largest;      /* bytes of the largest block; 0: any */
  size_t space;        /* with slots: bytes of address space at most, but for what one block needs; 0: what all need */
  size_t memory;       /* bytes of pages that may be open at once; 0: a share of what there is */
  uint64_t seed;       /* as of rf_page_options */
  bool watches_seldom; /* whoever installs handlers says so by rf_page_signals_changed, nearly always */
  bool moves_pages; /* small blocks get the memory of freed ones, where the system allows it: quicker. Whoever sets it
                           sees to rf_page_store_settle and rf_page_store_keeps_descriptor */
  bool shows_pages; /* pages are closed by their rights, which /proc/self/maps tells: for few blocks */
  bool keeps_pages; /* what fits one page keeps it when it is freed, for the next block there: quicker */
  const char *note; /* the detail of findings at a fault; or NULL */
  const char *read_all; /* that of reads as of a program that reads all of its mappings; or NULL: as others */
  const char *fallback; /* what becomes of blocks that get no pages, for the one line that says so */
  const void *owner;    /* the rf_allocator that it serves; NULL: the drop-in */
  bool backing;         /* rf_page_store_backed_by is asked, and so there are `slots` */
} rf_page_store_options;

/* A store, which needs no storage of the caller's; NULL where the system has no pages to close (bare targets) or no
 * memory. Also sees to it that faults are noticed (page_fault.c). */
rf_page_store *rf_page_store_open(const rf_page_store_options *options);

/* Reserves address space now rather than at the first block; false where the system refuses. */
bool rf_page_store_reserve(rf_page_store *store);

/* Ends it. Its pages stay closed, and what touches them is found, until some other stores have come and gone. */
void rf_page_store_close(rf_page_store *store);

/* True where an open store is of `owner`, which is not looked at. Lock-free. */
bool rf_page_store_has_owner(const void *owner);

/* Bounds of the spaces of all stores: `size` bytes from `low`, which only ever grow. They are put apart from
 * the program's own mappings where there is address space enough, so that little else lies between them. */
typedef struct rf_page_bounds {
  uintptr_t low; /* accessed atomically, as is the next; where it falls, the size has grown before */
  size_t size;
} rf_page_bounds;

extern rf_page_bounds rf_page_all;

/* False where `ptr` is certainly in no store's spaces. */
static inline bool rf_page_may_be(const void *ptr) {
  uintptr_t const low = __atomic_load_n(&rf_page_all.low, __ATOMIC_ACQUIRE);
  return (uintptr_t)ptr - low < __atomic_load_n(&rf_page_all.size, __ATOMIC_RELAXED);
}

/* True where `ptr` lies in the store's spaces. Lock-free. */
bool rf_page_store_owns(const rf_page_store *store, const void *ptr);

/* Larger blocks get no pages: address space is reserved without asking whether there is memory for it, and a program
 * that asks for too much is to be told so. */
#if UINTPTR_MAX > UINT32_MAX
#define RF_PAGE_LARGEST ((size_t)1 << 30)
#else
#define RF_PAGE_LARGEST ((size_t)64 << 20)
#endif

/* From this size on a realloc had better grow a block in place than copy it. */
#define RF_PAGE_GROWS_FROM ((size_t)128 * 1024)

/* A request for a block. */
typedef struct rf_page_request {
  size_t size;
  size_t align;
  size_t room;      /* bytes of address space to keep closed behind the block, for it to grow */
  const void *like; /* lie in the first page as this block does, so that pages can be moved; NULL: as the options say */
  rf_family family;
  bool zeroed;
  void *backing; /* what the caller keeps with the block */
} rf_page_request;

/* A block, or NULL where there is no room, no slot, no memory left of what may be open, the kernel's limit of mappings
 * is near (which is said once), or a signal handler asks that interrupted this thread in here. */
void *rf_page_store_alloc(rf_page_store *store, const rf_page_request *request, const rf_origin *origin);

/* Frees a pointer that rf_page_store_owns. RF_OK and the freed block, or the reason for which it was refused,
 * reported. `size` is what a sized delete believes, else SIZE_MAX. */
rf_status rf_page_store_free(rf_page_store *store, void *ptr, rf_family family, size_t size, const rf_origin *origin,
                             rf_page_block *freed);

/* Before a free by a call that names an alignment: reports a live block of this family at `ptr` that has another one.
 * RF_ALIGN_DEFAULT is the smallest. */
void rf_page_store_expect_align(const rf_page_store *store, const void *ptr, rf_family family, size_t align,
                                const rf_origin *origin);

/* Refuses and reports `ptr`, which is in the store's spaces and starts no live block. */
rf_status rf_page_store_refuse(rf_page_store *store, void *ptr, const rf_origin *origin);

/* Reports `ptr`, which is not in this store, as a block of another one where it is that: the status then, else RF_OK.
 * Stores whose owner is `below`, or an allocator below that, are no others: one checker may wrap another. */
rf_status rf_page_store_refuse_others(const rf_page_store *store, rf_allocator *below, const void *ptr,
                                      const rf_origin *origin);

/* Fills *out; false where no live block starts at `ptr`. */
bool rf_page_store_find(rf_page_store *store, const void *ptr, rf_page_block *out);

/* ---- Backing blocks: where a store is to find a live block by what its caller keeps with it ----
 *
 * A table over the addresses has a tag for each backing block: none in the place of a pointer says that it is none, in
 * one load, and the tag that is there nearly always settles the rest. */

typedef struct rf_page_backing {
  const uint16_t *tags; /* accessed atomically; 0: none */
  size_t mask;          /* places - 1, a power of two - 1 */
} rf_page_backing;

/* The table, for as long as the store is open. */
rf_page_backing rf_page_store_backing(const rf_page_store *store);

#define RF_PAGE_BACKING_SHIFT 4U /* allocators align to so many bits, mostly */

/* False where `ptr` is certainly no backing block. Lock-free. */
static inline bool rf_page_may_be_backing(const rf_page_backing *backing, const void *ptr) {
  size_t const place = (uintptr_t)ptr >> RF_PAGE_BACKING_SHIFT & backing->mask;
  return __atomic_load_n(&backing->tags[place], __ATOMIC_RELAXED) != 0;
}

/* Fills *out with the live block whose backing block is `ptr`; false where there is none. */
bool rf_page_store_backed_by(rf_page_store *store, const void *ptr, rf_page_block *out);

/* Keeps `backing block`, NULL for none, with the live block at `ptr` from now on. */
void rf_page_store_set_backing(rf_page_store *store, const void *ptr, void *backing);

/* Checks the slack and changes the size in place: RF_OK, RF_ERR_NO_MEMORY where there is no room behind the block, or
 * as free. New bytes are filled as new memory. */
rf_status rf_page_store_resize(rf_page_store *store, void *ptr, size_t size, const rf_origin *origin);

/* False where a block that is to end with its page would no longer do so, were its size changed in place. */
bool rf_page_store_ends_as_well(const rf_page_store *store, size_t old_size, size_t size);

/* Live blocks in the order of their addresses; false from the visitor ends it. The visitor may call the store. */
void rf_page_store_each(rf_page_store *store, bool (*visit)(const rf_page_block *block, void *context), void *context);

/* True where `ptr` starts a block that was freed, and whose pages serve no other yet. Lock-free. */
bool rf_page_store_is_freed(const rf_page_store *store, const void *ptr);

/* Sets *out to where the block at `ptr` was allocated; false where there is no block. */
bool rf_page_store_allocated(rf_page_store *store, const void *ptr, rf_trace *out);

/* Reports the live block at `ptr` as leaked; false where there is none. It stays live. */
bool rf_page_store_report_leak(rf_page_store *store, const void *ptr, const char *detail);

/* Checks the slack of live blocks for about `budget_ns` (0: all of it), going on where the last sweep stopped. Returns
 * the number of findings. */
size_t rf_page_store_sweep(rf_page_store *store, uint64_t budget_ns, const rf_origin *origin);

/* As a sweep, but tells of the first damage instead of reporting it. */
bool rf_page_store_damaged(rf_page_store *store, rf_fault *where);

typedef struct rf_page_figures {
  rf_counters counters;  /* of the blocks served */
  uint64_t bytes;        /* ever asked for, of these */
  size_t open_bytes;     /* pages that are open */
  size_t closed_blocks;  /* freed blocks in quarantine */
  size_t closed_bytes;   /* their address space */
  size_t reserved_bytes; /* address space in all */
  uint64_t declined;     /* requests that got no pages */
} rf_page_figures;

void rf_page_store_figures(rf_page_store *store, rf_page_figures *out);

/* The same without the lock, which a thread may never give back: a change that is under way may be in it by half. */
void rf_page_store_figures_unlocked(const rf_page_store *store, rf_page_figures *out);

/* The address ranges that hold blocks, and those that hold the store's own data, for leak scans: number `index`, false
 * where there are not so many. */
bool rf_page_store_space(const rf_page_store *store, unsigned index, uintptr_t *start, uintptr_t *end);
bool rf_page_store_own_memory(const rf_page_store *store, unsigned index, uintptr_t *start, uintptr_t *end);

/* The block that was freed at `ptr`, or that it lies in, becomes the finding's. Locks nothing. */
void rf_page_store_tell_of(const rf_page_store *store, const void *ptr, rf_finding *f);

/* The same, of whichever store has such a block. */
void rf_page_tell_of(const void *ptr, rf_finding *f);

/* For a call that had the system access the `size` bytes at `start` (0: not known how many), and failed: reports the
 * first of the `look` bytes there that is closed. False where none is. Locks nothing. */
bool rf_page_store_report_transfer(const rf_page_store *store, const void *start, size_t look, size_t size,
                                   rf_access access, const rf_origin *origin);

/* Handlers of SIGSEGV or SIGBUS were installed. Any thread, signal handlers. */
void rf_page_signals_changed(void);

/* Whether the store's handler runs on the threads' stacks for signal handlers, as it does at first, or on their own:
 * for a program that has made such a stack that is too small for it. Any thread. */
void rf_page_signals_use_stack(bool use);

/* The stack for handlers that the calling thread was given by rf_page_give_stack, of *size bytes; NULL: none. */
void *rf_page_given_stack(size_t *size);

/* The calling thread's stack for signal handlers, which ends there, was freed, or (0) is another one now: a signal that
 * the system cannot hand over for that is a finding. */
void rf_page_signals_stack_freed(uintptr_t end);

/* True: handlers and stacks for signals stay as they are now, and the system is not asked for them any more. The
 * program is about to forbid itself such calls. False: as before. Any thread. */
void rf_page_signals_keep(bool keep);

/* A program that comes by exec begins without handlers, but ignores what is ignored. Where the store's handler stands
 * in front of SIG_IGN, this puts SIG_IGN in place; true where it did: then rf_page_signals_ignored puts the handler
 * back, if the exec fails, or when a child has begun. With `stay`, new blocks do not put it back before; not in a child
 * of vfork, whose parent is left as it is. Meanwhile a touch of closed pages ends the process. Any thread. */
bool rf_page_signals_ignore(bool stay);
void rf_page_signals_ignored(void);

/* True where rf_page_signals_ignore would. Any thread. */
bool rf_page_signals_stand_before_ignoring(void);

/* Where *action, a struct sigaction of `signal`, has the store's handler: puts the one that it stands in front of into
 * *action, which is what the program believes to be in place. Any thread, signal handlers. */
void rf_page_unwrap(int signal, void *action);

/* Gives the live block at `ptr` its rights back now. By the thread that is about to resize or to free it. */
void rf_page_store_return_rights(const rf_page_store *store, const void *ptr);

/* Calls `change`, which takes rights from pages of the program's, and returns its answer: while nobody compares slack,
 * where there are live blocks. Any thread, signal handlers. */
int rf_page_store_unseen(rf_page_store *store, const void *start, size_t size, int (*change)(void *), void *context);

/* The program has forbidden itself to read or to write these `size` bytes (mprotect): live blocks there get their
 * rights back before they are freed or resized. Any thread, signal handlers; lock-free. */
bool rf_page_store_restricted(const rf_page_store *store, const void *start, size_t size);

/* The same, and these pages may be zeros from now on, be it in children alone: slack among them is written anew before
 * its block is freed, and not compared until then. */
bool rf_page_store_emptied(const rf_page_store *store, const void *start, size_t size);

/* True where something was taken from the pages of the live block that has `address` on them. As the next. */
bool rf_page_store_is_restricted(const rf_page_store *store, const void *address);

/* The end of the live block that `address` lies in, and from whose pages nothing was taken; 0: it is in none. Any
 * thread, signal handlers; lock-free. */
uintptr_t rf_page_store_block_end(const rf_page_store *store, const void *address);

/* Sees to it now that faults are noticed, as each new block does. Any thread, signal handlers. */
void rf_page_store_watch(const rf_page_store *store);

/* The function at `handler`, one of three arguments, asks rf_page_settle: while it is in place, no other one is put
 * there. Once, before the first store is opened. */
void rf_page_served_by(uintptr_t handler);

/* The calling thread gets a stack for signal handlers, if it has none, as threads that are given blocks do. */
void rf_page_give_stack(void);

/* Has `hold` asked of each signal that was sent, with the handler's siginfo_t and context; true: it is to come later,
 * and nobody handles it now. Once, before the first store is opened. */
void rf_page_held_by(bool (*hold)(const void *info, void *context));

/* Has `settle` asked of each fault before the store is, with the handler's siginfo_t and context; true: it is settled,
 * and the program goes on. Puts the store's handler in place, unless the one of rf_page_served_by is there. Again
 * whenever handlers were installed. */
void rf_page_settle_also(bool (*settle)(const void *info, void *context));

/* For that handler, with its siginfo_t and its context: true where the fault was a touch of closed pages, or
 * settled otherwise. It is reported then, and the program can go on. True also of a signal that was sent and is held
 * (rf_page_held_by). */
bool rf_page_settle(const void *info, void *context);

/* The one descriptor that stores keep open, which the program may not close: it does not know of it. 0 or less: none.
 * Any thread, signal handlers. */
int rf_page_store_kept_descriptor(void);

static inline bool rf_page_store_keeps_descriptor(int file) {
  return file > 0 && file == rf_page_store_kept_descriptor();
}

/* From now on the stores make no calls but those of memory, and keep no descriptor: the program is about to restrict
 * itself. Any thread, signal handlers. */
void rf_page_store_settle(void);

/* Takes and gives back the locks of all stores: around fork, and while other threads are stopped. Between the two the
 * calling thread may call any function above. rf_page_fork_register does it for forks, where nobody else does. */
void rf_page_lock_all(void);
void rf_page_unlock_all(void);

/* The same, for who keeps other threads from going on: the handler of a signal that interrupted one of them with a lock
 * may wait for that. False, with no lock held, where they could not be had in about 20 ms. */
bool rf_page_try_lock_all(void);
void rf_page_unlock_all_in_child(void); /* of fork */
void rf_page_fork_register(void);

/* The place of all stores' block descriptions, for tools/gdb/ringfence.py. The first number changes with the meaning
 * of the rest. */
extern const uintptr_t rf_page_debugger[];

/* Why a mode cannot be had here: a static phrase; NULL where it can. */
const char *rf_page_store_why_not(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_PAGE_STORE_H */
