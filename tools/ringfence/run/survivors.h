/* Processes that outlive the program that started them. */
#ifndef RINGFENCE_TOOLS_RUN_SURVIVORS_H
#define RINGFENCE_TOOLS_RUN_SURVIVORS_H

#include "tools/ringfence/base/arena.h"

#include <stddef.h>
#include <stdint.h>

/* Finds the processes that still run and were started with `folder` in their environment, or have a record in it, a
 * file named by their id: a program may write over its environment, as those do that change what `ps` shows of them. Of
 * any user: a daemon gives up its rights. Sets *ids to their ids and returns their number. It searches /proc instead of
 * adopting them (PR_SET_CHILD_SUBREAPER), which would change their parent.
 */
size_t rf_survivors_find(rf_bump_arena *arena, const char *folder, uint32_t **ids);

/* The same, but waits for those that are about to end, a second at most: a process that was killed is there for some
 * moments more, and one that got a signal has yet to act on it. */
size_t rf_survivors_that_stay(rf_bump_arena *arena, const char *folder, uint32_t **ids);

#endif /* RINGFENCE_TOOLS_RUN_SURVIVORS_H */
