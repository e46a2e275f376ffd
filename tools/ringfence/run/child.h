/* Running the program: its streams, arguments, signals and status are what they would be without the command. */
#ifndef RINGFENCE_TOOLS_RUN_CHILD_H
#define RINGFENCE_TOOLS_RUN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_child {
  pid_t pid;
  int exec_error;      /* errno where the program could not be started; else 0 */
  int wait_status;     /* as waitpid gives it; meaningful where exec_error is 0 */
  uint64_t elapsed_ns; /* from start to end */
} rf_child;

/* Runs the file `program` with `argv` and `envp`, passes on the signals that this process gets, and waits for its
 * end. False where the system gives no process (errno says why). */
bool rf_child_run(rf_child *child, const char *program, char *const *argv, char *const *envp);

/* From rf_child_run on, the signals that it passes on are held back, so that what the run left behind can be put
 * away. This forgets those that have come and lets later ones in. */
void rf_child_release_signals(void);

/* Ends this process as the program ended: with its exit status, or by the signal that ended it (128 + signal to a
 * shell), without a second core dump. */
_Noreturn void rf_child_exit_alike(int wait_status);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_CHILD_H */
