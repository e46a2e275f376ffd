/* Files that `ringfence report` reads: JSON lines and captures of a serial line, with other text between the lines. */
#ifndef RINGFENCE_TOOLS_MODEL_INPUT_H
#define RINGFENCE_TOOLS_MODEL_INPUT_H

#include "tools/ringfence/model/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_input_form { RF_INPUT_ANY, RF_INPUT_JSON, RF_INPUT_SERIAL } rf_input_form;

/* Lines and findings that could not be read, over all files. */
typedef struct rf_input_losses {
  size_t damaged;    /* lines */
  size_t incomplete; /* findings that arrived in part */
  size_t missing;    /* findings that did not arrive */
} rf_input_losses;

/* Adds the file `path` ("-": standard input) to `run`. In the form ANY each line is read by itself, and lines that
 * Ringfence did not write are skipped; a file of such lines only is an error. False after a message. */
bool rf_input_read(rf_run *run, rf_input_losses *losses, rf_bump_arena *arena, const char *path, rf_input_form form);

/* Adds `text`, the contents of the file `name`, which has a NUL after its `length` bytes. False, without a message,
 * where no line is one of Ringfence's. */
bool rf_input_parse(rf_run *run, rf_input_losses *losses, rf_bump_arena *arena, const char *name, rf_input_form form,
                    const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_INPUT_H */
