/* rf_kept: text that survives a reset, for findings of a board that nobody listens to, or that does not live on.
 *
 *     static rf_kept kept __attribute__((section(".noinit")));     memory that the start-up code leaves alone
 *
 *     rf_kept_begin(&kept, &console);                              at boot: sends what the run before has kept
 *     rf_small_finding_write(finding, number, &kept.sink);         at a finding; any rf_report_… writes there as well
 *
 * A checksum is brought up to date after each write, so that what a reset cut off does not count, and what was whole
 * does. Text beyond RF_KEPT_BYTES is left out, by whole writes, and counted.
 * Threads and interrupts: not synchronised; a handler that writes needs interrupts masked around other writes.
 */
#ifndef RINGFENCE_KEPT_H
#define RINGFENCE_KEPT_H

#include <ringfence/sink.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef RF_KEPT_BYTES
#define RF_KEPT_BYTES 512
#endif

typedef struct rf_kept {
  rf_sink sink; /* appends; to be used after rf_kept_begin */
  uint32_t used;
  uint32_t lost;     /* writes for which there was no room */
  uint32_t checksum; /* of all that follows, and of the two before */
  char text[RF_KEPT_BYTES];
} rf_kept;

/* Sends what a run before this one has kept to `out`, NULL: nobody, and begins anew. True where there was anything.
 * Memory that holds nothing of ours is taken for empty. Once at boot, before anything is written. */
bool rf_kept_begin(rf_kept *kept, const rf_sink *out);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_KEPT_H */
