/* Ends in many ways, with or without damage done: argv[1] says how, argv[2] "bad" does the damage, "deaf" keeps
 * SIGABRT away. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ringfence/dropin.h>

static char *volatile kept;

static void *from_a_thread(void *argument) {
  exit(5);
  return argument;
}

static void *go_on(void *argument) {
  usleep(10000);
  return argument;
}

static void null_access(void) {
  *(volatile int *)(uintptr_t)8 = 1;
}

static void in_a_handler(int number) {
  (void)number;
  _exit(6);
}

static void own_handler(int number) {
  (void)number;
  printf("handled\n");
  exit(7);
}

static void raise_again(int number) {
  raise(number);
}

static void take_long(int number) {
  struct timespec const time = {0, 2000000};
  (void)number;
  nanosleep(&time, NULL);
}

/* A handler that its signal interrupts each time, until the stack has no room for another one. */
static void fill_stack(void (*handler)(int number)) {
  struct itimerval const often = {{0, 100}, {0, 100}};
  struct rlimit const small = {512 * 1024, 512 * 1024};
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
  setrlimit(RLIMIT_STACK, &small);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  for (;;) {
    pause();
  }
}

/* As crash reporters do: it calls what was there before it, or falls back on the default where nothing was. */
static struct sigaction before;

static void chained_handler(int number, siginfo_t *info, void *context) {
  static volatile sig_atomic_t calls;
  if (++calls > 10) {
    _exit(1); /* the signal should have ended the process */
  }
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(number, info, context);
  } else {
    signal(number, SIG_DFL);
  }
}

static void chain(void) {
  struct sigaction action = {.sa_sigaction = chained_handler, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, &before);
  free(malloc(10));
}

/* As interpreters do: what was there before is looked at, and put back. */
static int default_seen(int number) {
  struct sigaction old;
  int const seen = sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL && old.sa_flags == 0 &&
                   signal(number, own_handler) == SIG_DFL && signal(number, SIG_DFL) == own_handler;
  return seen && sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL;
}

static void *allocate_until_cancelled(void *argument) {
  for (;;) {
    free(malloc(10));
    pthread_testcancel();
  }
  return argument;
}

/* Some of them while their first allocation is being served. */
static void cancel_threads(void) {
  for (int i = 0; i < 200; i++) {
    pthread_t t;
    pthread_create(&t, NULL, allocate_until_cancelled, NULL);
    usleep(i % 4 * 100);
    pthread_cancel(t);
    pthread_join(t, NULL);
  }
}

static volatile int rounds;

static int allocate_with_the_loader_s_lock(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)info;
  (void)size;
  (void)argument;
  free(malloc(50));
  return 0;
}

static void *ask_the_loader(void *argument) {
  for (;; rounds++) {
    dl_iterate_phdr(allocate_with_the_loader_s_lock, NULL);
  }
  return argument;
}

static void start_asking_the_loader(void) {
  pthread_t t;
  for (int i = 0; i < 3; i++) {
    pthread_create(&t, NULL, ask_the_loader, NULL);
  }
  while (rounds == 0) {
    usleep(100);
  }
}

static volatile int waiting;

static void *wait_for_nothing(void *by_poll) {
  struct timespec const long_enough = {100, 0};
  __atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED);
  if (by_poll != NULL) {
    (void)poll(NULL, 0, 100000);
  } else {
    (void)nanosleep(&long_enough, NULL);
  }
  _exit(55);
}

/* Threads that the end of the process must not wake. */
static void start_waiting(void) {
  enum { EACH = 4 };
  pthread_t t;
  for (int i = 0; i < 2 * EACH; i++) {
    pthread_create(&t, NULL, wait_for_nothing, i < EACH ? NULL : &waiting);
  }
  while (waiting < 2 * EACH) {
    usleep(100);
  }
  usleep(2000);
}

/* True where all children ended as they wanted to. */
static int end_children(void) {
  int status = 0;
  for (int i = 0; i < 20 && status == 0; i++) {
    pid_t const pid = fork();
    if (pid == 0) {
      exit(0);
    }
    waitpid(pid, &status, 0);
  }
  return status == 0;
}

/* The status of a child that is made after a finding. */
static int overflow_and_fork(void) {
  int status = 0;
  char *const p = malloc(10);
  p[10] = 1;
  free(p);
  pid_t const pid = fork();
  if (pid == 0) {
    exit(4);
  }
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

/* As setproctitle does: the environment moves away, and what it was is written over. */
static void set_title(char **argv) {
  char *const start = argv[0];
  char *end = start;
  char **const moved = calloc(1000, sizeof *moved);
  for (int i = 0; environ[i] != NULL && i < 999; i++) {
    end = environ[i] + strlen(environ[i]);
    moved[i] = strdup(environ[i]);
  }
  environ = moved;
  memset(start, 0, (size_t)(end - start));
}

static void close_all(void) {
  fclose(stdout);
  fclose(stderr);
}

static int print_descriptors(void) {
  struct stat file;
  for (int i = 0; i < 4096; i++) {
    if (fstat(i, &file) == 0) {
      printf(" %d", i);
    }
  }
  return 3;
}

/* As a daemon does that wants to begin with nothing open. Then reads a byte of a freed block. */
static int close_others(const char *way) {
  char *volatile block = malloc(50);
  free(block);
  if (strcmp(way, "range") == 0) {
    (void)close_range(3, ~0U, 0);
  } else if (strcmp(way, "from") == 0) {
    closefrom(3);
  } else if (strcmp(way, "copies") == 0) {
    for (int i = 3; i < 4096; i++) {
      (void)dup2(0, i);
    }
  } else {
    for (int i = 3; i < 4096; i++) {
      (void)close(i);
    }
  }
  return block[0] == 0 ? 3 : 1;
}

#ifdef SYS_fcntl64
#define FCNTL SYS_fcntl64
#else
#define FCNTL SYS_fcntl
#endif

/* As a sandbox: fcntl(F_DUPFD_CLOEXEC) ends the process. */
static int refuse_copies_of_descriptors(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FCNTL, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_DUPFD_CLOEXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog const program = {sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* As a sandbox: to set a handler, or to ask which signals wait, ends the process, which then ends by itself. */
static int refuse_handlers(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigpending, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog const program = {sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
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
static void allocate_in_a_sandbox(void) {
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
  struct sock_fprog const program = {sizeof filter / sizeof filter[0], filter};
  if ((prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) | prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) != 0) {
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
}

/* Handled and blocked. */
static void ignore_aborts(void) {
  sigset_t set;
  signal(SIGABRT, own_handler);
  sigemptyset(&set);
  sigaddset(&set, SIGABRT);
  sigprocmask(SIG_BLOCK, &set, NULL);
}

enum { BLOCKS = 16, LARGE = 3000000, HOLE = 0x10000 };

/* True where nothing can be read in HOLE bytes from there. */
static int is_hole(char *at) {
  void *const hole = mmap(at, HOLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  int ends[2];
  return hole == at || (pipe(ends) == 0 && write(ends[1], at, 1) < 0 && write(ends[1], at + HOLE - 1, 1) < 0);
}

#define FAR (60 * 1024)

/* A place where nothing is, FAR before or behind a large block, *of, or as far as its rounded ends are. */
static char *hole_beside(int behind, char **of) {
  for (int i = 0; i < BLOCKS; i++) {
    char *const block = malloc(LARGE);
    uintptr_t const end = ((uintptr_t)block + LARGE + HOLE) & ~(uintptr_t)(HOLE - 1);
    uintptr_t const at = behind ? end : ((uintptr_t)block & ~(uintptr_t)(HOLE - 1)) - HOLE;
    if (is_hole((char *)at)) {
      char *const nearest = (char *)at + (behind ? 8 : HOLE - 8);
      char *const far = behind ? block + LARGE + FAR : block - FAR;
      *of = block;
      return behind == (far > nearest) ? far : nearest;
    }
    (void)mmap(NULL, 4 * HOLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* apart from the next one */
  }
  return NULL;
}

static int wild_access(int behind, int freed) {
  char *block = NULL;
  volatile char *const at = hole_beside(behind, &block);
  if (freed) {
    free(block);
  }
  return at != NULL ? *at : 1;
}

static volatile size_t too_much = (size_t)-1 / 2 + 1; /* for any malloc */

/* The block is in a list of its thread then, which glibc walks when the thread ends. */
static void *damage_list_of_thread(void *unused) {
  void *const block = malloc(24);
  free(block);
  *(volatile unsigned char *)block ^= 1; /* the list's next one */
  return unused;
}

static void damage_as_thread_ends(void) {
  pthread_t t;
  pthread_create(&t, NULL, damage_list_of_thread, NULL);
  pthread_join(t, NULL);
}

static int leave(const char *how) {
  if (strcmp(how, "return") == 0) {
    return 3;
  }
  if (strcmp(how, "sandbox") == 0) {
    allocate_in_a_sandbox();
  }
  if (strcmp(how, "exit") == 0) {
    exit(4);
  }
  if (strcmp(how, "_exit") == 0) {
    _exit(4);
  }
  if (strcmp(how, "quick_exit") == 0) {
    quick_exit(4);
  }
  if (strcmp(how, "rejected_then_thread_end") == 0) {
    free(malloc(too_much));
    damage_as_thread_ends();
  }
  if (strcmp(how, "thread_end") == 0) {
    damage_as_thread_ends();
  }
  if (strcmp(how, "abort") == 0) {
    abort();
  }
  if (strcmp(how, "segv") == 0) {
    null_access();
  }
  if (strcmp(how, "stale_pointer") == 0) {
    char ***const list = malloc(4 * sizeof *list);
    char ***volatile const same = list;
    free(list);
    same[1][2] = NULL;
  }
  if (strncmp(how, "wild_be", strlen("wild_be")) == 0) {
    return wild_access(strstr(how, "behind") != NULL, strstr(how, "freed") != NULL);
  }
  if (strcmp(how, "raised_again") == 0) {
    fill_stack(raise_again);
  }
  if (strcmp(how, "slow_handler") == 0) {
    fill_stack(take_long);
  }
  if (strcmp(how, "raise_segv") == 0) {
    raise(SIGSEGV);
  }
  if (strncmp(how, "signal", strlen("signal")) == 0) {
    raise(atoi(how + strlen("signal")));
    return 0; /* it was ignored */
  }
  if (strcmp(how, "blocked") == 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    execl("/proc/self/exe", "process", "signal15", (char *)NULL);
  }
  if (strcmp(how, "sleep") == 0) {
    sleep(60);
  }
  if (strcmp(how, "handler") == 0) {
    signal(SIGUSR1, in_a_handler);
    raise(SIGUSR1);
  }
  if (strcmp(how, "own_segv") == 0) {
    signal(SIGSEGV, own_handler);
    null_access();
  }
  if (strcmp(how, "chained_segv") == 0) {
    chain();
    null_access();
  }
  if (strcmp(how, "defaults") == 0) {
    return default_seen(SIGUSR1) && default_seen(SIGSEGV) && default_seen(SIGABRT) && default_seen(SIGTERM) &&
                   default_seen(SIGINT)
               ? 3
               : 1;
  }
  if (strcmp(how, "thread") == 0) {
    pthread_t t;
    pthread_create(&t, NULL, from_a_thread, NULL);
    pthread_join(t, NULL);
  }
  if (strcmp(how, "pthread_exit") == 0) {
    pthread_t t;
    pthread_create(&t, NULL, go_on, NULL);
    pthread_exit(NULL);
  }
  if (strcmp(how, "exec") == 0) {
    execlp("sh", "sh", "-c", "exit 8", (char *)NULL);
  }
  if (strcmp(how, "fork") == 0) {
    int status = 0;
    pid_t const pid = fork();
    if (pid == 0) {
      char *const p = malloc(10);
      p[10] = 1;
      exit(0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) == 99 ? 9 : 1;
  }
  if (strcmp(how, "twice_in_fork") == 0) {
    int status = 0;
    pid_t const pid = fork();
    if (pid == 0) {
      char *const p = malloc(10);
      free(p);
      free(p);
      exit(0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) == 99 ? 9 : 1;
  }
  if (strcmp(how, "overflow_fork") == 0) {
    return overflow_and_fork() == 4 ? 9 : 1;
  }
  if (strcmp(how, "cancelled") == 0) {
    cancel_threads();
    return 3;
  }
  if (strcmp(how, "loader") == 0) {
    start_asking_the_loader();
    return 3;
  }
  if (strcmp(how, "loader_fork") == 0) {
    fflush(stdout);
    start_asking_the_loader();
    return end_children() ? 3 : 1;
  }
  if (strcmp(how, "waiting") == 0) {
    start_waiting();
    return 3;
  }
  if (strcmp(how, "closed") == 0) {
    atexit(close_all);
    return 3;
  }
  if (strcmp(how, "sweep") == 0) {
    printf("%zu\n", __ringfence_sweep != NULL ? __ringfence_sweep() : (size_t)77);
    return 3;
  }
  if (strcmp(how, "rejected") == 0) {
    void *volatile refused = calloc((size_t)-1 / 2, 16);
    refused = malloc((size_t)-1);
    refused = aligned_alloc(24, 24);
    return refused == NULL ? 3 : 1;
  }
  if (strcmp(how, "descriptors") == 0) {
    return print_descriptors();
  }
  if (strcmp(how, "no_files") == 0) {
    struct rlimit const none = {3, 3};
    return setrlimit(RLIMIT_NOFILE, &none) == 0 ? 3 : 1;
  }
  if (strcmp(how, "filtered") == 0) {
    return refuse_copies_of_descriptors() == 0 ? 3 : 1;
  }
  if (strcmp(how, "no_handlers") == 0) {
    return refuse_handlers() == 0 ? 3 : 1;
  }
  if (strcmp(how, "many") == 0) {
    for (int i = 0; i < 5; i++) {
      char *const p = malloc(10);
      p[10] = 1;
      free(p);
    }
    return 3;
  }
  return 2;
}

/* No file may be opened any more. False where the kernel has no Landlock. The numbers of its calls are the same on all
 * processors. */
static bool restrict_files(void) {
  struct {
    uint64_t files;
  } const all = {0x1FFF}; /* what the first version knows */
  int const rules = (int)syscall(444, &all, sizeof all, 0);
  return rules >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(446, rules, 0) == 0 &&
         open("/proc/self/maps", O_RDONLY) < 0;
}

int main(int argc, char **argv) {
  printf("output"); /* not flushed: must not be lost at any end but those that lose it anyway */
  kept = malloc(10);
  memset(kept, 1, 10);
  if (argc > 2 && strcmp(argv[2], "bad") == 0) {
    kept[10] = 1;
  }
  if (argc > 2 && strcmp(argv[2], "deaf") == 0) {
    ignore_aborts();
  }
  if (argc > 1 && strcmp(argv[1], "title") == 0) {
    set_title(argv);
    return 3;
  }
  if (argc > 3 && strcmp(argv[1], "closes") == 0) {
    return close_others(argv[3]);
  }
  if (argc > 3 && strcmp(argv[1], "moved") == 0) {
    setuid(getuid()); /* the file may not be opened any more */
    rename(argv[3], argv[4]);
    return 3;
  }
  if (argc > 1 && strcmp(argv[1], "landlock") == 0) {
    return restrict_files() ? 3 : 4;
  }
  if (argc > 3 && strcmp(argv[1], "reused") == 0) {
    close(STDERR_FILENO);
    return open(argv[3], O_RDWR | O_CREAT, 0600) == STDERR_FILENO && write(STDERR_FILENO, "data", 4) == 4 ? 3 : 1;
  }
  if (argc > 3 && strcmp(argv[1], "redirected") == 0) {
    return dup2(open(argv[3], O_RDWR | O_CREAT, 0600), STDERR_FILENO) == STDERR_FILENO ? 3 : 1;
  }
  return leave(argc > 1 ? argv[1] : "");
}
