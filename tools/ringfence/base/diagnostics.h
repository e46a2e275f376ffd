/* What the command says to its user, and the statuses it exits with. Everything goes to standard error: standard
 * output belongs to the program that is checked.
 */
#ifndef RINGFENCE_TOOLS_BASE_DIAGNOSTICS_H
#define RINGFENCE_TOOLS_BASE_DIAGNOSTICS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Beside the program's own status and that of --exitcode. The last two are what shells and env(1) use. */
enum {
  RF_EXIT_USAGE = 2,        /* a wrong command line, or a program that cannot be checked */
  RF_EXIT_CANNOT_RUN = 126, /* the program is there but cannot be executed */
  RF_EXIT_NOT_FOUND = 127   /* no such program */
};

/* Writes "ringfence: " and the text as one line, in one piece. */
void rf_diag(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_BASE_DIAGNOSTICS_H */
