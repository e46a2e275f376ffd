/* Ends that the C library allows for. `halt [bad]`: by a jump to where main returns to, from deeper on the stack, as
 * Free Pascal's programs do. `waits <signal> [bad]`: with a signal that waits, because it is blocked, while the C
 * library and the program do this and that. `vfork`: after a child of vfork that frees a block twice; then a block is
 * lost, and written past its end. Ends with status 5. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *kept;

static struct {
  void *code;
  void *frame;
} main_caller;

static void halt(long status) {
#if defined(__x86_64__)
  __asm__ volatile("mov %0, %%rbp\n\tpush %%rax\n\tjmp *%1" ::"r"(main_caller.frame), "r"(main_caller.code),
                   "a"(status));
#elif defined(__i386__)
  __asm__ volatile("mov %0, %%ebp\n\tpush %%eax\n\tjmp *%1" ::"r"(main_caller.frame), "r"(main_caller.code),
                   "a"(status));
#endif
  exit((int)status);
}

static void let_wait(int number) {
  sigset_t set;
  pid_t child;
  sigemptyset(&set);
  sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, NULL);
  kill(getpid(), number);
  free(realloc(malloc(100), 100000));
  child = fork();
  if (child == 0) {
    _exit(0);
  }
  while (waitpid(child, NULL, 0) == -1) {
  }
  execl("/nonexistent", "nonexistent", (char *)NULL);
}

static void free_twice_in_child(void) {
  int status = 0;
  pid_t const child = vfork();
  if (child == 0) {
    char *volatile p = malloc(13);
    free(p);
    free(p);
    _exit(6);
  }
  while (waitpid(child, &status, 0) == -1) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 99) {
    kept[10] = 1;
  }
  kept = NULL;
}

int main(int argc, char **argv) {
  main_caller.code = __builtin_return_address(0);
  main_caller.frame = *(void **)__builtin_frame_address(0);
  kept = malloc(10);
  memset(kept, 1, strcmp(argv[argc - 1], "bad") == 0 ? 11 : 10);
  if (argc > 1 && strcmp(argv[1], "vfork") == 0) {
    free_twice_in_child();
  } else if (argc > 2 && strcmp(argv[1], "waits") == 0) {
    let_wait(atoi(argv[2]));
  } else if (argc > 1 && strcmp(argv[1], "halt") == 0) {
    halt(5);
  }
  return 5;
}
