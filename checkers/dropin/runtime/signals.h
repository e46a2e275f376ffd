/* The drop-in's signal handlers, which a program does not see: to it, the default action is in place where they are. A
 * program that keeps what was there before its own handler, and puts it back, would else keep ours; interpreters
 * (Python) cannot even put back what they did not install. */
#ifndef RINGFENCE_DROPIN_SIGNALS_H
#define RINGFENCE_DROPIN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_handler {
  struct sigaction action;
  bool installed;
  bool again;
} rf_handler;

/* Installs `action` where the default action is in place. With `again`, once more whenever the program asks for the
 * default action: for handlers that end in it. */
void rf_signals_install(int number, const struct sigaction *action, bool again);

/* The handler installed for the signal, or NULL. */
const rf_handler *rf_handler_of(int number);

bool rf_signal_is_default(const struct sigaction *action);

/* ---- Faults stay open ----
 *
 * If a thread has blocked SIGSEGV or SIGBUS and faults, the system ends the process without calling a handler: a
 * bug that closed pages show would be no finding. So these two are not blocked in truth; a program that asks for its
 * mask is told of the one that it set. A signal that was sent meanwhile (kill, raise) is blocked when it comes. */

/* From now on, beginning with the calling thread. Once per process. */
void rf_signals_keep_faults_open(void);

/* For a thread that begins. The C library starts some of its own with all signals blocked (timers with SIGEV_THREAD),
 * and calls the program in them. A handler of faults needs a stack of its own where the thread's is at its end. */
void rf_signals_begin_thread(void);

/* The first of the two, for a thread that may get no block of ours, or start one that does not. */
void rf_signals_open_faults(void);

/* Blocks in truth those that the thread believes to be blocked: a thread that it creates believes the same. False where
 * there are none. The second one ends this. */
bool rf_signals_block_held(void);
void rf_signals_open_held(void);

/* A program has made a stack for signal handlers of its own that is too small for ours: they run on the threads' stacks
 * from now on. */
void rf_signals_leave_small_stacks(void);

/* The calling thread's stack for handlers, as the program has set it; `end` 0: none. */
void rf_signals_note_stack(uintptr_t start, uintptr_t end);

/* A block was freed. Where that stack lies in it, handlers of ours run on the threads' stacks from now on: the system
 * could call them no more, and not even for the reason. */
void rf_signals_freed(uintptr_t block, size_t size);

/* True where that has happened. */
bool rf_signals_stack_was_freed(void);

/* A set of the two, as the kernel has it: signal n is bit n - 1. */
typedef uint64_t rf_fault_set;

/* Takes both out of *set; returns those that were in it. */
rf_fault_set rf_signals_take_faults(sigset_t *set);
void rf_signals_add_faults(sigset_t *set, rf_fault_set which);

/* pthread_sigmask for the program. `comes_to_us`: a fault does, so the two stay open. */
int rf_signals_mask(int how, const sigset_t *set, sigset_t *old, bool comes_to_us);

/* The same for the drop-in's own calls, which mean what they say. */
int rf_signals_mask_truly(int how, const sigset_t *set, sigset_t *old);

/* For a handler, with the siginfo_t of a signal that was sent, and the context: true where the thread believes that it
 * blocks it. It comes again when the thread lets it. */
bool rf_signals_hold(const void *info, void *context);

/* ---- At the end of the process ----
 *
 * A handler of the program's that ran within the last checks could cut them short (_exit, longjmp), and would see what
 * the program's exit handlers and destructors have left, where without a checker nobody would be there any more. */

/* The program has set a handler of its own, or none: SIG_DFL, SIG_IGN. Any thread. */
void rf_signals_note_handler(int number, bool has_one);

/* From now on the calling thread blocks the signals that the program handles, but for those that tell of a fault.
 * `before`: its mask until now. False: nothing was changed, and nothing is to be undone. */
bool rf_signals_block_handled(sigset_t *before);

/* Undoes that. `drop`: signals that came meanwhile are forgotten; they reach the program's handlers else. */
void rf_signals_open_handled(const sigset_t *before, bool drop);

#endif /* RINGFENCE_DROPIN_SIGNALS_H */
