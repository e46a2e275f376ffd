/* Figures of a whole run of `check`. */
#ifndef RINGFENCE_TOOLS_RENDER_TOTALS_H
#define RINGFENCE_TOOLS_RENDER_TOTALS_H

#include "tools/ringfence/model/run.h"

#include <ringfence/sink.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_totals {
  size_t processes;
  size_t killed;      /* of them, ended without a summary */
  size_t running;     /* still running, with those that are not checked yet */
  const char *folder; /* where they write */
  uint64_t allocations;
  uint64_t bytes;
  uint64_t peak;
  size_t findings;               /* distinct ones */
  uint64_t times;                /* how often they were found, with those that were only counted */
  bool compared;                 /* with a baseline */
  size_t known;                  /* of the findings, in the baseline */
  uint64_t unmet;                /* of the baseline, not met */
  uint64_t uncounted;            /* of `times`, those without a record */
  uint64_t suppressed;           /* how often a suppressed finding was found */
  uint64_t unlisted;             /* leaked blocks that are no findings, their code is the system's or has no names */
  uint64_t called;               /* of these, lost in libraries of the system that the user's code called */
  bool verbose;                  /* mention all of `unlisted` in the text */
  size_t unsummed;               /* processes whose figures are not known: they ended without a summary, or run */
  uint64_t unpaged;              /* blocks that mode page checked as mode guard does */
  bool handed_on;                /* figures of some processes are of sampled blocks alone */
  size_t blocks_unchecked;       /* processes that a signal ended before all blocks were checked */
  const char *blocks_because;    /* the reason of the first of them */
  size_t leaks_unchecked;        /* processes that could not look for leaks */
  const char *because;           /* the reason of the first of them */
  size_t unchecked;              /* programs that processes started, and that could not be checked */
  const char *unchecked_because; /* "2 static, 1 setuid or setgid" */
  const char *pools;             /* whose own pools served small requests, unchecked; NULL: nobody's that is known */
  const char *mode;
  uint64_t elapsed_ns;
  int wait_status; /* of the program */
  bool end_lost;   /* it exited without a summary */
  bool unrecorded; /* a process said that it could not record a finding, or the program ended with a finding's code */
  size_t damaged;
} rf_totals;

typedef struct rf_document rf_document;

/* The figures of `run` and `document`; the caller sets those of running processes, and the pools. */
rf_totals rf_totals_of(const rf_run *run, const rf_document *document, uint64_t elapsed_ns, int wait_status);

/* The figures in the `run` lines of `run`, summed, with those of `document`. */
rf_totals rf_totals_read(const rf_run *run, const rf_document *document);

/* Says that something was found of which there is no record; NULL where that is not so, or `totals` is NULL. */
const char *rf_totals_lost(rf_bump_arena *arena, const rf_totals *totals);

/* The line at the end, as text, by a clean sink, and as JSON (type "run"). */
void rf_totals_text(rf_bump_arena *arena, const rf_totals *totals, const rf_sink *to);
void rf_totals_json(const rf_totals *totals, const rf_sink *sink);

/* A line for each process, by a clean sink: its id, program and figures. */
void rf_processes_text(rf_bump_arena *arena, const rf_run *run, const rf_sink *to);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RENDER_TOTALS_H */
