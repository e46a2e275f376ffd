/* One return address of a stack, before and after it is symbolised. */
#ifndef RINGFENCE_TOOLS_MODEL_FRAME_H
#define RINGFENCE_TOOLS_MODEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A function and a line in it; what is not known is NULL or 0. */
typedef struct rf_source {
  const char *function;
  const char *file;
  unsigned line;
} rf_source;

typedef struct rf_frame {
  uint64_t address;     /* in the process */
  const char *module;   /* path of the file that was mapped there; NULL where none was */
  const char *build_id; /* of the module as it ran; NULL where not known */
  uint64_t offset;      /* address as the module's own tables have it (address - load bias) */
  const char *function; /* as the process itself knew it; NULL where it did not */
  bool exact;           /* the address itself is meant, not the call before it */
  rf_source *sources;   /* set by rf_symbolize: innermost inlined function first, then what it was inlined into */
  size_t source_count;
} rf_frame;

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_MODEL_FRAME_H */
