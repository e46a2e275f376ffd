/* Ends in sandboxes, which forbid the process calls, files or descriptors. */
#define _GNU_SOURCE
#include "process.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_fcntl64
#define FCNTL SYS_fcntl64
#else
#define FCNTL SYS_fcntl
#endif

/* False where the kernel takes no filter. */
static bool filter_calls(struct sock_filter *list, size_t count) {
  struct sock_fprog const program = {(unsigned short)count, list};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* As a sandbox: fcntl(F_DUPFD_CLOEXEC) ends the process. */
static int where_no_descriptor_is_copied(char **argv) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FCNTL, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_DUPFD_CLOEXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return filter_calls(filter, sizeof filter / sizeof filter[0]) ? 3 : 1;
}

/* As a sandbox: to set a handler, or to ask which signals wait, ends the process, which then ends by itself. */
static int where_no_handler_is_set(char **argv) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigpending, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return filter_calls(filter, sizeof filter / sizeof filter[0]) ? 3 : 1;
}

/* From a frame that lies `deep` KiB below those that allocated before. */
static void *allocate_below(void *deep) {
  char volatile frame[1024];
  frame[0] = 0;
  if ((uintptr_t)deep != 0) {
    return allocate_below((void *)((uintptr_t)deep - 1));
  }
  for (int i = 0; i < 5000; i++) {
    size_t const size = i % 2 != 0 ? 5000 : 50;
    char *const p = malloc(size);
    memset(p, 1, size);
    if (i % 4 == 0) {
      free(p);
    }
  }
  return (void *)(uintptr_t)frame[0];
}

/* As a sandbox: to open a file, to ask for a limit, for the handler of a fault or for a stack for handlers, or to ask a
 * device for something ends the process. Then memory is needed. */
static int where_memory_is_needed(char **argv) {
  pthread_t thread;
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 8, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 7, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 6, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sigaltstack, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGSEGV, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (!filter_calls(filter, sizeof filter / sizeof filter[0])) {
    _exit(1);
  }
  for (uintptr_t deep = 0; deep <= 200; deep += 100) {
    (void)allocate_below((void *)deep);
  }
  /* On 32 bit the C library's own malloc opens a file in a new thread, to count processors. */
  if (sizeof(void *) == 8 &&
      (pthread_create(&thread, NULL, allocate_below, (void *)100) != 0 || pthread_join(thread, NULL) != 0)) {
    _exit(1);
  }
  syscall(SYS_exit_group, 3);
  return 2;
}

/* No file may be opened any more. The status is 4 where the kernel has no Landlock. Its calls have the same numbers on
 * all processors. */
static int where_no_file_is_opened(char **argv) {
  struct {
    uint64_t files;
  } const all = {0x1FFF}; /* what the first version knows */
  int const rules = (int)syscall(444, &all, sizeof all, 0);
  bool const restricted = rules >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(446, rules, 0) == 0 &&
                          open("/proc/self/maps", O_RDONLY) < 0;
  return restricted ? 3 : 4;
}

static int where_no_descriptor_is_left(char **argv) {
  struct rlimit const none = {3, 3};
  return setrlimit(RLIMIT_NOFILE, &none) == 0 ? 3 : 1;
}

const way process_sandboxes[] = {
    {"sandbox", where_memory_is_needed},       {"filtered", where_no_descriptor_is_copied},
    {"no_handlers", where_no_handler_is_set},  {"landlock", where_no_file_is_opened},
    {"no_files", where_no_descriptor_is_left}, {NULL, NULL},
};
