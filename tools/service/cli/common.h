/* Shared by the commands of ringfence-serve. */
#ifndef RINGFENCE_TOOLS_SERVICE_CLI_COMMON_H
#define RINGFENCE_TOOLS_SERVICE_CLI_COMMON_H

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/service/query/query.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_EXIT_FOUND = 99, RF_EXIT_FAILED = 1 };

/* The options that every command about findings has. */
typedef struct rf_cli {
  rf_bump_arena arena;
  const char *directory; /* of --dir, or found; NULL: not yet looked for */
  bool json;
  bool help;
  char **words; /* of rf_cli_words: those that are no options, then NULL */
  rf_store store;
  rf_text_sink text;
  rf_query query;
} rf_cli;

/* The options of one command, chosen from the rows of a file: bit N of `mask` stands for row N. */
typedef struct rf_cli_options {
  rf_option rows[RF_OPTIONS_MOST];
  size_t ids[RF_OPTIONS_MOST]; /* the rows as `apply` knows them */
  rf_option_table table;
  bool (*apply)(void *context, size_t row, const char *argument);
  void *context;
} rf_cli_options;

/* Fills *o, reads argv and returns the index of the first word that is no option, or -1 after a message. */
int rf_cli_options_read(rf_cli_options *o, const rf_option *rows, uint32_t mask, int argc, char **argv);

/* One way to call a command. */
typedef struct rf_cli_usage {
  const char *text; /* after "ringfence " */
  const rf_option *rows;
  uint32_t mask;   /* the rows that it has, as in rf_cli_options */
  int least, most; /* words that are no options */
} rf_cli_usage;

/* Reads argv by o->apply, which sets cli->help, and fills cli->words. Returns -1 to go on, else the exit status: after
 * the manual, where it was asked for, or after a message. */
int rf_cli_words(rf_cli *cli, rf_cli_options *o, const rf_cli_usage *usage, int argc, char **argv);

/* The collector's folder: --dir, RINGFENCE_COLLECTOR, else the first usable of those that processes choose from. NULL
 * after a message. `create`: it need not exist. */
const char *rf_cli_directory(rf_bump_arena *arena, const char *given, bool create);

/* True for what can be the address of a collector; else false, after a message that names the option. */
bool rf_cli_is_collector(const char *option, const char *url);

/* True where the shared places, to which processes write that cannot write to the folder, are to be looked at: not with
 * --no-shared, nor where RINGFENCE_NO_SHARED is set. */
bool rf_cli_shares(bool no_shared);

/* Opens the store of cli->directory (found where it is NULL) and makes cli->query ready. RF_STORE_CREATE: makes what is
 * not there. False after a message. */
bool rf_cli_open(rf_cli *cli, rf_store_access access);
void rf_cli_close(rf_cli *cli);

/* The answer in cli->text, parsed; NULL after a message, where it is {"error": ...} or cannot be read. With --json it
 * has been printed, and *printed is set. */
const rf_json *rf_cli_answer(rf_cli *cli, bool fine, bool *printed);

/* A word that must be the number of a finding, such as 7 or #7; -1 after a message. */
int64_t rf_cli_id(const char *word);

/* The same of another thing: "process", "module"; `list` is the command that lists them. */
int64_t rf_cli_id_of(const char *word, const char *thing, const char *list);

/* The argument of an option that takes a number from 1 on; -1 after a message. */
int64_t rf_cli_number(const char *option, const char *argument);

typedef struct rf_service_command {
  const char *name;
  const char *summary;
  int (*run)(int argc, char **argv);
} rf_service_command;

extern const rf_service_command rf_service_serve;
extern const rf_service_command rf_service_findings;
extern const rf_service_command rf_service_show;
extern const rf_service_command rf_service_fix;
extern const rf_service_command rf_service_ignore;
extern const rf_service_command rf_service_reopen;
extern const rf_service_command rf_service_merge;
extern const rf_service_command rf_service_split;
extern const rf_service_command rf_service_why;
extern const rf_service_command rf_service_builds;
extern const rf_service_command rf_service_gate;
extern const rf_service_command rf_service_processes;
extern const rf_service_command rf_service_watch;
extern const rf_service_command rf_service_status;
extern const rf_service_command rf_service_symbols;
extern const rf_service_command rf_service_forward;
extern const rf_service_command rf_service_export;
extern const rf_service_command rf_service_steer;
extern const rf_service_command rf_service_coverage;

#ifdef __cplusplus
}
#endif

#endif
