/* Blocks that are lost, and blocks that are not though it takes a look to see it: argv[1] chooses the case. */
#define _GNU_SOURCE
#include "leaks.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ringfence/dropin.h>

void *volatile in_a_global;
void **in_mapped_memory;

NOINLINE void below(void (*f)(void)) {
  char pad[4096];
  memset(pad, 0, sizeof pad);
  __asm__ volatile("" : : "r"(pad) : "memory");
  f();
}

NOINLINE void wipe(void) {
  char pad[16384];
  memset(pad, 0, sizeof pad);
  __asm__ volatile("" : : "r"(pad) : "memory");
}

NOINLINE node *make_node(node *left, node *right) {
  node *const n = malloc(sizeof *n);
  memset(n, 0, sizeof *n);
  n->left = left;
  n->right = right;
  return n;
}

/* How the program ends: return, exit with a local still holding a block, on demand, or _exit. */
int main(int argc, char **argv) {
  const char *const name = argc > 1 ? argv[1] : "";
  const char *const how = argc > 2 ? argv[2] : "return";
  const test_case *const lists[] = {lost_blocks, blocks_of_threads, kept_blocks, blocks_kept_by_the_kernel};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    for (const test_case *one_case = lists[i]; one_case->name != NULL; one_case++) {
      if (strcmp(one_case->name, name) == 0) {
        below(one_case->run);
        wipe();
      }
    }
  }
  void *volatile local = malloc(77);
  if (strcmp(how, "exit") == 0) {
    exit(0); /* the local still has it */
  }
  if (strcmp(how, "_exit") == 0) {
    _exit(0);
  }
  if (strcmp(how, "demand") == 0 && __ringfence_check_leaks != NULL) {
    printf("%zu\n", __ringfence_check_leaks());
    fflush(stdout);
    _exit(0);
  }
  free(local);
  return 0;
}
