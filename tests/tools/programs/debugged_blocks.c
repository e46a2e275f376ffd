/* For a debugger: blocks side by side, of each size, alignment, family, thread and store, when it stops in here(). */
#include <pthread.h>
#include <ringfence/finding.h>
#include <ringfence/page.h>
#include <ringfence/stack.h>
#include <ringfence/tlsf.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* C++'s, by their names on 64 bits; of the library that is preloaded, or none. */
extern void *_Znwm(size_t size) __attribute__((weak));
extern void *_Znam(size_t size) __attribute__((weak));
extern void *_ZnwmSt11align_val_t(size_t size, size_t align) __attribute__((weak));
extern void *_ZnamSt11align_val_t(size_t size, size_t align) __attribute__((weak));

enum { BESIDE = 64, STORES = 2 };

static char *left; /* the last of those whose neighbour is one of them */
static char *right;
static char *last; /* behind it there is none */
static char *wide;
static char *aligned;
static char *ends_here;
static char *of_new[4];
static char *passed; /* on to another thread, which frees it */
static char *renewed;
static char *of_last_call;
static jmp_buf way_out;
typedef char name[8];
static struct { name text; } * named;
static long thread;

static rf_page stores[STORES];
static char *of_store[STORES];
static char *lower; /* two of the first store's on neighbouring pages, but for one that is closed */
static char *upper;
static char *gone;

static int by_address(const void *a, const void *b) {
  const char *const one = *(char *const *)a;
  const char *const other = *(char *const *)b;
  return (one > other) - (one < other);
}

static void make_neighbours(void) {
  static char *blocks[BESIDE];
  for (int i = 0; i < BESIDE; i++) {
    blocks[i] = malloc(40);
  }
  qsort(blocks, BESIDE, sizeof blocks[0], by_address);
  last = blocks[BESIDE - 1];
  for (int i = 1; i < BESIDE; i++) {
    if (blocks[i] - blocks[i - 1] == 64) {
      left = blocks[i - 1];
      right = blocks[i];
    }
  }
}

__attribute__((noinline)) static void *end_other(void *block) {
  thread = syscall(SYS_gettid);
  free(block);
  return NULL;
}

/* As stacks of one caller are known by their number, there are some before it. */
__attribute__((noinline)) static char *deeper(unsigned depth, size_t size) {
  return depth == 0 ? malloc(size) : deeper(depth - 1, size);
}

_Noreturn static void take_and_leave(void) {
  of_last_call = malloc(55);
  longjmp(way_out, 1);
}

/* Its return address is the next function's. */
__attribute__((noinline)) static void ends_with_a_call(void) {
  take_and_leave();
}

static void make_others(void) {
  pthread_t other;
  wide = malloc(60000);
  named = malloc(sizeof *named);
  aligned = aligned_alloc(8192, 8192);
  ends_here = malloc(3000000);
  passed = malloc(77);
  if (pthread_create(&other, NULL, end_other, passed) == 0) {
    (void)pthread_join(other, NULL);
  }
  for (unsigned depth = 0; depth < 12; depth++) {
    free(deeper(depth, 90));
  }
  renewed = deeper(12, 90);
  if (setjmp(way_out) == 0) {
    ends_with_a_call();
  }
  if (_Znwm != NULL) {
    of_new[0] = _Znwm(31);
    of_new[1] = _Znam(32);
  }
  if (_ZnwmSt11align_val_t != NULL) {
    of_new[2] = _ZnwmSt11align_val_t(33, 64);
    of_new[3] = _ZnamSt11align_val_t(34, 64);
  }
}

/* The first store keeps stacks. */
static void make_stores(void) {
  static _Alignas(8) char depot_memory[65536];
  static rf_stack_depot depot;
  static char arenas[STORES][65536];
  static rf_tlsf heaps[STORES];
  rf_page_options options;
  rf_page_options_default(&options);
  options.side = RF_PAGE_LEFT;
  bool const keeps = rf_stack_depot_init(&depot, depot_memory, sizeof depot_memory) == RF_OK;
  for (int i = 0; i < STORES; i++) {
    options.stack_depth = i == 0 && keeps ? 4 : 0;
    options.depot = i == 0 && keeps ? &depot : NULL;
    if (rf_tlsf_init(&heaps[i], arenas[i], sizeof arenas[i]) == RF_OK &&
        rf_page_init(&stores[i], &heaps[i].base, &options) == RF_OK) {
      of_store[i] = rf_alloc(&stores[i].base, 24 + (size_t)i);
    }
  }
  upper = rf_alloc(&stores[0].base, 26);
  gone = rf_alloc(&stores[0].base, 27);
  (void)rf_free(&stores[0].base, gone);
  lower = of_store[0] < upper ? of_store[0] : upper;
  upper = of_store[0] < upper ? upper : of_store[0];
}

__attribute__((noinline)) static void free_again(void) {
  (void)rf_free(&stores[0].base, gone);
}

__attribute__((noinline)) static void here(const rf_trace *known, const rf_trace *unknown, const rf_site *nowhere,
                                           const rf_stats *stats, const rf_finding *finding) {
  static rf_allocator none;
  __asm__ volatile("" : : "r"(known), "r"(unknown), "r"(nowhere), "r"(stats), "r"(finding), "r"(&none) : "memory");
}

int main(void) {
  static const rf_site nowhere;
  rf_trace unknown = {.thread = 0};
  rf_trace known = {.depth = 2, .thread = 3};
  rf_stats stats = {.used = 7, .peak = 9, .blocks = 1, .allocations = 4, .failures = 1};
  rf_finding finding = {.bug = RF_BUG_BUFFER_OVERFLOW, .address = 32, .block = 16, .size = 1};
  known.frames[0] = (uintptr_t)make_stores + 1;
  known.frames[1] = (uintptr_t)main + 1;
  make_neighbours();
  make_others();
  make_stores();
  here(&known, &unknown, &nowhere, &stats, &finding);
  free_again();
  return left + 64 != right || last == NULL || wide == NULL || named == NULL || aligned == NULL || ends_here == NULL ||
         renewed == NULL || of_new[0] == NULL || lower == NULL || upper == NULL || of_store[1] == NULL || thread == 0;
}
