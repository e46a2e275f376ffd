/* Requests for a recorder: known ones, from threads, in children, in signal handlers. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 5000 };

static void *volatile kept;
static volatile size_t too_much = (size_t)-1 / 4; /* for any system */

/* Sizes that nobody else asks for. */
static void known(void) {
  char *first = malloc(1001);
  char *second = calloc(7, 143);      /* 1001 */
  void *third = memalign(4096, 1003); /* of 4096 */
  first = realloc(first, 30011);
  second = realloc(second, 0);
  free(third);
  kept = first; /* a block of 30011 bytes is left */
  third = realloc(NULL, 1005);
  free(third);
  third = malloc(1007);
  void *const none = realloc(third, too_much);
  free(none != NULL ? none : third);
  free(NULL);
}

static void *churn(void *seed) {
  unsigned state = (unsigned)(size_t)seed + 1;
  void *blocks[64] = {NULL};
  for (int i = 0; i < ROUNDS; i++) {
    state = state * 1664525U + 1013904223U;
    void **const block = &blocks[state >> 26];
    if (*block != NULL && (state & 1U) != 0) {
      *block = realloc(*block, 1 + (state >> 8) % 500);
    } else {
      free(*block);
      *block = malloc(1 + (state >> 8) % 300);
    }
  }
  for (int i = 0; i < 64; i++) {
    free(blocks[i]);
  }
  return NULL;
}

static void threads(void) {
  pthread_t ids[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    pthread_create(&ids[i], NULL, churn, (void *)i);
  }
  for (size_t i = 0; i < THREADS; i++) {
    pthread_join(ids[i], NULL);
  }
}

/* How many descriptors are of the file. */
static int descriptors_of(const char *path) {
  DIR *const folder = opendir("/proc/self/fd");
  int count = 0;
  for (const struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
    char name[300];
    char file[4096] = "";
    (void)snprintf(name, sizeof name, "/proc/self/fd/%s", e->d_name);
    count += readlink(name, file, sizeof file - 1) > 0 && strcmp(file, path) == 0 ? 1 : 0;
  }
  closedir(folder);
  return count;
}

static bool idle; /* the child asks for no memory */

static const char *watched; /* the trace, where the child is to look whether it has it open */

/* The child's blocks: one of 2001 bytes. */
static int child(const char *end) {
  if (watched != NULL) {
    return descriptors_of(watched);
  }
  free(malloc(2001));
  if (strcmp(end, "exec") == 0) {
    execl("/bin/true", "true", (char *)NULL);
  }
  return 0;
}

static void fork_one(const char *end) {
  int status = 1;
  pid_t const id = fork();
  if (id == 0 && idle) {
    _exit(0);
  }
  if (id == 0) {
    exit(child(end));
  }
  if (id < 0 || waitpid(id, &status, 0) != id || status != 0) {
    abort();
  }
  printf("%d\n", (int)id);
  fflush(stdout); /* or a later child would print it again */
}

enum { ERRNO = 77 };

/* The first request of a child opens its trace. Returns whether that left errno alone, whichever request it is. */
static bool keeps_errno(int which) {
  void *const had = malloc(100);
  int status = 1;
  pid_t const id = fork();
  if (id == 0) {
    errno = ERRNO;
    if (which == 0) {
      kept = malloc(2001);
    } else if (which == 1) {
      free(had);
    } else {
      kept = realloc(had, 2001);
    }
    _exit(errno == ERRNO ? 0 : 1);
  }
  bool const done = waitpid(id, &status, 0) == id && status == 0;
  free(had);
  return done;
}

/* The traces of children have no folder any more. */
static int fork_without_a_folder(const char *folder) {
  char elsewhere[4096];
  (void)snprintf(elsewhere, sizeof elsewhere, "%s.moved", folder);
  return rename(folder, elsewhere) == 0 && keeps_errno(0) && keeps_errno(1) && keeps_errno(2) ? 0 : 1;
}

enum { CHILD_DONE = 7 };

/* A thread that is to be cancelled forks, and its child asks for memory: neither is a point of cancellation. A thread
 * that ends by one, the child's only one, ends the child with status 0. */
static void *fork_to_be_cancelled(void *id) {
  int state;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  pthread_cancel(pthread_self());
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
  *(pid_t *)id = fork();
  if (*(pid_t *)id == 0) {
    free(malloc(2001));
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    exit(CHILD_DONE);
  }
  return NULL;
}

static void fork_in_cancelled_thread(void) {
  pthread_t thread;
  pid_t id = -1;
  int status = 0;
  pthread_create(&thread, NULL, fork_to_be_cancelled, &id);
  pthread_join(thread, NULL);
  if (id <= 0 || waitpid(id, &status, 0) != id || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_DONE) {
    abort();
  }
  printf("%d\n", (int)id);
}

static void forks_among_threads(void) {
  pthread_t ids[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    pthread_create(&ids[i], NULL, churn, (void *)i);
  }
  for (int i = 0; i < 20; i++) {
    fork_one("exit");
  }
  for (size_t i = 0; i < THREADS; i++) {
    pthread_join(ids[i], NULL);
  }
}

/* The next alarm comes once this one was served, or a slow machine would do nothing else. */
static const struct itimerval soon = {{0, 0}, {0, 200}};

static void on_alarm(int number) {
  (void)number;
  free(malloc(501));
  setitimer(ITIMER_REAL, &soon, NULL);
}

/* `flags`: 0 lets each alarm cut short what the system is doing. */
static void alarms(int flags) {
  struct itimerval const never = {{0, 0}, {0, 0}};
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
  for (int i = 0; i < 20; i++) {
    churn((void *)(size_t)i);
  }
  signal(SIGALRM, SIG_IGN); /* an alarm that comes now would set the timer again */
  setitimer(ITIMER_REAL, &never, NULL);
}

/* ---- Two forks at once, one by a handler that interrupted the recorder ---- */

static volatile int rounds;     /* of the thread that records */
static volatile int may_fork;   /* the other thread may */
static volatile int has_forked; /* the handler has */
static volatile sig_atomic_t in_child;

static void nap(long ms) {
  struct timespec const time = {0, ms * 1000000};
  nanosleep(&time, NULL);
}

/* Its child goes on where the recorder was interrupted. */
static void fork_in_handler(int number) {
  (void)number;
  pid_t const id = fork();
  int status = 1;
  in_child = id == 0;
  if (id > 0 && (waitpid(id, &status, 0) != id || status != 0)) {
    abort();
  }
  has_forked = 1;
}

static void *record(void *unused) {
  for (int i = 0; i < 40; i++) {
    rounds++;
    churn(unused);
  }
  if (in_child) {
    _exit(0);
  }
  return NULL;
}

static void *fork_when_told(void *unused) {
  int status = 1;
  while (!may_fork) {
    nap(1);
  }
  pid_t const id = fork();
  if (id == 0) {
    _exit(0);
  }
  if (id < 0 || waitpid(id, &status, 0) != id || status != 0) {
    abort();
  }
  return unused;
}

/* The trace is a pipe that nobody reads before the file `go` is there: who records stays where it is full. */
static void fork_while_recording(const char *go) {
  pthread_t recorder;
  pthread_t other;
  int before = -1;
  alarm(60);
  signal(SIGUSR1, fork_in_handler);
  pthread_create(&other, NULL, fork_when_told, NULL);
  pthread_create(&recorder, NULL, record, NULL);
  while (rounds == 0 || rounds != before) {
    before = rounds;
    nap(300);
  }
  may_fork = 1;
  nap(50);
  pthread_kill(recorder, SIGUSR1);
  while (!has_forked) {
    nap(1);
  }
  int const file = creat(go, 0600);
  close(file);
  pthread_join(recorder, NULL);
  pthread_join(other, NULL);
}

int main(int argc, char **argv) {
  const char *const what = argc > 1 ? argv[1] : "known";
  known();
  if (strcmp(what, "threads") == 0) {
    threads();
  } else if (strcmp(what, "fork") == 0) {
    fork_one("exit");
    free(malloc(3001));
  } else if (strcmp(what, "fork_exec") == 0) {
    fork_one("exec");
  } else if (strcmp(what, "fork_idle") == 0) {
    idle = true;
    fork_one("exit");
  } else if (strcmp(what, "has_open") == 0) {
    return descriptors_of(argv[2]);
  } else if (strcmp(what, "fork_cancelled") == 0) {
    fork_in_cancelled_thread();
  } else if (strcmp(what, "forks") == 0) {
    forks_among_threads();
  } else if (strcmp(what, "alarms") == 0) {
    alarms(SA_RESTART);
  } else if (strcmp(what, "cut_short") == 0) {
    alarms(0);
  } else if (strcmp(what, "fork_closed") == 0) {
    watched = argv[2];
    if (descriptors_of(watched) != 1) {
      return 2;
    }
    fork_one("exit");
  } else if (strcmp(what, "fork_recording") == 0) {
    fork_while_recording(argv[2]);
  } else if (strcmp(what, "fork_no_folder") == 0) {
    return fork_without_a_folder(argv[2]);
  } else if (strcmp(what, "fork_elsewhere") == 0) {
    if (chdir(argv[2]) != 0) {
      return 1;
    }
    fork_one("exit");
  } else if (strcmp(what, "closes") == 0) {
    for (int fd = 3; fd < 1100; fd++) {
      close(fd);
    }
    churn(NULL);
  } else if (strcmp(what, "chdir") == 0) {
    if (chdir("/") != 0) {
      return 1;
    }
  } else if (strcmp(what, "killed") == 0) {
    raise(SIGKILL);
  } else if (strcmp(what, "killed_later") == 0) {
    struct timespec const a_while = {1, 100000000};
    nanosleep(&a_while, NULL);
    free(malloc(4001));
    raise(SIGKILL);
  } else if (strcmp(what, "aborts") == 0) {
    abort();
  } else if (strcmp(what, "_exit") == 0) {
    _exit(0);
  } else if (strcmp(what, "exec") == 0) {
    execl("/bin/true", "true", (char *)NULL);
  }
  return 0;
}
