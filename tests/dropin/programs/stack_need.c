/* The stack that requests need: each is made on a coroutine's, the first time and again. Prints those that take more
 * than argv[1] bytes, and ends with status 5 where none does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { ROOM = 64 * 1024 };

static unsigned char stack[ROOM] __attribute__((aligned(4096)));
static ucontext_t caller;
static ucontext_t callee;
static char *blocks[4];
static size_t which;

static void work(void) {
  switch (which) {
  case 0:
    blocks[0] = malloc(24);
    break;
  case 1:
    blocks[1] = calloc(10, 100);
    break;
  case 2:
    blocks[2] = malloc(100000);
    break;
  case 3:
    blocks[2] = realloc(blocks[2], 300000);
    break;
  case 4:
    blocks[3] = malloc(5000);
    break;
  default:
    free(blocks[which - 5]);
    break;
  }
}

static size_t taken(void) {
  size_t left = 0;
  memset(stack, 0xA5, sizeof stack);
  getcontext(&callee);
  callee.uc_stack.ss_sp = stack;
  callee.uc_stack.ss_size = sizeof stack;
  callee.uc_link = &caller;
  makecontext(&callee, work, 0);
  swapcontext(&caller, &callee);
  while (stack[left] == 0xA5) {
    left++;
  }
  return sizeof stack - left;
}

int main(int argc, char **argv) {
  size_t const most = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
  int status = 5;
  for (int round = 0; round < 2; round++) {
    for (which = 0; which < 9; which++) {
      size_t const bytes = taken();
      if (bytes > most) {
        printf("request %zu, round %d: %zu bytes\n", which, round, bytes);
        status = 1;
      }
    }
  }
  return status;
}
