/* The system below the checkers: the stacks of POSIX threads, unwinding, and the kind of memory at an address. */
#define _GNU_SOURCE /* Linux's RLIMIT_STACK and getauxval */
#include "host.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unwind.h>
#if defined(__linux__)
#include "elf_image.h"
#include "forbidden_calls.h"
#include "lib/core/compiler.h"
#include "maps.h"
#include "reserve_stack.h"
#include <sys/auxv.h>
#endif

/* ---- Stacks ---- */

#if defined(__linux__)

typedef rf_host_bounds bounds;

RF_THREAD_LOCAL rf_host_bounds rf_host_last_stack;

static bool name_is(const rf_map *map, const char *name) {
  return map->name_length == strlen(name) && memcmp(map->name, name, map->name_length) == 0;
}

typedef struct stack_search {
  uintptr_t frame;
  bounds found;
} stack_search;

/* The main thread's stack grows down to its limit. */
static uintptr_t stack_limit(const rf_map *map) {
  struct rlimit limit;
  uintptr_t const most = (uintptr_t)256 * 1024 * 1024;
  uintptr_t size = most;
  if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < most) {
    size = (uintptr_t)limit.rlim_cur;
  }
  return map->end - map->start > size || map->end < size ? map->start : map->end - size;
}

/* At the top of another thread's stack is the thread's own record. The mapping may go on behind it, with memory that is
 * unmapped before the thread ends. */
RF_COLD static bool find_stack(const rf_map *map, void *context) {
  stack_search *const search = (stack_search *)context;
  if (search->frame < map->start || search->frame >= map->end) {
    return map->start <= search->frame;
  }
  uintptr_t const thread = (uintptr_t)pthread_self(); /* its address, in the C libraries of Linux */
  search->found.low = name_is(map, "[stack]") ? stack_limit(map) : map->start;
  search->found.high = thread > search->frame && thread < map->end ? thread : map->end;
  return false;
}

/* The last stacks of this thread: its own, one for signals, those of coroutines. After LOOKUPS_MOST changes between
 * more stacks than are kept, a thread is no longer looked up: reading the map at each allocation would be too slow. */
#define STACKS_KEPT 4
#define LOOKUPS_MOST 1000
#define PAGE 4096U /* the smallest of any system */
#define NEAR ((uintptr_t)256 * PAGE)

typedef struct stack_cache {
  bounds kept[STACKS_KEPT];
  unsigned next;
  unsigned lookups;
} stack_cache;

static RF_THREAD_LOCAL stack_cache stacks;

static const bounds *kept_stack(uintptr_t frame) {
  for (unsigned i = 0; i < STACKS_KEPT; i++) {
    if (frame >= stacks.kept[i].low && frame < stacks.kept[i].high) {
      return &stacks.kept[i];
    }
  }
  return NULL;
}

/* The end of the stack, where that is near: the thread's own record, or on the main thread's stack the bytes that the
 * kernel has left above all frames. 0: neither is. */
static uintptr_t end_near(uintptr_t frame) {
  uintptr_t const ends[] = {(uintptr_t)pthread_self(), (uintptr_t)getauxval(AT_RANDOM)};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    if (ends[i] > frame && ends[i] - frame <= NEAR) {
      return ends[i];
    }
  }
  return 0;
}

/* Without the map, which a sandbox may forbid to open, and which takes long in short-lived threads: pages that can all
 * be read as far as the end are the stack. Deeper frames make them more. */
static const bounds *look_near(uintptr_t frame) {
  uintptr_t const page = frame & ~(uintptr_t)(PAGE - 1);
  uintptr_t const end = end_near(frame);
  bounds *slot = NULL;
  for (unsigned i = 0; end != 0 && i < STACKS_KEPT; i++) {
    slot = stacks.kept[i].high == end ? &stacks.kept[i] : slot;
  }
  uintptr_t const known = slot != NULL ? slot->low : end;
  if (end == 0 || known <= page || !rf_host_readable((const void *)page, known - page)) {
    return NULL;
  }
  slot = slot != NULL ? slot : &stacks.kept[stacks.next++ % STACKS_KEPT];
  *slot = (bounds){page, end};
  return slot;
}

static void read_map(void *search) {
  (void)rf_maps_each(find_stack, search);
}

static const bounds *look_up_stack(uintptr_t frame) {
  stack_search search = {frame, {0, 0}};
  const bounds *const near = look_near(frame);
  if (near != NULL || stacks.lookups >= LOOKUPS_MOST) {
    return near;
  }
  rf_on_reserve_stack(read_map, &search); /* a line of the map would take a kilobyte of this one */
  stacks.lookups++;
  bounds *const slot = &stacks.kept[stacks.next++ % STACKS_KEPT];
  *slot = search.found;
  return slot->high != 0 ? slot : NULL;
}

bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high) {
  const bounds *found = kept_stack((uintptr_t)frame);
  if (found == NULL) {
    found = look_up_stack((uintptr_t)frame);
  }
  if (found == NULL) {
    return false;
  }
  *low = found->low;
  *high = found->high;
  rf_host_last_stack = *found;
  return true;
}

#else

bool rf_host_stack(const void *frame, uintptr_t *low, uintptr_t *high) {
  (void)frame;
  (void)low;
  (void)high;
  return false;
}

#endif

typedef struct unwinding {
  uintptr_t *frames;
  unsigned max;
  unsigned count;
} unwinding;

static _Unwind_Reason_Code unwound(struct _Unwind_Context *context, void *argument) {
  unwinding *const u = (unwinding *)argument;
  uintptr_t const pc = (uintptr_t)_Unwind_GetIP(context);
  if (pc == 0 || u->count == u->max) {
    return _URC_END_OF_STACK;
  }
  u->frames[u->count++] = pc;
  return _URC_NO_REASON;
}

/* At a fault, unwind tables may be wrong for the instruction (string functions on 32-bit x86), and the stack may be
 * corrupt: the unwinder then reads an address without code. */
static RF_THREAD_LOCAL struct {
  bool active;
  sigjmp_buf back;
} unwinding_fault;

RF_COLD void rf_host_unwind_fault(void) {
  if (unwinding_fault.active) {
    unwinding_fault.active = false;
    siglongjmp(unwinding_fault.back, 1);
  }
}

static unsigned unwind(uintptr_t *frames, unsigned max) {
  static RF_THREAD_LOCAL unwinding u; /* static: siglongjmp comes back with its last state */
  u.frames = frames;
  u.max = max;
  u.count = 0;
  if (sigsetjmp(unwinding_fault.back, 0) == 0) {
    unwinding_fault.active = true;
    (void)_Unwind_Backtrace(unwound, &u);
  }
  unwinding_fault.active = false;
  return u.count;
}

unsigned rf_host_unwind(uintptr_t *frames, unsigned max) {
  sigset_t before;
  sigset_t faults;
  if (rf_is_forbidden(RF_CALL_SIGNAL_MASK)) {
    return unwind(frames, max);
  }
  (void)sigemptyset(&faults);
  (void)sigaddset(&faults, SIGSEGV);
  (void)sigaddset(&faults, SIGBUS);
  (void)pthread_sigmask(SIG_UNBLOCK, &faults, &before);
  unsigned const count = unwind(frames, max);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return count;
}

/* ---- Addresses ---- */

#if defined(__linux__)

typedef struct place_search {
  uintptr_t address;
  uintptr_t image_end; /* of the module whose mappings are being visited: its .bss has no name */
  bool found;
  const char *phrase;
} place_search;

/* Names the file; a path of more than 200 bytes is cut. */
static const char *phrase_of_file(const rf_map *map) {
  static const char start[] = "the pointer is to the mapped file ";
  static RF_THREAD_LOCAL char phrase[sizeof start + 200];
  size_t const room = sizeof phrase - sizeof start;
  size_t const length = map->name_length < room ? map->name_length : room;
  memcpy(phrase, start, sizeof start - 1);
  memcpy(phrase + sizeof start - 1, map->name, length);
  phrase[sizeof start - 1 + length] = '\0';
  return phrase;
}

static const char mapped_memory[] = "the pointer is to mapped memory";
static const char break_memory[] = "the pointer is to the heap of sbrk";

/* A module's mappings lie between its first one and the end of its .bss; a data file has no such end. */
static const char *phrase_of(const rf_map *map, bool of_file, bool in_image) {
  if (name_is(map, "[stack]")) {
    return "the pointer is to the stack";
  }
  if (in_image && !map->shared && (of_file || map->name_length == 0)) {
    return map->executable ? "the pointer is to code or a constant" : "the pointer is to a static object";
  }
  if (of_file) {
    return phrase_of_file(map);
  }
  if (name_is(map, "[heap]")) {
    return break_memory;
  }
  bool const anonymous = map->name_length == 0 || memcmp(map->name, "[anon", 5) == 0;
  return anonymous ? mapped_memory : NULL;
}

RF_COLD static bool find_place(const rf_map *map, void *context) {
  place_search *const search = (place_search *)context;
  bool const of_file = map->name_length != 0 && map->name[0] == '/';
  bool const of_module = search->image_end > map->start; /* a further segment may have the file's first page as well */
  if (of_file && map->file_offset == 0 && map->readable && !of_module) {
    search->image_end = rf_elf_image_end(map->start);
  }
  if (search->address >= map->start && search->address < map->end) {
    search->found = true;
    search->phrase = phrase_of(map, of_file, search->address < search->image_end);
    return false;
  }
  return true;
}

/* AddressSanitizer's, which keeps locals in memory of its own where it looks for their use after the return. */
void *__asan_get_current_fake_stack(void) __attribute__((weak));
void *__asan_addr_is_in_fake_stack(void *fake_stack, void *address, void **begin, void **end) __attribute__((weak));

/* Whether `p` is to a local of the calling thread there. */
static bool is_fake_local(const void *p) {
  void *const fake = __asan_get_current_fake_stack != NULL ? __asan_get_current_fake_stack() : NULL;
  return fake != NULL && __asan_addr_is_in_fake_stack != NULL &&
         __asan_addr_is_in_fake_stack(fake, (void *)(uintptr_t)p, NULL, NULL) != NULL;
}

RF_COLD const char *rf_host_describe_address(const void *p) {
  place_search search = {(uintptr_t)p, 0, false, NULL};
  uintptr_t const frame = (uintptr_t)__builtin_frame_address(0);
  const bounds *const kept = kept_stack(frame);
  const bounds *const stack = kept != NULL ? kept : look_near(frame); /* deeper than any capture was */
  if ((stack != NULL && (uintptr_t)p >= stack->low && (uintptr_t)p < stack->high) || is_fake_local(p)) {
    return "the pointer is to the stack";
  }
  if (!rf_maps_each(find_place, &search)) {
    return NULL;
  }
  return search.found ? search.phrase : "there is no memory at the pointer";
}

RF_COLD bool rf_host_is_allocated_memory(const void *p) {
  const char *const phrase = rf_host_describe_address(p);
  return phrase == mapped_memory || phrase == break_memory;
}

#else

RF_COLD const char *rf_host_describe_address(const void *p) {
  (void)p;
  return NULL;
}

RF_COLD bool rf_host_is_allocated_memory(const void *p) {
  (void)p;
  return false;
}

#endif
