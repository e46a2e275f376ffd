/* The standard streams, as the command was started with them. */
#ifndef RINGFENCE_TOOLS_BASE_STREAMS_H
#define RINGFENCE_TOOLS_BASE_STREAMS_H

#include <stdbool.h>

/* Call this first in main. Opens /dev/null on each closed standard stream, so that no file of the command takes its
 * number. From here on, a write beyond the limit for file sizes fails instead of ending this process. */
void rf_streams_hold(void);

/* True if the standard stream `fd` was closed before rf_streams_hold. */
bool rf_streams_was_closed(int fd);

/* Undoes rf_streams_hold, in a child process that becomes another program. */
void rf_streams_give_back(void);

#endif
