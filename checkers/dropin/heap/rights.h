/* Pages of blocks from which the program has taken access rights (mprotect). glibc takes such a block back without a
 * look at them, so a free does the same here: its pages are opened first. Where they are not there, the block is never
 * given out again. Blocks with such pages that live are checked as far as the bytes around them can be read.
 *
 * Pages that the program has the system empty (madvise), or that its children find empty, are those of its block alone
 * to glibc, also where the block ends within the last of them. Here guard bytes lie behind it: a page that is all zeros
 * is taken for emptied, and mended before the block is freed.
 *
 * Pages that the program unmaps, or puts a mapping of its own in the place of, are no longer the heap's: nothing in
 * their span is read or written by checks and frees any more, and no block that is freed there is given out again. */
#ifndef RINGFENCE_DROPIN_RIGHTS_H
#define RINGFENCE_DROPIN_RIGHTS_H

#include "check.h"

/* True where any of these `size` bytes are the heap's. Any thread, signal handlers; lock-free. */
bool rf_heap_lies_in(const void *start, size_t size);

/* The program has forbidden itself to read or to write these `size` bytes, or is about to have them kept from children.
 * True where any of them are the heap's. Any thread, signal handlers; lock-free. */
bool rf_heap_restricted(const void *start, size_t size);

/* The same, and these pages may be zeros from now on, be it in children alone. */
bool rf_heap_emptied(const void *start, size_t size);

/* The same of pages that the program has unmapped, or has replaced by a mapping of its own. */
bool rf_heap_replaced(const void *start, size_t size);

/* True where something was taken from the span that `address` lies in. Any thread; lock-free. */
bool rf_heap_is_restricted(const void *address);

/* The end of the live large block that `address` lies in, and from which nothing was taken; 0: it is in none. Any
 * thread; lock-free. */
uintptr_t rf_heap_large_end(const void *address);

static inline bool rf_span_is_restricted(const rf_span *span) {
  return __builtin_expect(__atomic_load_n(&span->restricted, __ATOMIC_RELAXED), 0);
}

static inline bool rf_span_is_replaced(const rf_span *span) {
  return rf_span_is_restricted(span) && __atomic_load_n(&span->replaced, __ATOMIC_RELAXED);
}

/* Opens the pages of the block and of the guard bytes around it, where its span is restricted: before it is freed or
 * resized, by the thread that does it. False where this process has not got them all, or they were replaced. */
bool rf_rights_return(const rf_view *view);

/* False where the span is restricted, and the bytes that a check compares cannot be read, or may have been emptied. */
bool rf_rights_allow_check(const rf_view *view);

/* The same of what can be read alone: of a byte near the block, and of all that a check compares (readable.c). */
bool rf_rights_allow_byte(const rf_view *view, const void *p);
bool rf_rights_allow_look(const rf_view *view);

#endif /* RINGFENCE_DROPIN_RIGHTS_H */
