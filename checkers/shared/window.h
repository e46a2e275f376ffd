/* The window of a finding: the bytes around the damage, each with its class. Internal to checkers/. */
#ifndef RINGFENCE_WINDOW_H
#define RINGFENCE_WINDOW_H

#include <ringfence/finding.h>

/* The class of the byte at `address` as long as it is intact. *expected is -1; set it to the value that the byte must
 * have. */
typedef rf_byte_class (*rf_classify_byte)(const void *context, uintptr_t address, int *expected);

/* Sets the window of `f` to the rows around `at`, as far as they lie in [low, high). */
void rf_finding_window(rf_finding *f, uintptr_t low, uintptr_t high, uintptr_t at, rf_classify_byte classify,
                       const void *context);

#endif /* RINGFENCE_WINDOW_H */
