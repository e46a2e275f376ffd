/* The places where a program may keep pointers: every mapping that it can write, without the heap's own.
 *
 * Roots are globals, thread-local storage, stacks from the stack pointer up, registers (the kernel or the caller put
 * them on the stack), and everything else that is mapped writable or was until relocation ended, or until the program
 * closed it. Memory that no program can have put an address in (pages never touched) is not read; in code that was made
 * at run time a word may begin at any byte; memory that cannot be read (devices, files cut short) is passed over.
 */
#ifndef RINGFENCE_DROPIN_ROOTS_H
#define RINGFENCE_DROPIN_ROOTS_H

#include "stop_the_world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct rf_range {
  uintptr_t start;
  uintptr_t end;
} rf_range;

/* A growing set of ranges in memory that the caller gave. */
typedef struct rf_ranges {
  rf_range *list;
  size_t capacity;
  size_t count;
} rf_ranges;

/* Adds a range; silently nothing where it is empty, false where there is no room. */
bool rf_ranges_add(rf_ranges *ranges, uintptr_t start, uintptr_t end);

/* Sorts by start. */
void rf_ranges_sort(rf_ranges *ranges);

/* Calls `visit` for each part of [start, end) that is in none of the sorted ranges, until it answers false: then false.
 * *passed: 0 before the first call; each next call is for a range that lies above. */
static inline bool rf_ranges_each_outside(const rf_ranges *sorted, size_t *passed, uintptr_t start, uintptr_t end,
                                          bool (*visit)(uintptr_t start, uintptr_t end, void *context), void *context) {
  bool more = true;
  while (*passed < sorted->count && sorted->list[*passed].end <= start) {
    ++*passed;
  }
  for (size_t i = *passed; more && i < sorted->count && start < end && sorted->list[i].start < end; i++) {
    rf_range const out = sorted->list[i];
    more = out.start <= start || visit(start, out.start, context);
    start = out.end > start ? out.end : start;
  }
  return more && (start >= end || visit(start, end, context));
}

/* Given words of memory, aligned. */
typedef void (*rf_words_fn)(const uintptr_t *words, size_t count, void *context);

typedef struct rf_roots {
  rf_ranges excluded; /* not roots: heap, records, dead parts of stacks; sorted before reading */
  size_t passed;      /* excluded ranges that lie below what is being read */
  rf_words_fn visit;
  void *context;
  unsigned char *buffer; /* RF_ROOTS_BUFFER bytes */
  int pages;             /* file descriptor of /proc/self/pagemap, or -1 */
  int memory;            /* of /proc/self/mem, or -1; RF_ROOTS_UNOPENED: nobody needed it yet */
  bool copies;           /* memory can be read by way of the kernel */
  bool only_written;     /* of what is being read, pages as they are in their file hold no pointers */
  bool only_untouched;   /* of what is being read, pages that have memory though this process never touched them */
  bool any_byte;         /* a word may begin at any byte of what is being read: code */
} rf_roots;

#define RF_ROOTS_BUFFER ((size_t)64 * 1024)
#define RF_ROOTS_UNOPENED (-2)

/* Opens what reading needs; `roots` is zeroed but for lists and buffer. */
void rf_roots_open(rf_roots *roots);
void rf_roots_close(rf_roots *roots);

/* Looks up where the library keeps its own data: once, at the beginning. The loader's lock, which this takes, may later
 * be held by a thread that waits to allocate, or, in a child of fork, by one that is not there. */
void rf_roots_init(void);

/* Adds the library's own segments; nothing where it is linked into the program. False where there is no room. */
bool rf_roots_add_library(rf_ranges *out);

/* Excludes the parts of stacks that are not in use: those of the stopped threads, and of the caller's, which is in use
 * from `sp` up. False where the system does not tell what this process has mapped, or there is no room. With the list
 * of threads locked. */
bool rf_roots_stacks(rf_roots *roots, rf_stopped *stopped, uintptr_t sp);

/* Hands all roots to `visit`. False where the system does not tell what is mapped. */
bool rf_roots_read(rf_roots *roots);

/* Hands over what rf_roots_read passes over since it is seldom needed and takes longer: pages of shared memory that
 * others wrote to and this process never touched here, and memory of no file that the program has closed. Nothing where
 * the system does not tell of pages. */
void rf_roots_read_rest(rf_roots *roots);

/* Hands the words of [start, end), which are aligned, to `visit`: those of pages that the program has closed, too,
 * where the kernel tells of them (/proc/self/mem); else these are passed over, where memory can be copied at all. */
void rf_roots_copy_range(rf_roots *roots, uintptr_t start, uintptr_t end);

/* The same of any range; pages that were never touched are passed over. */
void rf_roots_read_range(rf_roots *roots, uintptr_t start, uintptr_t end);

/* Hands the words of the first `size` bytes of the buffer to `visit`, with any_byte those that begin at any byte of it.
 * The buffer is changed. */
void rf_roots_visit_buffer(rf_roots *roots, size_t size);

/* True where the name of a mapping or a descriptor begins with `start`. */
static inline bool rf_roots_begins(const char *name, const char *start) {
  return strncmp(name, start, strlen(start)) == 0;
}

#endif /* RINGFENCE_DROPIN_ROOTS_H */
