/* For a debugger: blocks in each state when it stops in here(), then a finding. */
#include <ringfence/finding.h>
#include <ringfence/tlsf.h>
#include <stdlib.h>
#include <string.h>

static char arena[4096];
static rf_tlsf heap;
static char *live;
static char *freed;
static char *large;
static void *of_heap;

/* NOINLINE so that each is a frame. */
__attribute__((noinline)) static char *make(size_t size) {
  return malloc(size);
}

__attribute__((noinline)) static void drop(char *block) {
  free(block);
}

__attribute__((noinline)) void here(const rf_finding *finding) {
  __asm__ volatile("" : : "r"(finding) : "memory");
}

int main(void) {
  static const rf_site site = {"main.c", "main", 7};
  rf_finding finding = {.bug = RF_BUG_DOUBLE_FREE, .address = 16, .block = 16, .size = 3, .detail = "said twice"};
  finding.found.site = &site;
  finding.found.thread = 5;
  live = make(10);
  freed = make(100);
  large = make(3000000);
  drop(freed);
  (void)rf_tlsf_init(&heap, arena, sizeof arena);
  of_heap = rf_alloc(&heap.base, 40);
  here(&finding);
  live[10] = 1;
  drop(live);
  drop(large);
  return of_heap == NULL;
}
