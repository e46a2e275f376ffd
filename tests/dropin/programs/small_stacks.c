/* Calls that a program may make on a small stack. argv[1] chooses the stack: that of a signal handler, of one in 8 KiB
 * ("least"), of one in a block ("freed": "bad" frees it before the signal comes), or of a coroutine. argv[2] chooses
 * the call. 9 KiB are left, with a closed page below: to find a function takes up to 3 KiB, and the C library's own
 * work less. Of 8 KiB the system leaves less than 5, where registers have 512 bits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { CLOSED = 65536, WHOLE = 256 * 1024, LEFT = 9 * 1024, LEAST = 4800, ROOM = 64 * 1024, LARGE = 200001 };

static const char *what;
static char *stack; /* above a closed page */
static char *block;
static char *large;
static void *self;            /* a handle of the program */
static volatile size_t frame; /* what the kernel takes for a handler */

static int is(const char *other) {
  return strcmp(what, other) == 0;
}

static int wait_for(pid_t child) {
  int status = -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}

static void end_as(int status) {
  _exit(status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : 3);
}

static void work(void) {
  if (is("exit")) {
    exit(7);
  } else if (is("_exit")) {
    _exit(7);
  } else if (is("abort")) {
    abort();
  } else if (is("terminate")) {
    raise(SIGTERM);
  } else if (is("exec")) {
    execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
  } else if (is("fexec")) {
    char *const arguments[] = {"sh", "-c", "exit 7", NULL};
    fexecve(open("/bin/sh", O_RDONLY), arguments, environ);
  } else if (is("spawn")) {
    char *const arguments[] = {"sh", "-c", "exit 7", NULL};
    pid_t child = 0;
    end_as(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0 ? wait_for(child) : -1);
  } else if (is("system")) {
    end_as(system("exit 7"));
  } else if (is("popen")) {
    FILE *const stream = popen("exit 7", "r");
    end_as(stream != NULL ? pclose(stream) : -1);
  } else if (is("dlclose")) {
    dlclose(self);
    _exit(7);
  } else if (is("damage_and_exit")) {
    block[10] = 1;
    _exit(7);
  } else if (is("free")) {
    free(block);
    _exit(7);
  } else if (is("double_free")) {
    free(block);
    free(block);
    _exit(7);
  } else if (is("damage_and_free")) {
    block[10] = 1;
    free(block);
    _exit(7);
  } else if (is("damage_and_realloc")) {
    block[10] = 1;
    block = realloc(block, 20);
    _exit(7);
  } else if (is("grow_damaged")) {
    large[LARGE] = 1;
    large = realloc(large, LARGE + 1);
    _exit(7);
  } else if (is("bad_free")) {
    free(block + 1);
    _exit(7);
  } else if (is("bad_realloc")) {
    block = realloc(block + 1, 20);
    _exit(7);
  } else if (is("bad_usable_size")) {
    malloc_usable_size(block + 1);
    _exit(7);
  } else if (is("too_big")) {
    block = realloc(block, SIZE_MAX / 4 * 3);
    _exit(7);
  } else if (is("write_after_free")) {
    free(block);
    *(volatile char *)(block + 1) = 1;
    _exit(7);
  }
}

/* In a handler. */
static void on_signal(int number) {
  char here;
  (void)number;
  if (frame == 0) {
    stack_t now;
    sigaltstack(NULL, &now);
    frame = (size_t)((char *)now.ss_sp + now.ss_size - &here);
  } else {
    work();
  }
}

/* It begins right above what is closed. */
static void use(size_t size) {
  size_t const closed = WHOLE - size & ~(size_t)4095;
  stack_t const now = {.ss_sp = stack + closed, .ss_size = size};
  stack_t const none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  mprotect(stack, closed, PROT_NONE);
  if (sigaltstack(&now, NULL) != 0) {
    _exit(3);
  }
}

static void in_a_handler(size_t left) {
  struct sigaction const action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  use(ROOM);
  raise(SIGUSR1);
  use(frame + left);
  raise(SIGUSR1);
}

static void in_a_coroutine(void) {
  static ucontext_t mine;
  static ucontext_t its;
  getcontext(&its);
  mprotect(stack, WHOLE - LEFT & ~(size_t)4095, PROT_NONE);
  its.uc_stack.ss_sp = stack + WHOLE - LEFT;
  its.uc_stack.ss_size = LEFT;
  its.uc_link = &mine;
  makecontext(&its, work, 0);
  swapcontext(&mine, &its);
}

static void nothing(int number) {
  (void)number;
}

static int on_a_freed_stack(void) {
  stack_t const own = {.ss_sp = malloc(ROOM), .ss_size = ROOM};
  stack_t const none = {.ss_flags = SS_DISABLE};
  struct sigaction const action = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  sigaltstack(&own, NULL);
  raise(SIGUSR1);
  if (is("bad")) {
    free(own.ss_sp);
  }
  raise(SIGUSR1);
  sigaltstack(&none, NULL);
  free(is("bad") ? NULL : own.ss_sp);
  puts("end");
  return 0;
}

int main(int argc, char **argv) {
  char *const memory = mmap(NULL, CLOSED + WHOLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack = memory + CLOSED;
  what = argv[2];
  mprotect(memory, CLOSED, PROT_NONE);
  if (strcmp(argv[1], "freed") == 0) {
    return on_a_freed_stack();
  }
  block = malloc(10);
  large = malloc(LARGE);
  self = dlopen(NULL, RTLD_NOW);
  if (argc > 2 && strcmp(argv[1], "handler") == 0) {
    in_a_handler(LEFT);
  } else if (argc > 2 && strcmp(argv[1], "least") == 0) {
    in_a_handler(LEAST);
  } else {
    in_a_coroutine();
  }
  return 1;
}
