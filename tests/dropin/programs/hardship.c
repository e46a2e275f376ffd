/* Bugs that are found when little works any more: hardship SITUATION. An alarm ends what hangs. */
#define _GNU_SOURCE
#include <ringfence/dropin.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 20

static char *volatile block;
static volatile sig_atomic_t interrupted;

/* Each call has a block of its own: threads that shared one would free it twice, or not at all. */
static void damage(void) {
  char *volatile own = malloc(24);
  own[24] = 1;
  free(own);
}

static void plainly(void) {
  damage();
}

static void without_standard_error(void) {
  close(STDERR_FILENO);
  damage();
}

/* The file that the program opened in its place is not for findings. */
static void with_another_file_for_standard_error(void) {
  close(STDERR_FILENO);
  int const file = open("/dev/null", O_WRONLY);
  if (file != STDERR_FILENO) {
    _exit(50);
  }
  damage();
}

static void with_nobody_who_reads(void) {
  int ends[2];
  if (pipe(ends) != 0) {
    _exit(51);
  }
  dup2(ends[1], STDERR_FILENO);
  close(ends[0]);
  damage();
}

static void without_descriptors(void) {
  struct rlimit const none = {3, 3};
  setrlimit(RLIMIT_NOFILE, &none);
  damage();
}

static void with_descriptors_used_up(void) {
  struct rlimit const few = {64, 128};
  setrlimit(RLIMIT_NOFILE, &few);
  while (open("/dev/null", O_RDONLY) >= 0) {
  }
  damage();
}

static void without_memory(void) {
  block = malloc(24);
  for (size_t size = SIZE_MAX / 4; size >= 16; size /= 2) {
    while (malloc(size) != NULL) {
    }
  }
  block[24] = 1;
  free(block);
}

/* Each block is freed before the next: malloc must go on. */
static void come_and_go(void) {
  for (int i = 0; i < 20000; i++) {
    block = malloc(100);
    if (block == NULL) {
      (void)fprintf(stderr, "NULL at %d\n", i);
      _exit(4);
    }
    memset(block, 1, 100);
    free(block);
  }
}

/* More small blocks than get pages of their own, each of which holds the one before, then a large one. */
static void keep_all(void) {
  for (int i = 0; i < 20000; i++) {
    char **const next = malloc(100);
    if (next == NULL) {
      (void)fprintf(stderr, "NULL at %d\n", i);
      _exit(4);
    }
    *next = block;
    block = (char *)next;
  }
  void *const large = malloc((size_t)4 << 20);
  if (large == NULL) {
    _exit(5);
  }
  free(large);
}

static void within(int resource, rlim_t bytes) {
  struct rlimit const limit = {bytes, bytes};
  setrlimit(resource, &limit);
  come_and_go();
}

static void within_little_data(void) {
  within(RLIMIT_DATA, (rlim_t)32 << 20);
}

static void within_little_space(void) {
  within(RLIMIT_AS, (rlim_t)64 << 20);
}

static void on_signal(int number) {
  int local;
  (void)number;
  interrupted++;
  free(&local); /* never malloc's: found wherever the program was */
}

/* Most of the signals come inside malloc and free. */
static void in_a_signal_handler(void) {
  struct itimerval const often = {{0, 500}, {0, 500}};
  signal(SIGALRM, on_signal);
  setitimer(ITIMER_REAL, &often, NULL);
  while (interrupted < 50) {
    void *const p = malloc(100 + (size_t)rand() % 5000);
    free(realloc(p, 9000));
  }
  struct itimerval const never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
}

/* Thousands of bytes: the headers of blocks all around, and what the heap below keeps in them. */
static void with_a_heap_in_ruins(void) {
  enum { BLOCKS = 64 };
  char *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(40);
  }
  for (int i = 1; i < BLOCKS; i += 2) {
    free(blocks[i]);
  }
  memset(blocks[20], 0x41, 4000);
  for (int i = 0; i < BLOCKS; i += 2) {
    free(blocks[i]);
  }
  for (int i = 0; i < 1000; i++) {
    free(malloc((size_t)rand() % 3000));
  }
}

/* Every byte that the heap has of its own in these pages is random. */
static void with_a_heap_of_noise(void) {
  char *const p = malloc(64);
  char *const low = (char *)(((uintptr_t)p & ~(uintptr_t)4095) + 64);
  for (int i = 0; i < 4000; i++) {
    low[i] = (char)rand();
  }
  for (int i = 0; i < 2000; i++) {
    free(malloc((size_t)rand() % 3000));
  }
}

static int deeper(int depth) {
  volatile char room[1024];
  room[depth % 1024] = (char)depth;
  return deeper(depth + 1) + room[depth % 1024];
}

static void with_the_stack_used_up(void) {
  block = malloc(24);
  block[24] = 1;
  (void)deeper(0);
}

static void *damage_in_thread(void *unused) {
  for (int i = 0; i < 20; i++) {
    damage();
  }
  return unused;
}

static void in_many_threads(void) {
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) {
    pthread_create(&threads[i], NULL, damage_in_thread, NULL);
  }
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
  }
}

static void very_often(void) {
  for (int i = 0; i < 20000; i++) {
    damage();
  }
}

static void *work_forever(void *unused) {
  for (;;) {
    free(malloc(100));
  }
  return unused;
}

static void while_others_work(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    pthread_create(&threads[i], NULL, work_forever, NULL);
  }
  damage();
}

static void with_a_snapshot(void) {
  damage();
  if (__ringfence_snapshot != NULL) {
    (void)__ringfence_snapshot("amid it all");
  }
}

static char *kept[7];

static void with_blocks_kept(void) {
  for (int i = 0; i < 7; i++) {
    kept[i] = malloc(1234);
  }
  (void)__ringfence_snapshot("kept");
}

static void with_signals_for_snapshots(void) {
  enum { SIGNALS = 40 };
  for (int i = 0; i < SIGNALS; i++) {
    kill(getpid(), SIGUSR2);
    for (int k = 0; k < 2000; k++) {
      free(malloc((size_t)k));
    }
  }
}

/* ---- Forks ---- */

static volatile sig_atomic_t forks;

static void end_child(pid_t pid) {
  int status = -1;
  if (pid == 0) {
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
    _exit(52);
  }
}

static void fork_in_handler(int number) {
  (void)number;
  end_child(fork());
  forks = forks + 1;
}

static void *wait_for_end(void *ends) {
  char end;
  return read(*(int *)ends, &end, 1) == 1 ? ends : NULL;
}

static void with_handlers_that_fork(void) {
  enum { FORKS = 40 };
  struct sigaction const action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
  struct itimerval const often = {{0, 500}, {0, 500}};
  struct itimerval const never = {{0, 0}, {0, 0}};
  sigaction(SIGPROF, &action, NULL);
  setitimer(ITIMER_PROF, &often, NULL);
  while (forks < FORKS) {
    free(malloc((size_t)forks));
    if (forks % 16 == 0) {
      end_child(fork());
    }
  }
  setitimer(ITIMER_PROF, &never, NULL);
}

static void with_handlers_that_fork_among_threads(void) {
  int ends[2];
  pthread_t other;
  sigset_t profiling;
  sigemptyset(&profiling);
  sigaddset(&profiling, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &profiling, NULL);
  if (pipe(ends) != 0 || pthread_create(&other, NULL, wait_for_end, ends) != 0) {
    _exit(53);
  }
  pthread_sigmask(SIG_UNBLOCK, &profiling, NULL);
  with_handlers_that_fork();
  if (write(ends[1], "", 1) != 1 || pthread_join(other, NULL) != 0) {
    _exit(54);
  }
}

/* A stream's reader allocates with the stream locked, fflush(NULL) waits for the stream with the list of streams
 * locked, and fork wants that list. */
static volatile sig_atomic_t streams_end;

static void *read_lines(void *file) {
  FILE *const f = file;
  while (!streams_end) {
    char *line = NULL;
    size_t size = 0;
    rewind(f);
    if (getline(&line, &size, f) < 0) {
      _exit(55);
    }
    free(line);
    (void)usleep(50); /* the lock is nobody's turn */
  }
  return fclose(f) == 0 ? file : NULL;
}

static void *flush_all(void *unused) {
  while (!streams_end) {
    (void)fflush(NULL);
    (void)usleep(50);
  }
  return unused;
}

static void *fork_often(void *unused) {
  while (!streams_end) {
    end_child(fork());
  }
  return unused;
}

enum { READERS = 4 };

static void start_readers(pthread_t *threads) {
  enum { LINE = 20000 };
  char path[] = "/tmp/ringfence-XXXXXX";
  FILE *const f = fdopen(mkstemp(path), "w");
  for (int i = 0; i < LINE; i++) {
    fputc(i + 1 < LINE ? 'x' : '\n', f);
  }
  fclose(f);
  for (int i = 0; i < READERS; i++) {
    pthread_create(&threads[i], NULL, read_lines, fopen(path, "r"));
  }
  unlink(path);
}

static void with_streams_and_forks(void) {
  enum { FORKS = 60 };
  pthread_t threads[READERS + 1];
  start_readers(threads);
  pthread_create(&threads[READERS], NULL, flush_all, NULL);
  for (int i = 0; i < FORKS; i++) {
    end_child(fork());
  }
  streams_end = 1;
  for (int i = 0; i <= READERS; i++) {
    pthread_join(threads[i], NULL);
  }
}

/* The process ends while another thread forks: exit holds what fork wants. */
static void with_streams_and_forks_at_the_end(void) {
  pthread_t threads[READERS + 1];
  start_readers(threads);
  pthread_create(&threads[READERS], NULL, fork_often, NULL);
  (void)usleep(20000);
}

static const struct {
  const char *name;
  void (*run)(void);
} situations[] = {
    {"plainly", plainly},
    {"no_stderr", without_standard_error},
    {"other_stderr", with_another_file_for_standard_error},
    {"no_reader", with_nobody_who_reads},
    {"no_descriptors", without_descriptors},
    {"used_descriptors", with_descriptors_used_up},
    {"no_memory", without_memory},
    {"come_and_go", come_and_go},
    {"keep_all", keep_all},
    {"little_data", within_little_data},
    {"little_space", within_little_space},
    {"handler", in_a_signal_handler},
    {"ruins", with_a_heap_in_ruins},
    {"noise", with_a_heap_of_noise},
    {"no_stack", with_the_stack_used_up},
    {"threads", in_many_threads},
    {"often", very_often},
    {"others", while_others_work},
    {"snapshot", with_a_snapshot},
    {"kept", with_blocks_kept},
    {"snapshot_signals", with_signals_for_snapshots},
    {"forking_handlers", with_handlers_that_fork},
    {"forking_handlers_threads", with_handlers_that_fork_among_threads},
    {"streams", with_streams_and_forks},
    {"streams_end", with_streams_and_forks_at_the_end},
};

int main(int argc, char **argv) {
  struct rlimit const no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  for (size_t i = 0; argc > 1 && i < sizeof situations / sizeof situations[0]; i++) {
    if (strcmp(argv[1], situations[i].name) == 0) {
      struct itimerval const end = {{0, 0}, {SECONDS, 0}};
      setitimer(ITIMER_VIRTUAL, &end, NULL);
      situations[i].run();
      puts("output");
      return 3;
    }
  }
  return 60;
}
