/* Options of checked allocators: RINGFENCE_OPTIONS=key=value:key=value, over what the program says, over the build's
 * defaults. docs/checkers/options.md lists the keys; `help=1` prints them.
 *
 * A value with a colon in it is put in single or double quotes: log='a:b'. An unknown key or a bad value gives a
 * warning and changes nothing; the rest still applies.
 */
#ifndef RINGFENCE_OPTIONS_H
#define RINGFENCE_OPTIONS_H

#include <ringfence/reporter.h>
#include <ringfence/sample.h>
#include <ringfence/sink.h>
#include <ringfence/system.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From the bare allocator to each block watched by AddressSanitizer, or, in the drop-in, by the processor's memory
 * tags. */
typedef enum rf_mode { RF_MODE_OFF, RF_MODE_SAMPLE, RF_MODE_GUARD, RF_MODE_PAGE, RF_MODE_ASAN, RF_MODE_MTE } rf_mode;

/* "guard" and the like, a static string. */
const char *rf_mode_name(rf_mode mode);

/* Leaks reported at the end: none; lost blocks (no pointer to them is left) of the user's code with names; all lost
 * blocks; also live blocks to which pointers are left. If pointers are not searched (arenas), each but the first
 * means live blocks. */
typedef enum rf_leaks { RF_LEAKS_NONE, RF_LEAKS_LOST, RF_LEAKS_ALL, RF_LEAKS_REACHABLE } rf_leaks;

/* A signal on which a process under the drop-in prints its live blocks. */
typedef enum rf_dump_signal {
  RF_DUMP_NONE,
  RF_DUMP_SIGUSR1,
  RF_DUMP_SIGUSR2,
  RF_DUMP_SIGQUIT,
  RF_DUMP_SIGHUP
} rf_dump_signal;

/* The heap from which the drop-in serves in modes off and sample, but for sampled blocks: the malloc behind it, which
 * the program would have without it, or one of its own. */
typedef enum rf_heap_choice { RF_HEAP_NEXT, RF_HEAP_OWN } rf_heap_choice;

/* How the drop-in closes pages in mode page: by whatever takes least time, by markers, or by access rights. */
typedef enum rf_page_closing { RF_PAGE_CLOSING_QUICK, RF_PAGE_CLOSING_MARKERS, RF_PAGE_CLOSING_RIGHTS } rf_page_closing;

/* How much of the memory around damage a collector is sent: the whole in development, ci and test, but for mode sample,
 * else the guards; the whole; the guards and what was written over them; nothing. */
typedef enum rf_windows { RF_WINDOWS_AUTO, RF_WINDOWS_WHOLE, RF_WINDOWS_GUARDS, RF_WINDOWS_NONE } rf_windows;

/* options.inc says of each field its meaning, its default and the values that it may have. A path has no NUL at its
 * end. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order in which options are listed */
typedef struct rf_options {
#define RF_OPTION_BOOL(name, value, help) bool name;
#define RF_OPTION_NUMBER(name, value, least, most, help) unsigned name;
#define RF_OPTION_SHARE(name, most, help) unsigned name;
#define RF_OPTION_SIZE(name, value, help) size_t name;
#define RF_OPTION_CHOICE(type, name, value, words, help) type name;
#define RF_OPTION_PATH(name, help)                                                                                     \
  const char *name;                                                                                                    \
  size_t name##_length;
#include <ringfence/options.inc>
} rf_options;

/* The build's defaults: the mode of --//checkers:mode, and for the rest what suits the target. */
void rf_options_default(rf_options *out);

/* Applies `text` ("key=value:key=value", NULL: nothing) to *options. `source` names where it came from in warnings,
 * each of which is one line to `warnings`. Returns the number of warnings. `text` must live as long as the paths in
 * *options are used. */
unsigned rf_options_parse(rf_options *options, const char *text, const char *source, const rf_sink *warnings);

/* The same, and writes what was applied to `kept` (NULL: nowhere), as text of that form: who hands the options on to
 * other processes need not have each of them warn. */
unsigned rf_options_keep(rf_options *options, const char *text, const char *source, const rf_sink *warnings,
                         const rf_sink *kept);

/* Applies what __ringfence_default_options returns, then the environment's RINGFENCE_OPTIONS (which a program that runs
 * with another user's rights ignores). Returns the number of warnings. */
unsigned rf_options_load(rf_options *options, const rf_sink *warnings);

/* Writes every key with its meaning, the values allowed, and its value in `options`. */
void rf_options_help(const rf_options *options, const rf_sink *sink);

/* The part that the reporter takes. */
rf_report_options rf_options_for_reporter(const rf_options *options);

/* The options of the process: rf_options_default and rf_options_load, once, at the first call of this or the next. Any
 * thread may call both. */
const rf_options *rf_options_of_process(void);

/* The reporter of the process, the base of an rf_log_reporter made from these options: rf_checked_init uses it where it
 * is given none. */
rf_reporter *rf_reporter_default(void);

/* A program may define this to set its own defaults: a string like that of RINGFENCE_OPTIONS, which must stay valid. It
 * is called before main in drop-in use, and must not allocate. */
const char *__ringfence_default_options(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_OPTIONS_H */
