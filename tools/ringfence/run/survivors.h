/* Processes that outlive the program that started them. */
#ifndef RINGFENCE_TOOLS_RUN_SURVIVORS_H
#define RINGFENCE_TOOLS_RUN_SURVIVORS_H

#include "tools/ringfence/base/arena.h"

#include <stddef.h>
#include <stdint.h>

/* Finds the processes of this user that were started with `text` in their environment and still run. Sets *ids to
 * their ids and returns their number. It searches /proc instead of adopting them (PR_SET_CHILD_SUBREAPER), which would
 * change their parent.
 */
size_t rf_survivors_find(rf_bump_arena *arena, const char *text, uint32_t **ids);

#endif /* RINGFENCE_TOOLS_RUN_SURVIVORS_H */
