/* Mode mte of the library where there are tags of memory, for tools/try_aarch64.sh: what its faults become in programs
 * that go on, have threads, children and handlers of their own. Prints lines that are wrong, then "end". */
#define _GNU_SOURCE
#include <ringfence/checked.h>
#include <ringfence/lock.h>
#include <ringfence/mte.h>
#include <ringfence/tlsf.h>

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile size_t found;
static volatile rf_bug last;

static rf_action note(rf_reporter *self, const rf_finding *f) {
  (void)self;
  found++;
  last = f->bug;
  return RF_ACTION_CONTINUE;
}

static void demand(int line, bool good) {
  if (!good) {
    printf("line %d is wrong: %zu findings, the last %s\n", line, found, rf_bug_name(last));
  }
  found = 0;
}
#define NOTHING() demand(__LINE__, found == 0)
#define ONE(bug) demand(__LINE__, found == 1 && last == (bug))
#define TRUE(x) demand(__LINE__, (x))

/* ---- A checked heap ---- */

static unsigned char arena[64 * 1024];
static rf_reporter reporter = {note, NULL, 1, 0};
static rf_tlsf heap;
static rf_checked checked;
static volatile unsigned char seen;

static rf_allocator *begin(void) {
  rf_checked_options options = {.reporter = &reporter};
  rf_options_default(&options.settings);
  options.settings.mode = RF_MODE_MTE;
  (void)rf_tlsf_init(&heap, arena, sizeof arena);
  rf_allocator *const a = rf_checked_init(&checked, &heap.base, &options);
  TRUE(checked.mode == RF_MODE_MTE);
  return a;
}

/* The arena's next user has no tags. */
static void end(void) {
  rf_checked_deinit(&checked);
  rf_deinit(&heap.base);
  NOTHING();
  memset(arena, 0, sizeof arena);
  NOTHING();
}

/* ---- Cases ---- */

static void blocks_that_change(void) {
  rf_allocator *const a = begin();
  unsigned char *const p = rf_alloc(a, 100);
  unsigned char *const q = rf_realloc(a, p, 5000);
  memset(q, 1, 5000);
  NOTHING();
  seen = p[0];
  ONE(RF_BUG_USE_AFTER_FREE);
  rf_free(a, q);
  seen = q[8];
  ONE(RF_BUG_USE_AFTER_FREE);
  rf_guard_flush(&checked.guard, 0);
  unsigned char *const again = rf_alloc(a, 100);
  TRUE(again != p);
  rf_free(a, p);
  ONE(RF_BUG_DOUBLE_FREE);
  rf_free(a, (void *)((uintptr_t)again & (~(uintptr_t)0 >> 8)));
  ONE(RF_BUG_BAD_FREE);
  again[100] = 1; /* within the last granule */
  NOTHING();
  TRUE(rf_checked_sweep(&checked, 0) == 1);
  rf_free(a, again);
  rf_guard_flush(&checked.guard, 0);
  NOTHING();
  seen = again[16];
  ONE(RF_BUG_USE_AFTER_FREE); /* no block is left */
  end();
}

static void blocks_of_no_bytes(void) {
  rf_allocator *const a = begin();
  unsigned char *const p = rf_alloc(a, 0);
  seen = p[0];
  ONE(RF_BUG_BUFFER_OVERFLOW);
  rf_free(a, p);
  end();
}

static bool visit(const rf_block *block, void *context) {
  if (block->used) {
    *(size_t *)context += block->size;
    seen = *(unsigned char *)block->ptr;
  }
  return true;
}

static void questions(void) {
  size_t sum = 0;
  rf_allocator *const a = begin();
  unsigned char *const p = rf_alloc(a, 50);
  unsigned char *const q = rf_alloc(a, 60);
  (void)rf_walk(a, visit, &sum);
  TRUE(sum == 110 && found == 0 && rf_usable_size(a, p) == 50 && rf_owns(a, q));
  rf_free(a, p);
  rf_free(a, q);
  end();
}

/* ---- Threads and children ---- */

static rf_lock lock;

static void *use(void *context) {
  for (size_t i = 0; i < 1000; i++) {
    unsigned char *const p = rf_alloc(&lock.base, i % 300);
    memset(p, 1, i % 300);
    rf_free(&lock.base, p);
  }
  return context;
}

static void *touch(void *p) {
  seen = *(volatile unsigned char *)p;
  return NULL;
}

static void threads_and_children(void) {
  pthread_t threads[3];
  int status = 0;
  (void)rf_lock_init(&lock, begin());
  for (size_t i = 0; i < 3; i++) {
    (void)pthread_create(&threads[i], NULL, use, NULL);
  }
  for (size_t i = 0; i < 3; i++) {
    (void)pthread_join(threads[i], NULL);
  }
  NOTHING();
  unsigned char *const p = rf_alloc(&lock.base, 32);
  (void)pthread_create(threads, NULL, touch, p + 32);
  (void)pthread_join(threads[0], NULL);
  ONE(RF_BUG_BUFFER_OVERFLOW);
  if (fork() == 0) {
    seen = p[32];
    _exit(found == 1 ? 0 : 1);
  }
  TRUE(wait(&status) > 0 && status == 0);
  rf_free(&lock.base, p);
  end();
}

/* ---- Handlers of the program ---- */

static volatile size_t handled;
static sigjmp_buf back;

static void handle(int number) {
  (void)number;
  handled++;
  siglongjmp(back, 1);
}

static void handlers(void) {
  (void)signal(SIGSEGV, handle);
  rf_allocator *const a = begin();
  unsigned char *const p = rf_alloc(a, 16);
  if (sigsetjmp(back, 1) == 0) {
    seen = p[16];
  }
  TRUE(found == 1 && handled == 0);
  if (sigsetjmp(back, 1) == 0) {
    *(volatile int *)8 = 1;
  }
  TRUE(found == 0 && handled == 1);
  (void)signal(SIGSEGV, handle);
  rf_mte_watch();
  rf_free(a, rf_alloc(a, 1)); /* from here on the thread is checked again */
  if (sigsetjmp(back, 1) == 0) {
    seen = p[17];
  }
  TRUE(found == 1 && handled == 1);
  rf_free(a, p);
  end();
}

int main(void) {
  blocks_that_change();
  blocks_of_no_bytes();
  questions();
  threads_and_children();
  handlers();
  puts("end");
  return 0;
}
