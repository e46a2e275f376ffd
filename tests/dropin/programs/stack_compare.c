/* Preloaded: takes the stack of every seventh request by rf_stack_capture, by rf_stack_depot_put_from (twice: the
 * second time it is known) and by _Unwind_Backtrace, and appends to the file STACK_COMPARE how many were equal. The
 * first one that was not is listed, with the map of the process.
 *
 * Code without tables (made at run time) ends what the unwinder finds; ours go on by frame pointers. Such a stack is
 * "longer", not equal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ringfence/stack.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

enum { DEPTH = 32, SKIPPED = 8, EVERY = 7, DEPOT = 16 << 20 };

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

static _Thread_local bool busy __attribute__((tls_model("initial-exec")));
static unsigned long requests;
static unsigned long captured;
static unsigned long equal;
static unsigned long longer;
static unsigned long shown;
static rf_stack_depot depot;
static char memory[DEPOT] __attribute__((aligned(8)));

typedef struct stack {
  uintptr_t frames[DEPTH + SKIPPED];
  unsigned count;
  uintptr_t from;
  bool found;
} stack;

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
  stack *const s = argument;
  uintptr_t const pc = (uintptr_t)_Unwind_GetIP(context);
  s->found = s->found || pc == s->from;
  if (s->found && pc != 0 && s->count < DEPTH) {
    s->frames[s->count++] = pc;
  }
  return s->count < DEPTH ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void say(const char *text, size_t size) {
  const char *const path = getenv("STACK_COMPARE");
  int const fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
  if (fd >= 0) {
    (void)!write(fd, text, size);
    (void)close(fd);
  }
}

static void show(const stack *theirs, const uintptr_t *frames, unsigned count, unsigned way) {
  char text[4096];
  int used = snprintf(text, sizeof text, "differs by way %u, process %d:\n", way, (int)getpid());
  for (unsigned i = 0; i < theirs->count || i < count; i++) {
    used += snprintf(text + used, sizeof text - (size_t)used, "  %lx %lx%s\n",
                     i < theirs->count ? (unsigned long)theirs->frames[i] : 0, i < count ? (unsigned long)frames[i] : 0,
                     i < count && i < theirs->count && theirs->frames[i] == frames[i] ? "" : " <--");
  }
  say(text, (size_t)used);
}

enum { EQUAL, LONGER, DIFFERENT };

static void show_map(void) {
  char text[65536];
  ssize_t got;
  int const fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  while ((got = read(fd, text, sizeof text)) > 0) {
    say(text, (size_t)got);
  }
  (void)close(fd);
}

static int result_of(const stack *theirs, const uintptr_t *frames, unsigned count, unsigned way) {
  if (count >= theirs->count && memcmp(frames, theirs->frames, theirs->count * sizeof frames[0]) == 0) {
    return count == theirs->count ? EQUAL : LONGER;
  }
  if (__atomic_fetch_add(&shown, 1, __ATOMIC_RELAXED) == 0) {
    show(theirs, frames, count, way);
    show_map();
  }
  return DIFFERENT;
}

static __attribute__((noinline)) void compare(const rf_origin *origin) {
  stack theirs = {.from = origin->caller};
  uintptr_t frames[DEPTH];
  if (busy || __atomic_fetch_add(&requests, 1, __ATOMIC_RELAXED) % EVERY != 0) {
    return;
  }
  busy = true;
  if (depot.records == NULL) {
    (void)rf_stack_depot_init(&depot, memory, sizeof memory);
  }
  (void)_Unwind_Backtrace(step, &theirs);
  int result = result_of(&theirs, frames, rf_stack_capture(origin, frames, DEPTH), 1);
  for (unsigned way = 2; way <= 3; way++) {
    uint32_t const id = rf_stack_depot_put_from(&depot, origin, DEPTH);
    int const other = result_of(&theirs, frames, rf_stack_depot_get(&depot, id, frames, DEPTH), way);
    result = other > result ? other : result;
  }
  (void)__atomic_fetch_add(&captured, 1, __ATOMIC_RELAXED);
  (void)__atomic_fetch_add(&equal, result == EQUAL ? 1 : 0, __ATOMIC_RELAXED);
  (void)__atomic_fetch_add(&longer, result == LONGER ? 1 : 0, __ATOMIC_RELAXED);
  busy = false;
}

#define COMPARE()                                                                                                      \
  rf_origin const origin = {NULL, (uintptr_t)__builtin_return_address(0), __builtin_frame_address(0)};                 \
  compare(&origin)

void *malloc(size_t size) {
  COMPARE();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  COMPARE();
  return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size) {
  COMPARE();
  return __libc_realloc(p, size);
}

void free(void *p) {
  COMPARE();
  __libc_free(p);
  __asm__ volatile("" : : : "memory"); /* no tail call */
}

static __attribute__((destructor)) void finish(void) {
  char text[128];
  busy = true;
  say(text, (size_t)snprintf(text, sizeof text, "captured %lu equal %lu longer %lu\n", captured, equal, longer));
}
