/* `ringfence check --hunt`: several runs of one program, each of which sees what the others cannot.
 *
 * The first run is in mode guard: its output and status are the command's. Then every block is put on closed pages,
 * once at their end and once at their beginning, and then, as long as that finds anything, with ends drawn by lot.
 * Blocks at the end of their pages are aligned to their size alone, so that nothing is left behind them. A program that
 * minds that does something else, or crashes: such a run is not counted, and repeated with malloc's alignment.
 *
 * One thread. */
#ifndef RINGFENCE_TOOLS_CLI_HUNT_H
#define RINGFENCE_TOOLS_CLI_HUNT_H

#include "tools/ringfence/cli/check_run.h"

/* Runs the program, at most options.hunt times, and leaves what all runs found in c->run, each record with the run that
 * found it, and the end of the first in c->child. 0, or the status to exit with after a message. */
int rf_hunt(rf_check_state *c);

#endif /* RINGFENCE_TOOLS_CLI_HUNT_H */
