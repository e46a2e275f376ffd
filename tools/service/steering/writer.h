/* Writes the policy that the rules make: the file DIR/policy, replaced by rename, and its segment of shared memory, in
 * place (checkers/report/policy.h). One writer: `ringfence serve`.
 *
 * Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_STEERING_WRITER_H
#define RINGFENCE_TOOLS_SERVICE_STEERING_WRITER_H

#include "checkers/report/policy.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_policy_writer {
  const char *directory;
  rf_policy *live; /* NULL: no segment could be had */
  int segment;
  bool written;    /* the file holds `policy` */
  bool complained; /* of what is in the way */
  rf_policy policy;
} rf_policy_writer;

/* Takes the segment of a former collector of this folder over, or makes one. `directory` stays. */
void rf_policy_writer_open(rf_policy_writer *writer, const char *directory);

/* Writes the policy where rules or findings have changed. To be called after each change and every second. True where
 * something of it was changed. */
bool rf_policy_writer_step(rf_policy_writer *writer, rf_store *store);

/* Leaves the policy to the processes that have it; where there are neither rules nor such processes, removes it. */
void rf_policy_writer_close(rf_policy_writer *writer);

#ifdef __cplusplus
}
#endif

#endif
