/* Files that `ringfence report` reads: JSON lines, and captures of a serial line, each perhaps with other text between. */
#ifndef RINGFENCE_TOOLS_MODEL_INPUT_H
#define RINGFENCE_TOOLS_MODEL_INPUT_H

#include "tools/ringfence/model/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_input_form { RF_INPUT_ANY, RF_INPUT_JSON, RF_INPUT_SERIAL } rf_input_form;

/* What could not be read, over all files. */
typedef struct rf_input_losses {
  size_t damaged;    /* lines */
  size_t incomplete; /* findings that came in part */
  size_t missing;    /* findings that did not come at all */
} rf_input_losses;

/* Adds the file `path` ("-": standard input) to `run`. In the form ANY each line is looked at by itself, and what
 * Ringfence did not write is passed over; a file that has other text only is an error. False after a message. */
bool rf_input_read(rf_run *run, rf_input_losses *losses, rf_bump_arena *arena, const char *path, rf_input_form form);

/* The same of `text`, which is in the file `name` and has a NUL behind its `length` bytes. False, without a message, where
 * it has other text only. */
bool rf_input_parse(rf_run *run, rf_input_losses *losses, rf_bump_arena *arena, const char *name, rf_input_form form,
                    const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_INPUT_H */
