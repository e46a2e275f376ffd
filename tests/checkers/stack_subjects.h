/* Functions with frames of all kinds, that call one another. */
#ifndef RINGFENCE_TESTS_STACK_SUBJECTS_H
#define RINGFENCE_TESTS_STACK_SUBJECTS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A list of calls: each runs the next one. The last one is the test's. */
typedef struct stack_step {
  void (*run)(const struct stack_step *step);
  size_t size; /* of what the function makes room for */
} stack_step;

typedef struct stack_subject {
  const char *name;
  void (*run)(const stack_step *step);
} stack_subject;

#define STACK_SUBJECTS 7

/* The same functions, compiled in several ways. */
extern const stack_subject stack_subjects_o0[STACK_SUBJECTS];
extern const stack_subject stack_subjects_o2[STACK_SUBJECTS];
extern const stack_subject stack_subjects_pointers[STACK_SUBJECTS];
extern const stack_subject stack_subjects_no_pointers[STACK_SUBJECTS];

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_STACK_SUBJECTS_H */
