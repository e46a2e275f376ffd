/* Moves the entry of checkers/dropin/process/start.c out of the list of functions that run before main: a test calls it
 * when it likes. Comes before the source. */
#ifndef RINGFENCE_TESTS_DROPIN_START_ENTRY_H
#define RINGFENCE_TESTS_DROPIN_START_ENTRY_H

#define section(name) section("rf_entries")

#endif /* RINGFENCE_TESTS_DROPIN_START_ENTRY_H */
