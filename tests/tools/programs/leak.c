/* Loses a block of 40 bytes; with an argument, frees it. */
#include <stdlib.h>
#include <string.h>

static void *volatile block;

__attribute__((noinline)) static void make(void) {
  block = malloc(40); /* allocated */
}

/* Leaves nothing of the pointer on the stack. */
__attribute__((noinline)) static void wipe(void) {
  char stack[4096];
  memset(stack, 0, sizeof stack);
  __asm__ volatile("" : : "r"(stack) : "memory");
}

int main(int argc, char **argv) {
  (void)argv;
  make();
  if (argc > 1) {
    free(block);
  }
  block = NULL;
  wipe();
  return 0;
}
