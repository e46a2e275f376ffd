/* Running the program with the streams, arguments, signals and status that it would have without the command. */
#ifndef RINGFENCE_TOOLS_RUN_CHILD_H
#define RINGFENCE_TOOLS_RUN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct rf_child {
  pid_t pid;
  int exec_error;      /* errno where the program could not be started; else 0 */
  int wait_status;     /* as waitpid gives it; meaningful where exec_error is 0 */
  uint64_t elapsed_ns; /* from start to end */
} rf_child;

/* A program, and how it is run. */
typedef struct rf_child_program {
  const char *file;
  char *const *argv;
  char *const *envp;
  const int *streams; /* three descriptors in place of the standard streams, negative ones left out; NULL: none */
} rf_child_program;

/* Runs the program, forwards the signals that this process gets, and waits for its end. False, with errno set, where no
 * process can be made. */
bool rf_child_run(rf_child *child, const rf_child_program *program);

/* The signals that rf_child_run forwards stay blocked after it, for other runs, and so that the runs' files can be
 * removed. This drops pending ones and unblocks them. */
void rf_child_release_signals(void);

/* Sleeps for `milliseconds`, while the signals are blocked. False, and at once, where one of those that rf_child_run
 * forwards has arrived. */
bool rf_child_sleep(unsigned milliseconds);

/* Ends this process as the program ended: with its exit status, or by the same signal without a second core dump. */
_Noreturn void rf_child_exit_alike(int wait_status);

#endif /* RINGFENCE_TOOLS_RUN_CHILD_H */
