/* Crash loops: many processes of one program that fail with one finding, one right after the other. */
#ifndef RINGFENCE_TOOLS_SERVICE_CRASH_LOOP_H
#define RINGFENCE_TOOLS_SERVICE_CRASH_LOOP_H

#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A loop is so many processes with no longer pause between two of them. */
enum { RF_CRASH_LOOP_PROCESSES = 20, RF_CRASH_LOOP_PAUSE_MS = 10000, RF_CRASH_LOOPS = 64 };

typedef struct rf_crash_loop {
  int64_t finding; /* 0: a free slot */
  int64_t program;
  int64_t began;
  int64_t last;
  int64_t processes;
  int64_t pid;  /* of the last */
  bool changed; /* since it was written */
} rf_crash_loop;

/* Starts as zeros. Holds the latest ones. */
typedef struct rf_crash_loops {
  rf_crash_loop list[RF_CRASH_LOOPS];
} rf_crash_loops;

/* A process that failed at `time` (ms). True the moment this makes it a loop. */
bool rf_crash_loops_add(rf_crash_loops *all, int64_t finding, int64_t program, int64_t pid, int64_t time);

/* Writes those that changed, as part of the open transaction. */
void rf_crash_loops_write(rf_crash_loops *all, rf_store *store);

#ifdef __cplusplus
}
#endif

#endif
