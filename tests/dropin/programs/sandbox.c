/* Forbids itself most system calls, and goes on: by argv[1], "strict" (SECCOMP_MODE_STRICT), or a filter that ends the
 * process at all calls but some: "fixed" (files that are open, the end), "least" (memory as well), "threads" (those as
 * well), or one that "refuses" what threads do not need, the process's id among it, or "keeps" the memory as it is:
 * requests for more fail. argv[2] is how: "prctl" or "syscall". argv[3] is the
 * end: "return", "_exit", or "exit" (the call of that name). argv[4] is what else it does: with "overflow" it writes
 * behind a block then, with "full" its standard error is a file that may not grow. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_mmap2
#define MAP_CALL SYS_mmap2
#else
#define MAP_CALL SYS_mmap
#endif
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define BEGIN BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define FIXED BEGIN, ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigreturn)
#define LEAST FIXED, ALLOW(SYS_brk), ALLOW(MAP_CALL), ALLOW(SYS_munmap)
#define THREADS                                                                                                        \
  LEAST, ALLOW(SYS_clone), ALLOW(SYS_clone3), ALLOW(SYS_set_robust_list), ALLOW(SYS_rseq), ALLOW(SYS_rt_sigprocmask),  \
      ALLOW(SYS_futex), ALLOW(SYS_madvise), ALLOW(SYS_mprotect), ALLOW(SYS_mremap), ALLOW(SYS_rt_sigaction)
#define END BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define REFUSAL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter fixed[] = {FIXED, END};
static struct sock_filter keeps[] = {FIXED, REFUSAL};
static struct sock_filter least[] = {LEAST, END};
static struct sock_filter threads[] = {THREADS, END};
static struct sock_filter refuses[] = {THREADS, REFUSAL};

static int enter_filter(struct sock_filter *code, size_t length, int by_syscall) {
  struct sock_fprog program = {(unsigned short)length, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return by_syscall ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
                    : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static const struct {
  const char *name;
  struct sock_filter *code;
  size_t length;
} filters[] = {{"fixed", fixed, sizeof fixed / sizeof fixed[0]},
               {"keeps", keeps, sizeof keeps / sizeof keeps[0]},
               {"least", least, sizeof least / sizeof least[0]},
               {"threads", threads, sizeof threads / sizeof threads[0]},
               {"refuses", refuses, sizeof refuses / sizeof refuses[0]}};

static int enter(const char *which, int by_syscall) {
  for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
    if (strcmp(which, filters[i].name) == 0) {
      return enter_filter(filters[i].code, filters[i].length, by_syscall);
    }
  }
  return by_syscall ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)
                    : prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
}

#define BLOCKS 60

static void *blocks[BLOCKS];

static void allocate(void) {
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(i * 10 + 1);
    if (blocks[i] == NULL) {
      abort();
    }
    memset(blocks[i], 1, i * 10 + 1);
  }
}

static void resize(void) {
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = realloc(blocks[i], i * 12 + 1);
    if (blocks[i] == NULL) {
      abort();
    }
    memset(blocks[i], 2, i * 12 + 1);
  }
}

static void release(void) {
  for (size_t i = 0; i < BLOCKS; i++) {
    free(blocks[i]);
  }
}

static void *run(void *unused) {
  for (size_t i = 0; i < 100; i++) {
    free(malloc(i * 100));
  }
  return unused;
}

static void overflow(void) {
  volatile char *const block = malloc(20);
  block[20] = 1;
  free((char *)block);
}

/* A handler, which makes that signal wait while the end of the process is looked at. */
static void ignore(int number) {
  (void)number;
}

/* A write to it comes with SIGXFSZ. Standard output may be a file, too. */
static bool fill_standard_error(void) {
  struct rlimit const limit = {1 << 24, 1 << 24};
  int const file = memfd_create("full", MFD_CLOEXEC);
  return file >= 0 && lseek(file, 1 << 24, SEEK_SET) == 1 << 24 && dup2(file, STDERR_FILENO) == STDERR_FILENO &&
         setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

int main(int argc, char **argv) {
  pthread_t thread;
  char *const big = malloc(2000);
  const char *const extra = argc > 4 ? argv[4] : "";
  if (strcmp(extra, "full") == 0 && (!fill_standard_error() || signal(SIGUSR1, ignore) == SIG_ERR)) {
    return 4;
  }
  allocate();
  puts("begin");
  fflush(stdout);
  if (enter(argv[1], strcmp(argv[2], "syscall") == 0) != 0) {
    return 3;
  }
  release();
  allocate();
  resize();
  release();
  free(big);
  if (strcmp(extra, "overflow") == 0) {
    overflow();
  }
  if (strcmp(argv[1], "threads") == 0 && pthread_create(&thread, NULL, run, NULL) == 0) {
    pthread_join(thread, NULL);
  }
  (void)!write(STDOUT_FILENO, "done\n", 5);
  if (strcmp(argv[3], "exit") == 0) {
    syscall(SYS_exit, 7);
  }
  fputs("buffered\n", stdout);
  if (strcmp(argv[3], "_exit") == 0) {
    _exit(6);
  }
  return 5;
}
