/* The finding: one record for every bug that any checker finds, and what is done with it.
 *
 * A finding is made in fixed storage, without allocating and without locks, so that it can be made while the heap is
 * corrupt and inside a signal handler. Renderings (report_text.h, report_json.h) read the record; they never look
 * at the heap again.
 */
#ifndef RINGFENCE_FINDING_H
#define RINGFENCE_FINDING_H

#include <ringfence/frames.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of bug, with AddressSanitizer's names (rf_bug_name) and their CWE (rf_bug_cwe). */
typedef enum rf_bug {
  RF_BUG_BUFFER_OVERFLOW,  /* heap-buffer-overflow, 122 (126 when a read) */
  RF_BUG_BUFFER_UNDERFLOW, /* heap-buffer-underflow, 124 (127 when a read) */
  RF_BUG_USE_AFTER_FREE,   /* heap-use-after-free, 416 */
  RF_BUG_DOUBLE_FREE,      /* double-free, 415 */
  RF_BUG_BAD_FREE,         /* bad-free, 590; 761 when the pointer lies inside a block */
  RF_BUG_DEALLOC_MISMATCH, /* alloc-dealloc-mismatch, 762 */
  RF_BUG_SIZE_MISMATCH,    /* new-delete-type-mismatch, 762: sized delete with another size */
  RF_BUG_LEAK,             /* memory-leak, 401 */
  RF_BUG_METADATA,         /* metadata-corruption, 123: the allocator's own data were overwritten */
  RF_BUG_SIZE_TOO_BIG,     /* allocation-size-too-big, 190 */
  RF_BUG_CALLOC_OVERFLOW,  /* calloc-overflow, 190 */
  RF_BUG_BAD_ALIGNMENT,    /* invalid-allocation-alignment, 190 */
  RF_BUG_ENDED,            /* use-after-deinit, 672: the allocator itself was ended */
  RF_BUG_STALE_HANDLE,     /* stale-handle, 825: the handle of a freed block was used */
  RF_BUG_BAD_HANDLE,       /* bad-handle, 763: what was used as a handle never was one of this heap */
  RF_BUG_USE_AFTER_MOVE,   /* use-after-move, 825: an address was kept though the heap could move the block */
  RF_BUG_UNLOCK,           /* unlock-without-lock, 832 */
  RF_BUG_FREE_LOCKED,      /* free-while-locked, 826 */
  RF_BUG_REENTRY,          /* reentrant-call, 1265: the allocator was called from a callback of its own */
  RF_BUG_BAD_USABLE_SIZE,  /* bad-malloc_usable_size, 687: asked of a pointer that is no live block */
  RF_BUG_SEGV, /* SEGV, 119 (476: NULL; 674: no stack left): a fault that no other kind explains; ends the process */
  RF_BUG_BUS,  /* BUS, 119: the same with SIGBUS */
  RF_BUG_ILL,  /* ILL, 758: the same with SIGILL */
  RF_BUG_FPE,  /* FPE, 369: the same with SIGFPE */
  RF_BUG_STOPPED_OVERFLOW, /* buffer-overflow, 120: the C library stopped a write longer than its destination */
  RF_BUG_STACK_OVERFLOW,   /* stack-buffer-overflow, 121: the same on the stack, or found after it was done */
  RF_BUG_COUNT
} rf_bug;

/* "heap-buffer-overflow" and the like; "unknown-bug" outside the enumeration. */
const char *rf_bug_name(rf_bug bug);

/* True for SEGV, BUS, ILL and FPE: the process dies of the signal, with its status. */
bool rf_bug_is_crash(rf_bug bug);

/* True, and *bug set, where `name` (`length` bytes) is one of those names. */
bool rf_bug_from_name(const char *name, size_t length, rf_bug *bug);

/* How the memory was touched, as far as known. */
typedef enum rf_access { RF_ACCESS_UNKNOWN, RF_ACCESS_READ, RF_ACCESS_WRITE, RF_ACCESS_FREE } rf_access;

/* The number of the kind's CWE: 122 for a write past the end, 126 for a read. */
unsigned rf_bug_cwe(rf_bug bug, rf_access access);

#define RF_WINDOW 64

/* A byte of the window around the damage. */
typedef enum rf_byte_class {
  RF_BYTE_OTHER,   /* neither the block nor its guards */
  RF_BYTE_HEADER,  /* the checker's own record */
  RF_BYTE_GUARD,   /* a guard byte that is intact */
  RF_BYTE_USER,    /* the block's */
  RF_BYTE_FREED,   /* the block's, carrying the fill of freed memory */
  RF_BYTE_BAD,     /* a guard or fill byte that was overwritten */
  RF_BYTE_LEFT_OUT /* not kept, for privacy: its value is 0 */
} rf_byte_class;

/* The letter that stands for a class in renderings: . h g u f ! ?, which also stands for a number that is no class */
char rf_byte_letter(unsigned byte_class);

typedef struct rf_finding {
  rf_bug bug;
  unsigned cwe;
  rf_access access;
  bool at_access;     /* noticed while it happened: `found` is the instruction that did it */
  bool freed;         /* the block was already free */
  size_t access_size; /* bytes touched, as far as seen (damaged bytes, first to last); 0 unknown */

  uintptr_t address; /* the first byte touched, or the pointer that was handed in */
  uintptr_t block;   /* start of the block it concerns; 0 where there is none */
  size_t size;       /* its requested size; for leaks of several blocks, bytes in sum */
  size_t blocks;     /* how many blocks: 1, or more for leaks of one origin */
  /* address - block: negative before the block, 0 … size-1 inside, from size on after it. */
  ptrdiff_t offset;

  /* Bytes around the damage as they were found, and as they should be where class is RF_BYTE_BAD. */
  uintptr_t window_address;
  unsigned window_size; /* 0: nothing to show */
  unsigned char window[RF_WINDOW];
  unsigned char expected[RF_WINDOW];
  unsigned char window_class[RF_WINDOW]; /* rf_byte_class */

  const char *allocator; /* name of the checked allocator, static */
  const char *mode;      /* "guard", "page", "sample" */
  const char *detail;    /* a static phrase on what was seen, or NULL */

  /* The wrong call. */
  size_t argument; /* an alignment, the count of a calloc, the size given to the deallocation, a handle; else 0 */
  const char *allocation;   /* mismatches: by what the block was allocated ("operator new", "tlsf"); else NULL */
  const char *deallocation; /* mismatches: by what it was freed; else NULL */

  rf_trace found;     /* where it was noticed: the faulting access, or the free, check or exit */
  rf_trace allocated; /* of the block */
  rf_trace released;  /* of the block, when freed; of a moved one, where its address was last asked for */

  uint64_t time_ns;  /* rf_port_now_ns when found */
  uint64_t sequence; /* 1, 2, 3 … per reporter */
  uint32_t process;  /* its id; 0 on targets without processes */
} rf_finding;

/* "3 bytes after 16-byte block" and the like, from offset and size: writes the number of bytes to *distance and returns
 * "before", "inside" or "after". */
const char *rf_finding_relation(const rf_finding *f, size_t *distance);

/* For merging duplicates within a process: equal keys are the same bug, that is the same kind, allocator and innermost
 * places of finding and allocation. Across processes compare module and offset instead (docs/checkers/findings.md). */
uint64_t rf_finding_key(const rf_finding *f);

/* The place that a SUMMARY names: of the allocation where the finding was made after the fact (damage, leak), or by
 * nobody's call (at the end of a process), else of the call that was found wrong. */
const rf_trace *rf_finding_place(const rf_finding *f);

/* The next step after a report. */
typedef enum rf_action {
  RF_ACTION_HALT,    /* end the process with the exit code (bare targets: rf_port_panic) */
  RF_ACTION_CONTINUE /* go on; the operation was refused or the damage is left as it is */
} rf_action;

/* The receiver of findings. One reporter may serve many checkers and threads. reporter.h makes the full one; a callback
 * is a reporter filled in by hand:
 *
 *     static rf_action count(rf_reporter *self, const rf_finding *f) {
 *       ++*(int *)self->context;
 *       return RF_ACTION_CONTINUE;
 *     }
 *     rf_reporter reporter = {count, &findings, RF_EXITCODE_DEFAULT, 0};
 */
typedef struct rf_reporter rf_reporter;
struct rf_reporter {
  /* Receives each finding, sequence, time, process and thread filled in. Called by whichever thread finds, inside the
   * checker: it must not call the checked allocator, and must return: left by longjmp or an exception, the call that
   * found would be half done, and other threads' findings would wait. The answer says whether to go on. */
  rf_action (*report)(rf_reporter *self, const rf_finding *f);
  void *context;
  int exitcode;      /* of RF_ACTION_HALT; RF_EXITCODE_ABORT: by a signal */
  uint64_t sequence; /* findings so far */
};

/* The exit code of a process that was halted by a finding, unless the option `exitcode` says otherwise. */
#define RF_EXITCODE_DEFAULT 99

/* In place of an exit code: the process ends by SIGABRT, whatever its handler, and leaves a core dump where the system
 * writes these (`ulimit -c unlimited`). */
#define RF_EXITCODE_ABORT (-1)

/* The reporter of checkers that are given none: a few lines to rf_port_log, then the end. */
rf_reporter *rf_reporter_plain(void);

/* Completes `f` and hands it to `reporter`, then obeys the answer: on RF_ACTION_HALT the process ends at once (_exit:
 * no exit handlers and no stdio flush, which could call the broken heap; bare targets panic).
 *
 * Findings of several threads are reported whole, one after the other. A finding made while this thread reports (a
 * signal, a fault in the report itself) is reported within the other one rather than waiting for ever. */
void rf_report(rf_reporter *reporter, rf_finding *f);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_FINDING_H */
