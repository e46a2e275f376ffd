/* Requests that take long, for lists and with records, are answered one after the other, so that hundreds at once hold
 * up neither the intake nor other requests.
 *
 * Algorithm: within one run of the daemon they are answered until its time is over; further ones are suspended, and
 * resumed one at a time in later runs, those of a kind in the order of their arrival. Lists without arguments go first:
 * all who ask for one get the same answer. The other kinds take turns. A list whose client is gone is not made.
 * Threads: those that run the daemon, one at a time.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_TURNS_H
#define RINGFENCE_TOOLS_SERVICE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_TURNS_MS = 40 };

struct rf_request;

typedef enum rf_turn_kind {
  RF_TURN_AT_ONCE = -1,
  RF_TURN_FIRST,
  RF_TURN_PAGE,
  RF_TURN_PROGRAM,
  RF_TURN_RECORDS,
  RF_TURN_KINDS
} rf_turn_kind;

/* Starts as zeros. */
typedef struct rf_turns {
  struct {
    struct rf_request *first;
    struct rf_request *last;
  } waiting[RF_TURN_KINDS];
  int last;      /* the kind that had the last turn */
  int64_t until; /* of the clock that does not step: then this run's time is over */
  bool ending;
} rf_turns;

/* A run begins. */
void rf_turns_begin(rf_turns *turns);

/* True where the request waits: its connection is suspended, and its handler called again when it is its turn. */
bool rf_turns_wait(rf_turns *turns, struct rf_request *r);

/* Resumes the next one, and those that were closed meanwhile. False where none waits. */
bool rf_turns_next(rf_turns *turns);

/* This run may go on with further ones. */
bool rf_turns_have_time(const rf_turns *turns);
bool rf_turns_are_waited_for(const rf_turns *turns);

/* Its client has closed the connection, or it was closed for others. */
bool rf_turns_is_gone(const struct rf_request *r);

/* A request that ends, whether it waits or not. */
void rf_turns_forget(rf_turns *turns, const struct rf_request *r);

/* Resumes all of them, to be closed, before the daemon stops. */
void rf_turns_end(rf_turns *turns);

#ifdef __cplusplus
}
#endif

#endif
