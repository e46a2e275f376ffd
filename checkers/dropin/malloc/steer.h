/* Steering of a process while it runs, by the live part of a policy (runtime/steering.h).
 *
 * The policy is looked at where a thread's countdown to the next allocation that may be watched ends: no request has
 * one more instruction for it. If there is a live part, countdowns are cut into stretches, each of which ends after
 * RF_STEER_STRETCH allocations of the thread at the latest, and sooner in threads that allocate seldom: a change is
 * seen about a tenth of a second after it was made. A look that finds nothing changed is a load. An allocation that is
 * looked at takes the longer way, and its stack may be followed: up to a microsecond. So no thread looks more often
 * than every RF_STEER_LEAST_NS, whatever rate a policy or `raise` asks for, unless a seed was given, which always picks
 * the same. No system call is made unless a step is taken.
 *
 * Any thread, and signal handlers.
 */
#ifndef RINGFENCE_DROPIN_STEER_H
#define RINGFENCE_DROPIN_STEER_H

#include "checkers/dropin/runtime/steering.h"

#define RF_STEER_STRETCH 1024
#define RF_STEER_EVERY_NS ((uint64_t)100 * 1000 * 1000)
#define RF_STEER_LEAST_NS ((uint64_t)200 * 1000)

/* Actions of rules that are due at once, and of snapshot_every from time to time: the floors above know how. */
typedef struct rf_steer_actions {
  void (*sweep)(void);
  bool (*snapshot)(const char *name); /* false where it could not be written */
  void (*regular_snapshot)(const char *name);
} rf_steer_actions;

/* Attaches to the live part and takes its options. After rf_guarded_blocks_begin, once. `actions` stays. */
void rf_steer_begin(const rf_steer_actions *actions);

typedef enum rf_steer_turn {
  RF_STEER_WAIT, /* the stretch has ended, the countdown has not: *left is the next stretch */
  RF_STEER_DUE,  /* the countdown has ended */
  RF_STEER_ANEW  /* rates have changed: the countdown is to be drawn again */
} rf_steer_turn;

/* At the end of a stretch of this thread. Not inside the heap. */
rf_steer_turn rf_steer_look(int32_t *left);

/* The same where each allocation is watched, and no countdown runs. */
void rf_steer_tick(void);

/* True where countdowns are cut into stretches: somebody steers, or sites are raised. */
bool rf_steer_paces(void);

/* The first stretch of a countdown of `drawn`; all of it where rf_steer_paces is false. */
int32_t rf_steer_stretch(int32_t drawn);

/* Times as often to look at chosen sites; 1: all are alike. */
uint32_t rf_steer_raise(void);

/* In the child of a fork. */
void rf_steer_forked(void);

#endif /* RINGFENCE_DROPIN_STEER_H */
