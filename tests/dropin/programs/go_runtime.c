/* Handles signals as the runtime of Go does in a program that also has C code. It installs handlers by sigaction, with
 * SA_ONSTACK. Each thread uses the alternate stack that it already has, or makes one by a raw system call. A handler
 * that runs on any other stack ends the process. The note is the one by which Go marks what it links. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__asm__(".pushsection .note.go.buildid, \"a\", @note\n"
        ".balign 4\n"
        ".long 4, 8, 4\n"
        ".ascii \"Go\\0\\0\"\n"
        ".ascii \"build-id\"\n"
        ".popsection\n");

enum { STACK = 32 * 1024, TIMES = 20 };

static volatile sig_atomic_t handled;

static void on_signal(int number, siginfo_t *info, void *context) {
  char here;
  stack_t now;
  (void)number;
  (void)info;
  (void)context;
  if (syscall(SYS_sigaltstack, NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) != 0 ||
      (uintptr_t)&here - (uintptr_t)now.ss_sp >= now.ss_size) {
    _exit(4);
  }
  handled++;
}

static void work(void) {
  for (size_t i = 0; i < TIMES; i++) {
    void *volatile block = malloc(i * 100);
    raise(SIGURG);
    free(block);
  }
}

static void take_stack(char *memory) {
  stack_t now;
  stack_t const own = {.ss_sp = memory, .ss_size = STACK};
  if (syscall(SYS_sigaltstack, NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0) {
    (void)syscall(SYS_sigaltstack, &own, NULL);
  }
}

static void *thread(void *argument) {
  static char memory[STACK];
  free(argument);
  take_stack(memory);
  work();
  return NULL;
}

int main(void) {
  static char memory[STACK];
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  pthread_t other;
  take_stack(memory);
  sigfillset(&action.sa_mask);
  if (sigaction(SIGURG, &action, NULL) != 0 || pthread_create(&other, NULL, thread, malloc(1)) != 0) {
    return 1;
  }
  work();
  pthread_join(other, NULL);
  return handled == 2 * TIMES ? 7 : 2;
}
