/* The limit for sizes of files (RLIMIT_FSIZE, ulimit -f), which is meant for the program and not for records of it. */
#ifndef RINGFENCE_TOOLS_RUN_FILE_LIMIT_H
#define RINGFENCE_TOOLS_RUN_FILE_LIMIT_H

#include <stdbool.h>

/* Raises the limit of this process as far as it may. False where it stays as it was. errno stays. */
bool rf_file_limit_raise(void);

/* Undoes that, in a child process that becomes another program. */
void rf_file_limit_give_back(void);

#endif
