/* `crash null`, `crash near` (8 KiB past a block of 1 MiB), `crash jump`, `crash divide`, `crash readonly`, `crash
 * handled` (by the program itself, which exits with 5), `crash wild` (an address that is none). */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_signal(int number) {
  (void)number;
  _exit(5);
}

static volatile char *volatile pointer;
static volatile int zero;

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  free(malloc(10));
  if (strcmp(what, "null") == 0) {
    pointer[8] = 1; /* NULL */
  } else if (strcmp(what, "near") == 0) {
    pointer = malloc(1 << 20);
    pointer[(1 << 20) + (8 << 10)] = 1; /* NEAR */
  } else if (strcmp(what, "jump") == 0) {
    ((void (*)(void))(size_t)pointer)(); /* JUMP */
  } else if (strcmp(what, "divide") == 0) {
    return 7 / zero; /* DIVIDE */
  } else if (strcmp(what, "readonly") == 0) {
    pointer = (volatile char *)(size_t) "constant";
    pointer[0] = 1; /* READONLY */
  } else if (strcmp(what, "wild") == 0) {
    pointer = (volatile char *)(size_t)0x123456789abcdef0ULL;
    return pointer[0]; /* WILD */
  } else if (strcmp(what, "handled") == 0) {
    signal(SIGSEGV, on_signal);
    pointer[8] = 1;
  }
  return 0;
}
