/* A program for valgrind_test.sh: `valgrind_program ALLOCATOR:HOW:BUG...`. Each case runs in a child of its own, one
 * after the other, because Valgrind takes a second to start and then forks like any other program, and because it tells
 * an error once per process. Standard error has a line before each, and one after it with its status. Lines of this
 * file are found by their comments. */
#include <ringfence/asan.h>
#include <ringfence/options.h>

#include "tests/conformance/subjects/subjects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static max_align_t state[16 * 1024];
static max_align_t arena[4 * 1024];

typedef const rf_conformance_subject *(*subject_function)(void);
#define SUBJECT_FUNCTION(name) rf_##name##_subject,
static const subject_function subjects[] = {RF_SUBJECTS(SUBJECT_FUNCTION)};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static const rf_conformance_subject *subject_named(const char *name) {
  for (size_t i = 0; i < SUBJECTS; i++) {
    if (strcmp(subjects[i]()->name, name) == 0) {
      return subjects[i]();
    }
  }
  return NULL;
}

static int print_names(void) {
  for (size_t i = 0; i < SUBJECTS; i++) {
    (void)puts(subjects[i]()->name);
  }
  return 0;
}

static volatile char seen;

static void lose(rf_allocator *a) {
  char *p = (char *)rf_alloc(a, 33); /* lost */
  if (p != NULL) {
    p[0] = 1;
  }
}

/* Overwrites what a call may have left on the stack. */
static void forget(void) {
  volatile char stack[4096];
  memset((char *)stack, 0, sizeof stack);
}

/* Small blocks side by side, of which every other one is given back: the rest is as it was. */
static void use_neighbours(rf_allocator *a) {
  char *blocks[8];
  for (int i = 0; i < 8; i++) {
    blocks[i] = (char *)rf_alloc(a, 16);
    if (blocks[i] != NULL) {
      memset(blocks[i], 5, 16);
    }
  }
  for (int i = 0; i < 8; i += 2) {
    rf_free(a, blocks[i]);
  }
  for (int i = 1; i < 8; i += 2) {
    for (int k = 0; blocks[i] != NULL && k < 16; k++) {
      seen = blocks[i][k] == 5 ? 1 : 0;
    }
    rf_free(a, blocks[i]);
  }
}

/* True where `bug` has a name. All else that it does is in order. */
static bool commit(rf_allocator *a, const char *bug) {
  char *p = (char *)rf_alloc(a, 13); /* allocated */
  char *const q = (char *)rf_alloc(a, 100);
  if (p == NULL || q == NULL) {
    return false;
  }
  memset(p, 1, 13);
  memset(q, 2, 100);
  if (strcmp(bug, "read") == 0) {
    seen = p[13]; /* read past the end */
  } else if (strcmp(bug, "write") == 0) {
    p[-1] = p[0]; /* written before the start */
  } else if (strcmp(bug, "freed") == 0) {
    rf_free(a, p); /* freed */
    seen = p[3];   /* used after free */
    p = NULL;
  } else if (strcmp(bug, "uninitialised") == 0) {
    char *const r = (char *)rf_alloc(a, 8);
    if (r != NULL && r[3] == 5) { /* not initialised */
      seen = 5;
    }
    rf_free(a, r);
  } else if (strcmp(bug, "leak") == 0) {
    lose(a);
  } else if (strcmp(bug, "none") == 0) {
    use_neighbours(a);
    p = (char *)rf_realloc(a, p, 90);
    if (p != NULL && p[12] == 1) {
      memset(p + 13, 1, 90 - 13);
      p = (char *)rf_realloc(a, p, 40);
    }
    for (int i = 0; p != NULL && i < 40; i++) {
      seen = p[i];
      seen = seen == 1 ? 2 : 3;
    }
  } else {
    return false;
  }
  rf_free(a, p);
  rf_free(a, q);
  return true;
}

static int run(const char *name, const char *how, const char *bug) {
  static rf_guard guard;
  const rf_conformance_subject *const subject = subject_named(name);
  if (subject == NULL || subject->state_size > sizeof state) {
    return 2;
  }
  rf_allocator *a = subject->make(state, arena, sizeof arena);
  if (a != NULL && strcmp(how, "guarded") == 0) {
    a = rf_asan_init(&guard, a, NULL) == RF_OK ? &guard.base : NULL;
  }
  if (a == NULL || !commit(a, bug)) {
    return 3;
  }
  if (a == &guard.base) {
    rf_guard_flush(&guard, 0); /* Valgrind does not follow the links between blocks in quarantine */
  }
  forget();
  return 0;
}

/* `words`, which is split in place. */
static int run_case(char *words) {
  char *const name = strtok(words, ":");
  char *const how = strtok(NULL, ":");
  char *const bug = strtok(NULL, ":");
  return bug != NULL ? run(name, how, bug) : 2;
}

static bool run_in_child(char *words) {
  int status = 0;
  fprintf(stderr, "@case %s\n", words);
  pid_t const child = fork();
  if (child == 0) {
    exit(run_case(words));
  }
  if (child < 0 || waitpid(child, &status, 0) != child) {
    return false;
  }
  fprintf(stderr, "@status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return true;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "watcher") == 0) {
    printf("%s\n", rf_asan_watcher() != NULL ? rf_asan_watcher() : "nobody");
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "names") == 0) {
    return print_names();
  }
  for (int i = 1; i < argc; i++) {
    if (!run_in_child(argv[i])) {
      return 1;
    }
  }
  return 0;
}
