/* A return address of a stack, before and after it is symbolized. */
#ifndef RINGFENCE_TOOLS_MODEL_FRAME_H
#define RINGFENCE_TOOLS_MODEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A function and a line in it; NULL or 0 where unknown. */
typedef struct rf_source {
  const char *function;
  const char *file;
  unsigned line;
} rf_source;

typedef struct rf_frame {
  uint64_t address;     /* in the process */
  const char *module;   /* path of the file that was mapped there, or NULL */
  const char *build_id; /* of the module as it ran, or NULL */
  uint64_t offset;      /* address minus load bias, as in the module's tables */
  const char *function; /* as the process itself knew it, or NULL */
  bool exact;           /* the address of an instruction, not a return address */
  rf_source *sources;   /* set by rf_symbolize: innermost inlined function first, then what it was inlined into */
  size_t source_count;
} rf_frame;

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_FRAME_H */
