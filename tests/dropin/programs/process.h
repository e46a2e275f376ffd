/* Ways in which the program process ends, by subject. Lists end with a name that is NULL. */
#ifndef RINGFENCE_TESTS_DROPIN_PROCESS_H
#define RINGFENCE_TESTS_DROPIN_PROCESS_H

typedef struct {
  const char *name;        /* with "*" at its end: each that begins so */
  int (*end)(char **argv); /* returns the exit status, where it returns */
} way;

extern const way process_ends[];
extern const way process_signals[];
extern const way process_wild_accesses[];
extern const way process_threads[];
extern const way process_sandboxes[];
extern const way process_descriptors[];

/* SIGABRT is handled and blocked. */
void ignore_aborts(void);

#endif /* RINGFENCE_TESTS_DROPIN_PROCESS_H */
