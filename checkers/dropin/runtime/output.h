/* Output of the process: the file of the option log, and standard error.
 *
 * The file is opened and closed each time: a descriptor that stays open is seen by the program, which may close it.
 * If the file cannot be opened nothing is written: standard error is the program's. */
#ifndef RINGFENCE_DROPIN_OUTPUT_H
#define RINGFENCE_DROPIN_OUTPUT_H

#include "state.h"

/* Writes a line of the process's own where findings go. Keeps errno. */
void rf_output_write(const char *text, size_t size);

/* Opens the file for the reporter, which then need not do it, and closes it again. */
void rf_output_open(void);
void rf_output_close(void);

/* The log did not take a finding: tells the command so by an empty file, with the log's name and ".lost" behind it.
 * That takes no descriptor, and no room in a file, which a limit may have refused. Keeps errno. */
void rf_output_mark_loss(void);

/* Writes `text` to standard error, unless that is a file of the program's. */
void rf_output_say(const char *text, size_t size);

/* The program is about to give up the right to open files: its path is remembered, and under the command the log stays
 * open from now on. */
void rf_output_keep_log(void);

/* True where the log that stays open is the only way to it: a program that this process becomes, or starts, could write
 * none. False where nothing is known. Keeps errno. */
bool rf_output_log_is_lost(void);

/* True where a program with these options (NULL: none) writes to the log of this process's command, or there is no
 * command. Keeps errno. */
bool rf_output_shares_log(const char *options);

/* Standard error is the file that has its number now. Keeps errno. */
void rf_output_set_standard_error(void);

/* Keeps a copy of standard error's descriptor, and puts it back where the descriptor was closed. */
void rf_output_keep_standard_error(void);
void rf_output_restore_standard_error(void);

#endif /* RINGFENCE_DROPIN_OUTPUT_H */
