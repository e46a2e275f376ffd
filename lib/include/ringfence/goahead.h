/* GoAhead's memory allocator over Ringfence: code that was written for it compiles unchanged, and can be checked on a
 * host.
 *
 *     wopenAlloc(NULL, 64 * 1024, WEBS_USE_MALLOC);
 *     char *p = walloc(13);
 *     wfree(p);
 *     wcloseAlloc();
 *
 * Include this as <ringfence/goahead.h>, or add //lib/compat:goahead_paths to a target and include "goahead.h" as ever.
 * There are four generations of names for the same calls: walloc (GoAhead 3 and later), galloc (3.0), balloc (GoAhead
 * 2, which includes "uemf.h"), and alloc (openAlloc, closeAlloc: the allocator as described on its own). The short
 * names of the last, macros such as SHIFT among them, are left out where RF_GOAHEAD_NO_SHORT_NAMES is defined. The work
 * is done by rf_sizeclass.
 *
 * Better than the original: sizes have no int in between; the first opener's flags stay; a bad, foreign or
 * repeated free is refused and reported, of malloc'ed blocks too; the buffer is used to its last byte; all that was
 * malloc'ed is given back at the last close, which lists what is still live; a use after that opens again.
 *
 * Threads and interrupts: none may call while another does, as in the original. There is one heap for the program.
 *
 * In code that is built with sites (RF_SITES=1) the calls pass on where they were made. */
#ifndef RINGFENCE_GOAHEAD_H
#define RINGFENCE_GOAHEAD_H

#include <ringfence/allocator.h>
#include <ringfence/sizeclass.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef ptrdiff_t ssize;
typedef const void cvoid;
typedef const char cchar;

#ifndef PUBLIC
#define PUBLIC
#endif
#ifndef PRIVATE
#define PRIVATE static
#endif

/* Flags of an open. */
#define WEBS_USE_MALLOC 0x1 /* malloc serves what is above 64 KiB and what the buffer cannot */
#define WEBS_USER_BUF 0x2   /* the buffer is the caller's: follows from the arguments */

#define WEBS_DEFAULT_MEM (64 * 1024)
#define RF_GOAHEAD_LARGEST (1 << 30) /* the originals' sum of a larger class and its header wraps */
#define WEBS_MAX_CLASS RF_SIZECLASS_COUNT
#define WEBS_SHIFT 4
#define WEBS_ROUND ((1 << WEBS_SHIFT) - 1)
#define WEBS_MALLOCED 0x80000000
#define WEBS_FILL_CHAR (0x77)
#define WEBS_FILL_WORD (0x77777777)
#define WEBS_INTEGRITY 0x8124000
#define WEBS_INTEGRITY_MASK 0xFFFF000
#define WEBS_MAX_FILES 512          /* limits of the originals' statistics; */
#define WEBS_MAX_BLOCKS (64 * 1024) /* ours have others */

/* The header of a block, as the originals publish it; ours is another, so that nothing is to be read through this. */
typedef struct WebsAlloc {
  union {
    void *next;
    int size;
  } u;
  int flags;
} WebsAlloc;

/* Called with the size of each request that could not be served. Must not allocate. */
typedef void (*WebsMemNotifier)(ssize size);

/* Opens the heap over `bufsize` bytes at `buf`, the caller's until the last close; NULL: over `bufsize` bytes of
 * malloc's, 0 for WEBS_DEFAULT_MEM. While it is open, a further call only counts and ignores its arguments. 0, or -1
 * if malloc has no memory, or the size is negative or too small for a block. */
int wopenAlloc(void *buf, int bufsize, int flags);

/* Takes one open back; the last ends the heap: live blocks are listed on the log (rf_port_log) and gone. Nothing where
 * it is not open. */
void wcloseAlloc(void);

/* `size` bytes (0 allowed), aligned to RF_ALIGN_DEFAULT; NULL for a negative size, one above RF_GOAHEAD_LARGEST, and
 * where there is no memory. Opens by wopenAlloc(NULL, WEBS_DEFAULT_MEM, 0), that is without malloc for more, if nobody
 * has. */
void *walloc(ssize size);

/* Gives a block back. NULL does nothing; what is no live block is refused and reported. */
void wfree(void *mp);

/* Resizes: the same block where the size fits it (0 counts as 1), else another with the contents. NULL allocates. NULL,
 * and the block as it was, for a negative size and where there is no memory. */
void *wrealloc(void *mp, ssize newsize);

/* A copy of a string (NULL: of ""), or of `usize` bytes, in a new block; NULL where there is no memory. GoAhead's
 * runtime has an sclone of its own: a program that links it defines RF_GOAHEAD_NO_SCLONE, and its function takes the
 * place of ours. */
#ifndef RF_GOAHEAD_NO_SCLONE
char *sclone(const char *str);
#endif
void *wdup(cvoid *ptr, size_t usize);

/* Looks for `mp` among all live blocks, and reports where it is none of them. NULL is fine. */
void wvalid(cvoid *mp);

/* Replaces the notifier; NULL: none. */
void websSetMemNotifier(WebsMemNotifier cback);

/* ---- GoAhead 2 ---- */

#define B_USE_MALLOC WEBS_USE_MALLOC
#define B_USER_BUF WEBS_USER_BUF
#define B_DEFAULT_MEM WEBS_DEFAULT_MEM
#define B_MAX_CLASS WEBS_MAX_CLASS
#define B_SHIFT WEBS_SHIFT
#define B_ROUND WEBS_ROUND
#define B_MALLOCED WEBS_MALLOCED
#define B_FILL_CHAR WEBS_FILL_CHAR
#define B_FILL_WORD WEBS_FILL_WORD
#define B_INTEGRITY WEBS_INTEGRITY
#define B_INTEGRITY_MASK WEBS_INTEGRITY_MASK
#define B_MAX_FILES WEBS_MAX_FILES
#define B_MAX_BLOCKS WEBS_MAX_BLOCKS
#define B_L __FILE__, __LINE__
#define B_ARGS_DEC char *file, int line
#define B_ARGS file, line

typedef WebsAlloc bType;

/* Writes the statistics per class, and per call site where the code was built with sites, by `writefn` (as fprintf's
 * format and arguments, after the handle); NULL: to the log. */
void bstats(int handle, void (*writefn)(int handle, char *fmt, ...));

#define bopen(buf, bufsize, flags) wopenAlloc((buf), (bufsize), (flags))
#define bclose() wcloseAlloc()

/* With B_L before the arguments, or without: both are found in old code. */
#define rf_goahead_fifth_(a, b, c, d, e, ...) e
#define rf_goahead_b1_(call, mp) call(mp)
#define rf_goahead_b3_(call, file, line, mp) ((void)(file), (void)(line), call(mp))
#define rf_goahead_b2_(call, mp, size) call((mp), (size))
#define rf_goahead_b4_(call, file, line, mp, size) ((void)(file), (void)(line), call((mp), (size)))
#define rf_goahead_pick_(call, ...)                                                                                    \
  rf_goahead_fifth_(__VA_ARGS__, rf_goahead_b4_, rf_goahead_b3_, rf_goahead_b2_, rf_goahead_b1_, 0)(call, __VA_ARGS__)
#define balloc(...) rf_goahead_pick_(walloc, __VA_ARGS__)
#define bfree(...) rf_goahead_pick_(wfree, __VA_ARGS__)
#define bfreeSafe(...) rf_goahead_pick_(wfree, __VA_ARGS__)
#define bstrdup(...) rf_goahead_pick_(sclone, __VA_ARGS__)
#define bstrdupA(...) rf_goahead_pick_(sclone, __VA_ARGS__)
#define brealloc(...) rf_goahead_pick_(wrealloc, __VA_ARGS__)

/* ---- GoAhead 3.0; gstrdup is one of 2, too ---- */

#define G_USE_MALLOC WEBS_USE_MALLOC
#define G_USER_BUF WEBS_USER_BUF
#define G_DEFAULT_MEM WEBS_DEFAULT_MEM
#define G_MAX_CLASS WEBS_MAX_CLASS
#define G_SHIFT WEBS_SHIFT
#define G_ROUND WEBS_ROUND
#define G_MALLOCED WEBS_MALLOCED
#define G_FILL_CHAR WEBS_FILL_CHAR
#define G_FILL_WORD WEBS_FILL_WORD
#define G_INTEGRITY WEBS_INTEGRITY
#define G_INTEGRITY_MASK WEBS_INTEGRITY_MASK
#define G_MAX_FILES WEBS_MAX_FILES

#define gopenAlloc(buf, bufsize, flags) wopenAlloc((buf), (bufsize), (flags))
#define gcloseAlloc() wcloseAlloc()
#define galloc(size) walloc(size)
#define gfree(mp) wfree(mp)
#define grealloc(mp, newsize) wrealloc((mp), (newsize))
#define gstrdup(...) rf_goahead_pick_(sclone, __VA_ARGS__)
#define gstrdupA(...) rf_goahead_pick_(sclone, __VA_ARGS__)

/* ---- Short names ---- */

#ifndef RF_GOAHEAD_NO_SHORT_NAMES

#define USE_MALLOC WEBS_USE_MALLOC
#define USER_BUF WEBS_USER_BUF
#define DEFAULT_MEM WEBS_DEFAULT_MEM
#define MAX_CLASS WEBS_MAX_CLASS
#define SHIFT WEBS_SHIFT
#define ROUND WEBS_ROUND
#define MALLOCED WEBS_MALLOCED
#define FILL_CHAR WEBS_FILL_CHAR
#define FILL_WORD WEBS_FILL_WORD
#define INTEGRITY WEBS_INTEGRITY
#define INTEGRITY_MASK WEBS_INTEGRITY_MASK
#define ROUNDUP4(size) (((size) + 3) / 4 * 4)

typedef WebsAlloc Alloc;
typedef WebsMemNotifier MemNotifier;

/* As wopenAlloc, wcloseAlloc, walloc, websSetMemNotifier. */
int openAlloc(void *buf, int bufsize, int flags);
void closeAlloc(void);
void *alloc(int size);
void setMemNotifier(MemNotifier cback);

#endif

/* ---- Additions ---- */

/* Sets the fallback allocator from the next open on; NULL for the default, which is the C library's, or nothing where
 * there is none (an open then needs a buffer). Not while the heap is open. */
void rf_goahead_malloc_set(rf_allocator *allocator);

/* Makes what all calls go to of the heap: a checker around it, for example. NULL: the heap itself. Called at the next
 * open; at the last close its result is ended by rf_deinit. */
typedef rf_allocator *(*rf_goahead_wrap)(rf_allocator *heap, void *context);
void rf_goahead_wrap_set(rf_goahead_wrap wrap, void *context);

/* The heap or the checker around it; NULL while the heap is not open. */
rf_allocator *rf_goahead_allocator(void);

/* The calls with their site as an argument. */
void *rf_goahead_alloc_at(ssize size, const rf_site *site);
void rf_goahead_free_at(void *mp, const rf_site *site);
void *rf_goahead_realloc_at(void *mp, ssize newsize, const rf_site *site);
char *rf_goahead_sclone_at(const char *str, const rf_site *site);
void *rf_goahead_dup_at(cvoid *ptr, size_t usize, const rf_site *site);
void rf_goahead_valid_at(cvoid *mp, const rf_site *site);

#ifdef __cplusplus
}
#endif

#if RF_SITES && !defined(RINGFENCE_GOAHEAD_IMPL)
#define walloc(size) rf_goahead_alloc_at((size), RF_HERE)
#define wfree(mp) rf_goahead_free_at((mp), RF_HERE)
#define wrealloc(mp, newsize) rf_goahead_realloc_at((mp), (newsize), RF_HERE)
#ifndef RF_GOAHEAD_NO_SCLONE
#define sclone(str) rf_goahead_sclone_at((str), RF_HERE)
#endif
#define wdup(ptr, usize) rf_goahead_dup_at((ptr), (usize), RF_HERE)
#define wvalid(mp) rf_goahead_valid_at((mp), RF_HERE)
#ifndef RF_GOAHEAD_NO_SHORT_NAMES
/* With one argument; calls with more are another function's. */
#define rf_goahead_ninth_(a, b, c, d, e, f, g, h, i, ...) i
#define rf_goahead_alloc_(size) rf_goahead_alloc_at((size), RF_HERE)
#define rf_goahead_other_(...) alloc(__VA_ARGS__)
#define alloc(...)                                                                                                     \
  rf_goahead_ninth_(__VA_ARGS__, rf_goahead_other_, rf_goahead_other_, rf_goahead_other_, rf_goahead_other_,           \
                    rf_goahead_other_, rf_goahead_other_, rf_goahead_other_, rf_goahead_alloc_, 0)(__VA_ARGS__)
#endif
#endif

#endif /* RINGFENCE_GOAHEAD_H */
