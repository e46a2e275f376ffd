/* Blocks that are lost, and blocks that are not though it takes a look to see it: argv[1] chooses the case. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ringfence/dropin.h>

#define NOINLINE __attribute__((noinline))

typedef struct node {
  struct node *left;
  struct node *right;
  char bytes[24];
} node;

static void *volatile in_a_global;
static __thread void *volatile in_a_thread_local;
static void **in_mapped_memory;

/* Calls `f` deep down, and wipes the stack that it used. */
NOINLINE static void below(void (*f)(void)) {
  char pad[4096];
  memset(pad, 0, sizeof pad);
  __asm__ volatile("" : : "r"(pad) : "memory");
  f();
}

NOINLINE static void wipe(void) {
  char pad[16384];
  memset(pad, 0, sizeof pad);
  __asm__ volatile("" : : "r"(pad) : "memory");
}

NOINLINE static node *make_node(node *left, node *right) {
  node *const n = malloc(sizeof *n);
  memset(n, 0, sizeof *n);
  n->left = left;
  n->right = right;
  return n;
}

/* ---- Lost ---- */

static void one(void) {
  void *volatile p = malloc(33);
  p = NULL;
  (void)p;
}

static void many_of_one_origin(void) {
  for (int i = 0; i < 10; i++) {
    void *volatile p = malloc(20);
    p = NULL;
    (void)p;
  }
}

/* Paths of the same length, with the same innermost calls. */
NOINLINE static void along(unsigned path, unsigned left, size_t size) {
  if (left == 0) {
    void *volatile p = malloc(size);
    p = NULL;
    (void)p;
  } else if (path % 2 == 0) {
    along(path / 2, left - 1, size);
  } else {
    along(path / 2, left - 1, size);
  }
}

static void by_many_paths(void) {
  for (unsigned path = 0; path < 256; path++) {
    along(path, 8, 100 + path * 37 % 256);
  }
}

static void a_tree(void) {
  node *volatile root = make_node(make_node(NULL, NULL), make_node(NULL, make_node(NULL, NULL)));
  root = NULL;
  (void)root;
}

static void a_ring(void) {
  node *volatile a = make_node(NULL, NULL);
  a->left = make_node(a, NULL);
  a = NULL;
  (void)a;
}

/* The address is left in freed memory, and in the spare room of a live block's neighbourhood. */
static void noted_in_a_freed_block(void) {
  void **const holder = malloc(sizeof(void *) * 4);
  holder[2] = malloc(33);
  free(holder);
}

/* The middle of the longest run of zeroes in the writable data of the preloaded library: a table's spare room. */
static int find_spare_word(struct dl_phdr_info *info, size_t size, void *context) {
  uintptr_t const ours = (uintptr_t)__ringfence_check_leaks - info->dlpi_addr;
  const ElfW(Phdr) *data = NULL;
  int found = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *const p = &info->dlpi_phdr[i];
    found |= p->p_type == PT_LOAD && ours - p->p_vaddr < p->p_memsz;
    data = p->p_type == PT_LOAD && (p->p_flags & PF_W) != 0 ? p : data;
  }
  if (found && data != NULL) {
    void **const words = (void **)((info->dlpi_addr + data->p_vaddr + 15) & ~(uintptr_t)15);
    size_t longest = 0;
    for (size_t i = 0, run = 0; i < data->p_memsz / sizeof *words - 2; i++) {
      run = words[i] == NULL ? run + 1 : 0;
      if (run > longest) {
        longest = run;
        *(void ***)context = &words[i - run / 2];
      }
    }
  }
  return found;
}

static void noted_by_the_library(void) {
  void **spare = NULL;
  if (__ringfence_check_leaks != NULL) {
    dl_iterate_phdr(find_spare_word, &spare);
    *spare = malloc(33);
  }
}

static void overwritten(void) {
  in_a_global = malloc(33);
  in_a_global = NULL;
}

static void by_realloc(void) {
  void *volatile p = malloc(10);
  p = realloc(p, 500);
  p = NULL;
}

static void by_the_c_library(void) {
  char *line = NULL;
  size_t size = 0;
  FILE *const f = fopen("/proc/self/status", "r");
  (void)!getline(&line, &size, f);
  fclose(f);
  char *volatile text = strdup("a copy");
  text = NULL;
  (void)text;
}

static void *lose_in_a_thread(void *argument) {
  below(one);
  return argument;
}

static void *lose_in_the_first_frame(void *argument) {
  void *volatile kept = malloc(33);
  (void)kept;
  return argument;
}

static void in_the_first_frame_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_in_the_first_frame, NULL);
  pthread_join(t, NULL);
}

static _Thread_local void *of_a_thread;

static void *lose_in_thread_local_storage(void *argument) {
  of_a_thread = malloc(33);
  return argument;
}

static void in_an_ended_thread_s_storage(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_in_thread_local_storage, NULL);
  pthread_join(t, NULL);
}

static void in_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_in_a_thread, NULL);
  pthread_join(t, NULL);
}

static void *give_back_a_block(void *argument) {
  (void)argument;
  return malloc(33);
}

static void as_the_result_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, give_back_a_block, NULL);
  pthread_join(t, NULL);
}

/* Such a thread never calls malloc. */
static void *do_nothing(void *argument) {
  return argument != NULL ? NULL : argument;
}

static void as_the_argument_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, do_nothing, malloc(33));
  pthread_join(t, NULL);
}

static pthread_mutex_t both_are_there = PTHREAD_MUTEX_INITIALIZER;

static void *wait_and_do_nothing(void *argument) {
  (void)pthread_mutex_lock(&both_are_there);
  (void)pthread_mutex_unlock(&both_are_there);
  return do_nothing(argument);
}

/* Nothing closed lies between the two, so that one line of the memory map has both stacks. */
static void as_the_argument_of_an_ended_thread_below_another(void) {
  pthread_attr_t open_below;
  pthread_t upper;
  pthread_t lower;
  pthread_attr_init(&open_below);
  pthread_attr_setguardsize(&open_below, 0);
  pthread_mutex_lock(&both_are_there);
  pthread_create(&upper, &open_below, wait_and_do_nothing, NULL);
  pthread_create(&lower, NULL, wait_and_do_nothing, malloc(33));
  pthread_mutex_unlock(&both_are_there);
  pthread_join(upper, NULL);
  pthread_join(lower, NULL);
}

static volatile long a_threads_number;

static void *tell_the_number(void *argument) {
  (void)argument;
  a_threads_number = syscall(SYS_gettid);
  return NULL;
}

/* Until the kernel knows the thread no more. */
static void as_the_argument_of_a_detached_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, tell_the_number, malloc(33));
  pthread_detach(t);
  while (a_threads_number == 0 || syscall(SYS_tgkill, getpid(), a_threads_number, 0) == 0) {
    usleep(1000);
  }
}

/* ---- Kept ---- */

static void *wait_for_ever(void *argument) {
  (void)argument;
  return pause() != 0 ? NULL : argument;
}

/* Far below the stack pointer of a thread that waits: even the frame of a signal's handler does not reach it. */
static __attribute__((noinline)) void lose_far_below(void) {
  void *volatile far_below[8192];
  far_below[0] = malloc(33);
}

static volatile int losers;

static void *lose_and_wait(void *argument) {
  lose_far_below();
  free(malloc(44)); /* no register has the lost block any more */
  (void)__atomic_fetch_add(&losers, 1, __ATOMIC_RELEASE);
  return wait_for_ever(argument);
}

static void on_stacks_of_waiting_threads(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_and_wait, NULL);
  pthread_create(&t, NULL, lose_and_wait, NULL);
  while (__atomic_load_n(&losers, __ATOMIC_ACQUIRE) != 2) {
    usleep(1000);
  }
}

/* It may ask for its argument at any time. */
static void kept_as_the_argument_of_a_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, wait_for_ever, malloc(33));
  usleep(20000);
}

/* Somebody may still ask for it. */
static void kept_as_the_result_of_an_ended_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, give_back_a_block, NULL);
  usleep(20000);
}

/* The system's files about the process are those of its first thread. */
static void await_end_of_first_thread(void) {
  char byte;
  ssize_t got = 1;
  for (int i = 0; i < 5000 && got > 0; i++) {
    int const maps = open("/proc/self/maps", O_RDONLY);
    got = read(maps, &byte, 1);
    close(maps);
    usleep(1000);
  }
}

static void *lose_alone(void *unused) {
  await_end_of_first_thread();
  below(one);
  wipe();
  exit(0);
  return unused;
}

static void *keep_alone(void *unused) {
  await_end_of_first_thread();
  in_a_global = make_node(make_node(NULL, NULL), NULL);
  exit(0);
  return unused;
}

static void after_the_first_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, lose_alone, NULL);
  pthread_exit(NULL);
}

static void kept_after_the_first_thread(void) {
  pthread_t t;
  pthread_create(&t, NULL, keep_alone, NULL);
  pthread_exit(NULL);
}

static void kept_global(void) {
  in_a_global = malloc(33);
}

static void kept_thread_local(void) {
  in_a_thread_local = malloc(33);
}

static void kept_chain(void) {
  in_a_global = make_node(make_node(make_node(NULL, NULL), NULL), NULL);
}

static void kept_by_an_interior_pointer(void) {
  in_a_global = (char *)malloc(100) + 50;
}

static void pointed_to_behind_its_end(void) {
  in_a_global = (char *)malloc(100) + 100;
}

static void pointed_to_behind_its_odd_end(void) {
  in_a_global = (char *)malloc(33) + 33;
}

static void kept_in_mapped_memory(void) {
  in_mapped_memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  in_mapped_memory[1000] = malloc(33);
}

static void kept_in_read_only_memory(void) {
  in_mapped_memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  in_mapped_memory[10] = malloc(33);
  mprotect(in_mapped_memory, 4096, PROT_READ);
}

static void kept_by_a_tagged_pointer(void) {
  uintptr_t const tagged = (uintptr_t)malloc(33);
#if UINTPTR_MAX > UINT32_MAX
  in_a_global = (void *)(tagged | (uintptr_t)0xFFF9 << 48);
#else
  in_a_global = (void *)(tagged | 3);
#endif
}

static void kept_in_a_big_sparse_block(void) {
  char *const sparse = calloc(1, (size_t)256 << 20);
  *(void **)(void *)(sparse + ((size_t)200 << 20)) = malloc(33);
  in_a_global = sparse;
}

/* As a compiler at run time puts addresses into instructions: at any byte. */
static void keep_in_code(size_t size, size_t offset) {
  void *const lost = malloc(33);
  unsigned char *const code = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(code, 0xCC, size);
  memcpy(code + offset, &lost, sizeof lost);
  mprotect(code, size, PROT_READ | PROT_EXEC);
}

static void kept_in_code_made_at_run_time(void) {
  keep_in_code(4096, 13);
}

/* The search reads 64 KiB at a time. */
static void kept_in_code_across_two_pieces(void) {
  keep_in_code((size_t)256 << 10, ((size_t)64 << 10) - 3);
}

static void kept_in_code_at_the_last_byte_of_a_piece(void) {
  keep_in_code((size_t)256 << 10, ((size_t)64 << 10) - 1);
}

/* The search looks up 256 pages at a time: whether they were ever touched. */
static void kept_in_code_across_two_lookups(void) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  keep_in_code(512 * page, 256 * page - 3);
}

/* As in a container that forbids to read another process's memory, and one's own by this way. */
static void kept_in_code_where_the_kernel_copies_nothing(void) {
  struct sock_filter list[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog const filter = {sizeof list / sizeof list[0], list};
  keep_in_code(4096, 13);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static void kept_by_a_key(void) {
  pthread_key_t key;
  pthread_key_create(&key, NULL);
  pthread_setspecific(key, malloc(33));
}

static pthread_barrier_t barrier;

static void *hold_on_the_stack(void *argument) {
  void *volatile mine = malloc(33);
  pthread_barrier_wait(&barrier);
  for (;;) {
    pause();
  }
  (void)mine;
  return argument;
}

/* In a loop that uses the pointer and nothing else, it lives in a register. */
static void *hold_in_a_register(void *argument) {
  register unsigned char *mine = malloc(33);
  pthread_barrier_wait(&barrier);
  for (;;) {
    __asm__ volatile("" : "+r"(mine) : : "memory");
  }
  return argument;
}

static void start(void *(*body)(void *)) {
  pthread_t t;
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&t, NULL, body, NULL);
  pthread_barrier_wait(&barrier);
}

static void kept_on_a_thread_s_stack(void) {
  start(hold_on_the_stack);
}

static void *free_at_once(void *argument) {
  free(malloc(33));
  return argument;
}

/* By a thread that was given the stack of one that ended. */
static void kept_on_a_stack_that_is_used_again(void) {
  pthread_t t;
  pthread_create(&t, NULL, free_at_once, NULL);
  pthread_join(t, NULL);
  kept_on_a_thread_s_stack();
}

/* The memory is the program's again once the thread has ended. */
static void kept_in_memory_that_was_a_stack(void) {
  size_t const size = 1 << 20;
  pthread_attr_t ours;
  pthread_t t;
  in_mapped_memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_init(&ours);
  pthread_attr_setstack(&ours, in_mapped_memory, size);
  pthread_create(&t, &ours, free_at_once, NULL);
  pthread_join(t, NULL);
  in_mapped_memory[1000] = malloc(33);
}

static void kept_in_a_thread_s_register(void) {
  start(hold_in_a_register);
}

/* ---- By the kernel alone ---- */

static void use_as_the_signal_stack(void) {
  stack_t const stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, NULL);
}

static void *use_a_signal_stack(void *argument) {
  use_as_the_signal_stack();
  wipe();
  pthread_barrier_wait(&barrier);
  return wait_for_ever(argument);
}

static void kept_as_the_signal_stack(void) {
  use_as_the_signal_stack();
}

static void kept_as_a_thread_s_signal_stack(void) {
  start(use_a_signal_stack);
}

static void kept_by_epoll(void) {
  int const watcher = epoll_create1(0);
  for (unsigned i = 0; i < 300; i++) {
    int ends[2] = {-1, -1};
    struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
    if (pipe(ends) != 0) {
      break;
    }
    event.data.ptr = make_node(NULL, make_node(NULL, NULL));
    epoll_ctl(watcher, EPOLL_CTL_ADD, ends[0], &event);
    close(ends[1]);
  }
}

/* Nothing tells of timers in kernels that cannot restore a process. */
static void kept_by_a_timer(void) {
  timer_t timer;
  if (access("/proc/self/timers", R_OK) == 0) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_ptr = make_node(NULL, NULL);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
  }
}

static int ends[2];

static void kept_in_a_pipe(void) {
  node *const n = make_node(NULL, NULL);
  if (pipe(ends) == 0) {
    (void)!write(ends[1], "ab", 2); /* at no multiple of the pointer's size */
    (void)!write(ends[1], &n, sizeof n);
  }
}

static void kept_in_a_socket(void) {
  node *const n = make_node(NULL, NULL);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) {
    (void)!write(ends[1], &n, sizeof n);
  }
}

/* They wait until the signal is let in. */
static union sigval blocked_signal_with_a_node(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return (union sigval){.sival_ptr = make_node(NULL, make_node(NULL, NULL))};
}

static void kept_by_a_signal(void) {
  sigqueue(getpid(), SIGUSR1, blocked_signal_with_a_node());
}

#ifdef __GLIBC__ /* musl has no pthread_sigqueue */
static void kept_by_a_thread_s_signal(void) {
  pthread_sigqueue(pthread_self(), SIGUSR1, blocked_signal_with_a_node());
}
#endif

static void kept_in_a_queue(void) {
  struct {
    long type;
    node *n;
  } message = {1, make_node(NULL, NULL)};
  int const queue = msgget(IPC_PRIVATE, 0600);
  msgsnd(queue, &message, sizeof message.n, 0);
  msgctl(queue, IPC_RMID, NULL);
  message.n = NULL;
}

/* The pointer stands behind the page. */
static void keep_beside_a_closed_page(size_t size) {
  size_t const page = (size_t)sysconf(_SC_PAGESIZE);
  void *block = NULL;
  if (posix_memalign(&block, page, size * page) == 0) {
    memset(block, 0, size * page);
    ((void **)block)[(size - 1) * page / sizeof block] = malloc(33);
    mprotect(block, page, PROT_NONE);
    in_a_global = block;
  }
}

static void kept_beside_a_closed_page(void) {
  keep_beside_a_closed_page(4);
}

static void kept_beside_a_closed_page_of_a_big_block(void) {
  keep_beside_a_closed_page(40);
}

static void kept_beside_a_closed_page_of_a_sparse_block(void) {
  keep_beside_a_closed_page(400);
}

static void kept_by_the_c_library(void) {
  FILE *volatile f = fopen("/dev/null", "w");
  fprintf(f, "buffered");
  f = NULL;
  (void)f;
}

typedef struct {
  const char *name;
  void (*run)(void);
} test_case;

static const test_case cases[] = {
    {"one", one},
    {"many_of_one_origin", many_of_one_origin},
    {"by_many_paths", by_many_paths},
    {"a_tree", a_tree},
    {"a_ring", a_ring},
    {"noted_in_a_freed_block", noted_in_a_freed_block},
    {"noted_by_the_library", noted_by_the_library},
    {"overwritten", overwritten},
    {"by_realloc", by_realloc},
    {"by_the_c_library", by_the_c_library},
    {"in_an_ended_thread", in_an_ended_thread},
    {"after_the_first_thread", after_the_first_thread},
    {"in_the_first_frame_of_an_ended_thread", in_the_first_frame_of_an_ended_thread},
    {"in_an_ended_thread_s_storage", in_an_ended_thread_s_storage},
    {"as_the_result_of_an_ended_thread", as_the_result_of_an_ended_thread},
    {"as_the_argument_of_an_ended_thread", as_the_argument_of_an_ended_thread},
    {"as_the_argument_of_an_ended_thread_below_another", as_the_argument_of_an_ended_thread_below_another},
    {"as_the_argument_of_a_detached_thread", as_the_argument_of_a_detached_thread},
    {"on_stacks_of_waiting_threads", on_stacks_of_waiting_threads},
    {"kept_as_the_argument_of_a_thread", kept_as_the_argument_of_a_thread},
    {"kept_as_the_result_of_an_ended_thread", kept_as_the_result_of_an_ended_thread},
    {"kept_on_a_stack_that_is_used_again", kept_on_a_stack_that_is_used_again},
    {"kept_global", kept_global},
    {"kept_thread_local", kept_thread_local},
    {"kept_chain", kept_chain},
    {"kept_by_an_interior_pointer", kept_by_an_interior_pointer},
    {"pointed_to_behind_its_end", pointed_to_behind_its_end},
    {"pointed_to_behind_its_odd_end", pointed_to_behind_its_odd_end},
    {"kept_in_mapped_memory", kept_in_mapped_memory},
    {"kept_in_memory_that_was_a_stack", kept_in_memory_that_was_a_stack},
    {"kept_in_read_only_memory", kept_in_read_only_memory},
    {"kept_by_a_tagged_pointer", kept_by_a_tagged_pointer},
    {"kept_after_the_first_thread", kept_after_the_first_thread},
    {"kept_in_a_big_sparse_block", kept_in_a_big_sparse_block},
    {"kept_in_code_made_at_run_time", kept_in_code_made_at_run_time},
    {"kept_in_code_across_two_pieces", kept_in_code_across_two_pieces},
    {"kept_in_code_at_the_last_byte_of_a_piece", kept_in_code_at_the_last_byte_of_a_piece},
    {"kept_in_code_across_two_lookups", kept_in_code_across_two_lookups},
    {"kept_in_code_where_the_kernel_copies_nothing", kept_in_code_where_the_kernel_copies_nothing},
    {"kept_by_a_key", kept_by_a_key},
    {"kept_on_a_thread_s_stack", kept_on_a_thread_s_stack},
    {"kept_in_a_thread_s_register", kept_in_a_thread_s_register},
    {"kept_as_the_signal_stack", kept_as_the_signal_stack},
    {"kept_as_a_thread_s_signal_stack", kept_as_a_thread_s_signal_stack},
    {"kept_by_epoll", kept_by_epoll},
    {"kept_by_a_timer", kept_by_a_timer},
    {"kept_in_a_pipe", kept_in_a_pipe},
    {"kept_in_a_socket", kept_in_a_socket},
    {"kept_by_a_signal", kept_by_a_signal},
#ifdef __GLIBC__
    {"kept_by_a_thread_s_signal", kept_by_a_thread_s_signal},
#endif
    {"kept_in_a_queue", kept_in_a_queue},
    {"kept_beside_a_closed_page", kept_beside_a_closed_page},
    {"kept_beside_a_closed_page_of_a_big_block", kept_beside_a_closed_page_of_a_big_block},
    {"kept_beside_a_closed_page_of_a_sparse_block", kept_beside_a_closed_page_of_a_sparse_block},
    {"kept_by_the_c_library", kept_by_the_c_library},
};

/* How the program ends: return, exit with a local still holding a block, on demand, or _exit. */
int main(int argc, char **argv) {
  const char *const name = argc > 1 ? argv[1] : "";
  const char *const how = argc > 2 ? argv[2] : "return";
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(cases[i].name, name) == 0) {
      below(cases[i].run);
      wipe();
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
