/* Processes that outlive the program that started them. */
#ifndef RINGFENCE_TOOLS_RUN_SURVIVORS_H
#define RINGFENCE_TOOLS_RUN_SURVIVORS_H

#include "tools/ringfence/base/arena.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The processes of this user that were started with `text` in their environment and still run: writes their ids to *ids
 * and returns how many they are. They are looked up in /proc and not adopted (PR_SET_CHILD_SUBREAPER), which would change
 * who their parent is. */
size_t rf_survivors_find(rf_bump_arena *arena, const char *text, uint32_t **ids);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_RUN_SURVIVORS_H */
