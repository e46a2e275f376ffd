/* Options of checked allocators: RINGFENCE_OPTIONS=key=value:key=value, over what the program says, over the build's
 * defaults. docs/checkers/options.md lists the keys; `help=1` prints them.
 *
 * A value with a colon in it is put in single or double quotes: log='a:b'. An unknown key or a bad value gives a warning
 * and changes nothing; the rest still applies.
 */
#ifndef RINGFENCE_OPTIONS_H
#define RINGFENCE_OPTIONS_H

#include <ringfence/reporter.h>
#include <ringfence/sample.h>
#include <ringfence/sink.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From the bare allocator to each block watched by AddressSanitizer. */
typedef enum rf_mode { RF_MODE_OFF, RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE, RF_MODE_ASAN } rf_mode;

/* "guard" and the like, a static string. */
const char *rf_mode_name(rf_mode mode);

/* What is reported as leaked at the end: nothing; what nothing points to, where its code can be named; all that nothing
 * points to; also what is live though something points to it. Where it cannot be found out what points where (arenas),
 * each but the first means what is live. */
typedef enum rf_leaks { RF_LEAKS_NONE, RF_LEAKS_LOST, RF_LEAKS_ALL, RF_LEAKS_REACHABLE } rf_leaks;

/* A signal that makes a process under the drop-in tell what is allocated. */
typedef enum rf_dump_signal {
  RF_DUMP_NONE,
  RF_DUMP_SIGUSR1,
  RF_DUMP_SIGUSR2,
  RF_DUMP_SIGQUIT,
  RF_DUMP_SIGHUP
} rf_dump_signal;

typedef struct rf_options {
  rf_mode mode;
  bool halt;                  /* end the process at the first finding */
  unsigned exitcode;          /* of a process ended so */
  const char *log;            /* path, %p stands for the process id; NULL: standard error */
  size_t log_length;          /* bytes of `log`, which has no NUL at its end */
  rf_format format;           /* of findings */
  size_t quarantine;          /* bytes of freed blocks kept back */
  unsigned stack_depth;       /* return addresses kept per allocation and free */
  rf_leaks leaks;             /* at deinit or exit */
  size_t fill;                /* bytes of each freed block filled and checked; SIZE_MAX: all */
  size_t fill_alloc;          /* bytes of each new block filled; SIZE_MAX: all */
  size_t move_below;          /* realloc moves blocks up to this size */
  bool sweep;                 /* check all blocks at deinit or exit */
  unsigned sweep_every;       /* drop-in: check blocks in the background every so many milliseconds; 0: not */
  unsigned sweep_budget;      /* the same: for so many microseconds at a time */
  unsigned sample_rate;       /* sample: one allocation in so many, on average */
  unsigned sample_slots;      /* sample: blocks at once */
  unsigned sample_seed;       /* sample: of what is sampled; 0: by chance */
  rf_page_side align;         /* page, sample: at which end of its pages a block lies */
  size_t closed;              /* page: bytes of address space of freed blocks kept back */
  unsigned max_findings;      /* report so many, count the rest; 0: all */
  unsigned verbosity;         /* 0: findings only; 1: also what is checked and how */
  bool rejected;              /* drop-in: report requests that can never be served, such as sizes that wrap */
  bool signals;               /* drop-in: check all blocks when a fatal signal ends the process */
  bool summary;               /* drop-in: a line in the log when the process begins and when it ends */
  bool help;                  /* print the keys */
  const char *suppressions;   /* path of a file with rules (suppress.h); NULL: none */
  size_t suppressions_length; /* bytes of `suppressions` */
  const char *trace;          /* drop-in: path of the file to record requests to, as `log`; NULL: none */
  size_t trace_length;        /* bytes of `trace` */
  /* drop-in: print what is allocated when it comes and the program does not handle it */
  rf_dump_signal dump_signal;
  rf_dump_signal snapshot_signal; /* drop-in: write a snapshot (snapshot.h) when it comes */
} rf_options;

/* The build's defaults: the mode of --//checkers:mode, and for the rest what suits the target. */
void rf_options_default(rf_options *out);

/* Applies `text` ("key=value:key=value", NULL: nothing) to *options. `source` names where it came from in warnings, each
 * of which is one line to `warnings`. Returns the number of warnings. `text` must live as long as the paths in *options
 * are used. */
unsigned rf_options_parse(rf_options *options, const char *text, const char *source, const rf_sink *warnings);

/* Applies what __ringfence_default_options returns, then the environment's RINGFENCE_OPTIONS (which a program that runs
 * with another user's rights ignores). Returns the number of warnings. */
unsigned rf_options_load(rf_options *options, const rf_sink *warnings);

/* Writes every key with its meaning, the values allowed, and its value in `options`. */
void rf_options_help(const rf_options *options, const rf_sink *sink);

/* The part that the reporter takes. */
rf_report_options rf_options_for_reporter(const rf_options *options);

/* The options of the process: rf_options_default and rf_options_load, once, at the first call of this or the next. Any thread
 * may call both. */
const rf_options *rf_options_of_process(void);

/* The reporter of the process, the base of an rf_log_reporter made from these options: rf_checked_init uses it where it is
 * given none. */
rf_reporter *rf_reporter_default(void);

/* A program may define this to set its own defaults: a string like that of RINGFENCE_OPTIONS, which must stay valid. It is
 * called before main in drop-in use, and must not allocate. */
const char *__ringfence_default_options(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_OPTIONS_H */
