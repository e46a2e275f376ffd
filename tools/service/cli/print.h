/* Answers as text for a terminal. */
#ifndef RINGFENCE_TOOLS_SERVICE_CLI_PRINT_H
#define RINGFENCE_TOOLS_SERVICE_CLI_PRINT_H

#include "tools/service/cli/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Text of programs that are checked: nothing of it may steer the terminal. */
void rf_print_safe(const char *text);

rf_cli_print rf_print_findings;
rf_cli_print rf_print_finding;
rf_cli_print rf_print_builds;
rf_cli_print rf_print_activity;
rf_cli_print rf_print_why;
rf_cli_print rf_print_processes;
rf_cli_print rf_print_process;
rf_cli_print rf_print_status;

/* A line that says how many of `total` a part of a list has, if that is not all. */
void rf_print_part(const rf_json *list, uint64_t total, const char *noun);

#ifdef __cplusplus
}
#endif

#endif
