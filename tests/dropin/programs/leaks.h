/* Cases of the program leaks, by subject. Lists end with a name that is NULL. */
#ifndef RINGFENCE_TESTS_DROPIN_LEAKS_H
#define RINGFENCE_TESTS_DROPIN_LEAKS_H

#define NOINLINE __attribute__((noinline))

typedef struct node {
  struct node *left;
  struct node *right;
  char bytes[24];
} node;

typedef struct {
  const char *name;
  void (*run)(void);
} test_case;

extern const test_case lost_blocks[];
extern const test_case blocks_of_threads[];
extern const test_case kept_blocks[];
extern const test_case blocks_kept_by_the_kernel[];

extern void *volatile in_a_global;
extern void **in_mapped_memory;

/* Calls `f` deep down, and wipes the stack that it used. */
void below(void (*f)(void));

void wipe(void);

node *make_node(node *left, node *right);

/* Loses a block. */
void one(void);

/* Runs it in a new thread, and returns once that has called await_start. */
void start(void *(*body)(void *));

void await_start(void);

void *wait_for_ever(void *argument);

#endif /* RINGFENCE_TESTS_DROPIN_LEAKS_H */
