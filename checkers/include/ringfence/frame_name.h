/* Names for return addresses, from wherever they can be had: the process's own modules (modules.h), or debug information
 * read by a tool. The renderers of findings take a namer and know nothing of where names come from. */
#ifndef RINGFENCE_FRAME_NAME_H
#define RINGFENCE_FRAME_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of one return address. The strings are valid until the namer is called again. */
typedef struct rf_frame_name {
  const char *function; /* NULL: not known */
  const char *file;     /* NULL: not known */
  unsigned line;        /* 0: not known */
  unsigned column;      /* 0: not known */
  const char *module;   /* path of the executable or shared library; NULL: not known */
  const char *build_id; /* hexadecimal, lower case; NULL: none */
  uint64_t offset;      /* of the return address in the module: its address there as ELF counts it */
} rf_frame_name;

/* Fills in *out, all of it, for the return address `pc`; false where nothing is known. `inlined` counts from 0: the
 * function in which the code of the call stands, then the functions it was inlined into, until the answer is false. Names
 * belong to the call, which is just before `pc`: look up pc - 1. */
typedef struct rf_namer {
  bool (*name)(void *context, uintptr_t pc, unsigned inlined, rf_frame_name *out);
  void *context;
} rf_namer;

/* True for frames that say nothing of where a program went wrong: those of an allocator or of the C or C++ runtime. Either may be
 * NULL. */
bool rf_frame_is_plumbing(const char *module, const char *function);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_FRAME_NAME_H */
