/* Shared by the commands of ringfence-serve. */
#ifndef RINGFENCE_TOOLS_SERVICE_CLI_COMMON_H
#define RINGFENCE_TOOLS_SERVICE_CLI_COMMON_H

#include "tools/ringfence/base/diagnostics.h"
#include "tools/ringfence/base/json.h"
#include "tools/ringfence/base/option_table.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/ringfence/cli/service_commands.h"
#include "tools/service/query/query.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_EXIT_FOUND = 99, RF_EXIT_FAILED = 1 };

/* The options that all commands share, and the store. */
typedef struct rf_cli {
  rf_bump_arena arena;
  const char *directory; /* of --dir, or found; NULL: not yet looked for */
  bool json;
  char **words; /* those of the command line that are no options, then NULL */
  int word_count;
  rf_store store;
  rf_text_sink text;
  rf_query query;
} rf_cli;

enum { RF_CLI_DIR = 1, RF_CLI_JSON = 2 };

/* How to call a command. Bit N of `mask` says that it has row N; --help it has anyway. */
typedef struct rf_cli_usage {
  const char *text;  /* after "ringfence " */
  const char *about; /* for the manual: what it does */
  const char *exits; /* the exit statuses, where these are not just 0, 1 and 2; else NULL */
  const rf_option *rows;
  uint32_t mask;
  unsigned common; /* RF_CLI_DIR, RF_CLI_JSON, which rf_cli_read applies */
  int least, most; /* words that are no options */
} rf_cli_usage;

/* Applies a row of the command's own; false after a message. */
typedef bool rf_cli_apply(void *context, size_t row, const char *argument);

/* Reads argv, and fills cli->words. Returns -1 to go on, else the exit status: after the manual, where that was asked
 * for, or after a message. */
int rf_cli_read(rf_cli *cli, const rf_cli_usage *usage, rf_cli_apply *apply, void *context, int argc, char **argv);

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

typedef void rf_cli_print(rf_cli *cli, const rf_json *root);

/* Prints the answer in cli->text, as JSON or by `print` (NULL: not at all), and returns it parsed; NULL after a
 * message, where it is {"error": ...} or cannot be read. */
const rf_json *rf_cli_answer(rf_cli *cli, bool fine, rf_cli_print *print);

/* A word that must be the number of a finding, such as 7 or #7; -1 after a message. */
int64_t rf_cli_id(const char *word);

/* The same of another thing: "process", "module"; `list` is the command that lists them. */
int64_t rf_cli_id_of(const char *word, const char *thing, const char *list);

/* The argument of an option that takes a number from 1 on; -1 after a message. */
int64_t rf_cli_number(const char *option, const char *argument);

#define RF_SERVICE_DECLARE(name, summary) int rf_service_##name(int argc, char **argv);
RF_SERVICE_COMMANDS(RF_SERVICE_DECLARE)
#undef RF_SERVICE_DECLARE

#ifdef __cplusplus
}
#endif

#endif
