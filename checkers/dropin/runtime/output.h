/* Output of the process: the file of the option log, and standard error.
 *
 * The file is opened and closed each time: a descriptor that stays open can be closed by the program. Under the command
 * one is kept all the same, for programs that can no longer open the file. Where the file cannot be opened nothing is
 * written: standard error is the program's. */
#ifndef RINGFENCE_DROPIN_OUTPUT_H
#define RINGFENCE_DROPIN_OUTPUT_H

#include "state.h"

/* Writes a line of the process's own where findings go. Keeps errno. */
void rf_output_write(const char *text, size_t size);

/* Opens the file for the reporter, which then need not do it, and closes it again. */
void rf_output_open(void);
void rf_output_close(void);

/* Programs of the GNU core utilities close standard error in their exit handlers, before the last findings: keeps a
 * copy of the descriptor, and puts it back where the descriptor was closed. */
void rf_output_keep_standard_error(void);
void rf_output_restore_standard_error(void);

#endif /* RINGFENCE_DROPIN_OUTPUT_H */
