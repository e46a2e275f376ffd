/* Steering: a policy of `ringfence serve` (checkers/report/policy.h) gives this process options at its beginning, and
 * changes the live part of them while it runs.
 *
 * The user's own RINGFENCE_OPTIONS win over every rule, rules over the program and the build. Options that are paths
 * are no policy's. Nothing is read unless a collector is named, under Bazel's tests (which are to do the same each
 * time), or by programs that run with another user's rights.
 */
#ifndef RINGFENCE_DROPIN_STEERING_H
#define RINGFENCE_DROPIN_STEERING_H

#include "checkers/report/policy.h"

#include <ringfence/options.h>
#include <stdbool.h>
#include <stdint.h>

/* The options that may change while a process runs. */
typedef struct rf_live_options {
  uint32_t sample_rate;
  uint32_t watch;
  uint32_t raise;
  uint32_t snapshot_every;
} rf_live_options;

typedef struct rf_steering {
  const rf_policy *live; /* NULL: this process is not steered while it runs */
  uint32_t newest;       /* rules up to this one were there when the process began, or are done */
  rf_policy_who who;
  rf_live_options plain; /* what holds where no rule says otherwise */
  rf_live_options own;   /* not 0: the user named it */
  bool limited;          /* how often to sample is a policy's, not the user's wish; accessed atomically */
  char rules[96];        /* numbers of the rules that hold since the beginning, "3,7"; "": none */
} rf_steering;

extern rf_steering rf_steering_now __attribute__((visibility("hidden")));

/* `options` are as program and environment have them; `plain` as the program alone has them. Finds the policy and
 * applies the rules for this process to *options. Once, before there are other threads. */
void rf_steering_begin(rf_options *options, const rf_options *plain);

/* True where how often to watch, in `mode`, is the policy's and not the user's. */
bool rf_steering_limits(const rf_live_options *options, rf_mode mode);

/* Maps the live part. Once, at the beginning. */
void rf_steering_attach(void);

/* The requests of the live part. */
typedef struct rf_steering_wish {
  rf_live_options options;
  uint32_t rule;     /* that settled them last; 0: none */
  uint32_t sweep;    /* number of the newest rule that asks for one and is not done; 0: none */
  uint32_t snapshot; /* the same */
  uint32_t newest;
} rf_steering_wish;

/* Reads it, with the sites of this program for `site` (NULL: nobody asks). False where it is being written, or damaged:
 * what held before holds. *generation: of what was read. Any thread, and signal handlers. */
bool rf_steering_read(rf_steering_wish *wish, void (*site)(const rf_policy_site *site), uint32_t *generation);

#endif /* RINGFENCE_DROPIN_STEERING_H */
