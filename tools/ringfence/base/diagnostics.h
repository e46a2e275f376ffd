/* Messages to the user, and exit statuses. Messages go to standard error: standard output belongs to the program that
 * is checked.
 */
#ifndef RINGFENCE_TOOLS_BASE_DIAGNOSTICS_H
#define RINGFENCE_TOOLS_BASE_DIAGNOSTICS_H

/* Besides the program's own status and that of --exitcode. Shells and env(1) use the last two. */
enum {
  RF_EXIT_USAGE = 2,        /* a wrong command line, or a program that cannot be checked */
  RF_EXIT_CANNOT_RUN = 126, /* the program is there but cannot be executed */
  RF_EXIT_NOT_FOUND = 127   /* no such program */
};

/* Writes "ringfence: ", the text as rf_clean_sink has it, and a line feed, by one write. */
void rf_diag(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* RINGFENCE_TOOLS_BASE_DIAGNOSTICS_H */
