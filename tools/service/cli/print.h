/* Answers as text for a terminal. */
#ifndef RINGFENCE_TOOLS_SERVICE_CLI_PRINT_H
#define RINGFENCE_TOOLS_SERVICE_CLI_PRINT_H

#include "tools/ringfence/base/json.h"
#include "tools/ringfence/base/sinks.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Text of programs that are checked: nothing of it may steer the terminal. */
void rf_print_safe(const char *text);

void rf_print_findings(rf_bump_arena *arena, const rf_json *root);
void rf_print_finding(rf_bump_arena *arena, rf_store *store, const rf_json *root);
void rf_print_builds(const rf_json *root);

/* A line that says how many of `total` a part of a list has, if that is not all. */
void rf_print_part(const rf_json *list, uint64_t total, const char *noun);
void rf_print_activity(const rf_json *root);
void rf_print_why(const rf_json *root);
void rf_print_processes(rf_bump_arena *arena, const rf_json *root);
void rf_print_process(rf_bump_arena *arena, const rf_json *root);
void rf_print_status(rf_bump_arena *arena, const rf_json *root);

#ifdef __cplusplus
}
#endif

#endif
