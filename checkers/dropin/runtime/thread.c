#define _GNU_SOURCE
#include "thread.h"

#include "checkers/dropin/os/raw_syscall.h"
#include "checkers/os/forbidden_calls.h"
#include "checkers/os/memory_tags.h"
#include "checkers/os/own_key.h"
#include "dead_stacks.h"
#include "signals.h"

#include <pthread.h>
#include <ringfence/port.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

RF_THREAD_LOCAL rf_thread rf_current_thread;

static struct {
  rf_futex lock; /* of what is known of ended ones */
  pthread_key_t key;
  bool has_key;
} threads;

static RF_THREAD_LOCAL bool notes_end; /* has the lock for that, or waits for it */

/* Returns the lowest address of the stack; 0: not known. */
static uintptr_t note_end(void) {
  notes_end = true;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_futex_lock(&threads.lock);
  uintptr_t const start = rf_dead_stacks_note(rf_current_thread.id);
  rf_futex_unlock(&threads.lock);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  notes_end = false;
  return start;
}

/* A stack that the C library keeps for the next thread is cleared, where its bounds are known (dead_stacks.h): the next
 * thread's frames would have what lies there between them. The C library gives the lower pages back itself, all but
 * 16 KiB below the page of its own frame. These are cleared here, and none below: the system would have to find a page
 * for it each time. A stack of the program's making is the program's, with what lies below it. */
#define PAGE ((uintptr_t)4096)
#define STALE_PAGES 5
#define FRAMES_ABOVE 1024U /* of the C library's, at most */

static size_t stale_below(uintptr_t at) {
  return at - (((at + FRAMES_ABOVE) & ~(PAGE - 1)) - (STALE_PAGES - 1) * PAGE);
}

#define SPARED ((size_t)1 << 16) /* at the lower end of a stack, where a runtime may have closed pages of its own */

/* Mostly there are zeros already: to write them again would fetch each line from the cache of the processor on which
 * the stack's last thread ran. Calls nothing: a return address would lie below the room. */
#define LINE_WORDS (64 / sizeof(uintptr_t))
#define OWN_FRAME 256U /* with what a function may keep below its stack pointer */

RF_INLINE RF_NO_SANITIZE bool clear_line(volatile uintptr_t *line) {
  uintptr_t any = 0;
  for (size_t i = 0; i < LINE_WORDS; i++) {
    any |= line[i];
  }
  for (size_t i = 0; any != 0 && i < LINE_WORDS; i++) {
    line[i] = 0;
  }
  return any != 0;
}

/* From the top down, to the first page of zeros: most threads have come no deeper, and a look at a page that was not
 * touched is a page fault, in each thread whose stack is not kept for the next one. */
RF_NO_SANITIZE __attribute__((noinline)) static void clear_roomy_stack(void) {
  /* Below its own frame, not in an array: what the compiler spills would lie below that, on a page of its own. */
  uintptr_t const own = (uintptr_t)__builtin_frame_address(0) - OWN_FRAME;
  volatile uintptr_t *line = (volatile uintptr_t *)(own & ~(uintptr_t)(LINE_WORDS * sizeof *line - 1));
  volatile uintptr_t *const lowest = line - stale_below((uintptr_t)line) / sizeof *line / LINE_WORDS * LINE_WORDS;
  bool any = true; /* of the page */
  while (line != lowest) {
    line -= LINE_WORDS;
    any = clear_line(line) || any;
    if (((uintptr_t)line & (PAGE - 1)) < LINE_WORDS * sizeof *line) { /* the page's first */
      if (!any) {
        return;
      }
      any = false;
    }
  }
}

/* One that begins at `start`, from the top down, by the kernel, which stops without harm at pages that are closed. A
 * call would have its frames there: the loader's alone have a kilobyte where a library of LD_AUDIT sees it return. */
#define FRAME_MARGIN 512U

__attribute__((noinline)) static void clear_small_stack(uintptr_t start) {
  static const char zeros[PAGE];
  struct iovec local[STALE_PAGES];
  struct iovec remote[STALE_PAGES];
  uintptr_t at = ((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15) - sizeof local - sizeof remote - FRAME_MARGIN;
  size_t const stale = stale_below(at);
  size_t left = at < start ? 0 : at - start < stale ? at - start : stale;
  for (unsigned i = 0; i < STALE_PAGES; i++) {
    size_t const piece = left < PAGE ? left : PAGE;
    at -= piece;
    left -= piece;
    local[i] = (struct iovec){(void *)(uintptr_t)zeros, piece};
    remote[i] = (struct iovec){(void *)at, piece};
  }
  (void)rf_raw_syscall(SYS_process_vm_writev,
                       (const long[6]){getpid(), (long)local, STALE_PAGES, (long)remote, STALE_PAGES, 0});
}

/* A key's value may be that of the stack's last thread, which set it when nobody looked at it any more. */
static void ended(void *self) {
  (void)self;
  if (rf_current_thread.ended || rf_current_thread.on_end == NULL) {
    return;
  }
  rf_current_thread.ended = true;
  rf_current_thread.on_end();
  uintptr_t const start = note_end();
  if (start == 0) {
    return;
  }
  if ((uintptr_t)__builtin_frame_address(0) - start >= STALE_PAGES * PAGE + SPARED) {
    clear_roomy_stack();
  } else if (!rf_is_forbidden(RF_CALL_OTHERS | RF_CALL_GETPID)) {
    clear_small_stack(start);
  }
}

void rf_thread_init(void) {
  threads.has_key = rf_own_key_create(&threads.key, ended);
}

#define MADE_UP ((uint32_t)1 << 31) /* no number of the system's is as high */

uint32_t rf_thread_id(void) {
  static uint32_t count;
  if (rf_is_forbidden(RF_CALL_GETTID) && rf_port_known_id == 0) {
    rf_port_known_id = MADE_UP + __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
  }
  return rf_port_thread_id();
}

void rf_thread_begin(void (*on_end)(void)) {
  if (rf_current_thread.id != 0 || !threads.has_key) {
    return;
  }
  rf_current_thread.id = rf_thread_id();
  rf_current_thread.on_end = on_end;
  rf_memory_tags_join();
  rf_signals_begin_thread();
  (void)pthread_setspecific(threads.key, &rf_current_thread);
}

bool rf_thread_notes_end(void) {
  return notes_end;
}

bool rf_thread_lock(unsigned ms) {
  return !notes_end && rf_futex_lock_within(&threads.lock, ms);
}

void rf_thread_unlock(void) {
  rf_futex_unlock(&threads.lock);
}

void rf_thread_fork_child(void) {
  if (rf_current_thread.id != 0) {
    rf_current_thread.id = rf_port_thread_id();
  }
  threads.lock.state = 0;
}
