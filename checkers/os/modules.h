/* The module (executable or shared library) of a return address, and the offset in it: read from the process's map and
 * the modules' own headers in memory, without allocating and without the dynamic linker's locks. Where the map cannot
 * be read, glibc 2.35 and later tell the modules that they loaded, in the same way. Internal to checkers/. */
#ifndef RINGFENCE_MODULES_H
#define RINGFENCE_MODULES_H

#include <ringfence/frames.h>
#include <ringfence/system.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Modules that one finding can name, bytes for their paths, and bytes for a function's name; none on bare targets. */
#if RF_HAS_SYSTEM
#define RF_MODULES 16
#define RF_MODULES_TEXT 2048
#define RF_MODULES_FUNCTION 512
#else
#define RF_MODULES 1
#define RF_MODULES_TEXT 1
#define RF_MODULES_FUNCTION 1
#endif
#define RF_BUILD_ID_BYTES 32 /* the longest that linkers make, of SHA-256 */

typedef struct rf_module {
  uintptr_t start; /* of the executable mapping */
  uintptr_t end;
  uintptr_t base; /* of the beginning of its file */
  uintptr_t bias; /* memory address minus address in the ELF file */
  uint16_t path;  /* index in `text` */
  char build_id[2 * RF_BUILD_ID_BYTES + 1];
} rf_module;

typedef struct rf_modules {
  unsigned count;
  rf_module modules[RF_MODULES];
  size_t used;
  char text[RF_MODULES_TEXT];         /* paths, each ended by a NUL */
  char function[RF_MODULES_FUNCTION]; /* of the frame named last, and the linker's name of it */
  char symbol[RF_MODULES_FUNCTION];
} rf_modules;

/* Finds the modules of all return addresses of `count` traces; those that do not fit stay unnamed. */
void rf_modules_load(rf_modules *modules, const rf_trace *const *traces, unsigned count);

/* Remembers the program's own path, since it may soon not be there to be read: the program gives up its root folder, or
 * forbids itself to open files. Any thread; keeps errno. Hosted systems only. */
void rf_modules_keep_program(void);

/* Writes the program's own path into `room` bytes, ended by a NUL: "" and false where it cannot be read and was not
 * kept. Any thread; keeps errno. Hosted systems only. */
bool rf_modules_program_path(char *out, size_t room);

/* Remembers a module that was unloaded, for frames that lie in no other. `path` must never change. The last
 * RF_MODULES_UNLOADED are kept. By one thread at a time. */
#define RF_MODULES_UNLOADED (sizeof(void *) > 4 ? 512U : 64U)
void rf_modules_remember(const rf_module *module, const char *path);

/* The path of the module that was unloaded last of those that had code at `address`, and sets *start and *end to where
 * that was; NULL where none is remembered. Any thread. Hosted systems only. */
const char *rf_modules_unloaded(uintptr_t address, uintptr_t *start, uintptr_t *end);

/* Writes the build-id of the program itself as text; "" where it has none. Hosted systems only. */
void rf_modules_program_id(char out[2 * RF_BUILD_ID_BYTES + 1]);

/* True where code at `address` was linked by Go, which leaves a note of its build in what it links (cmd/link's
 * ELF_NOTE_GOBUILDID_TAG). Takes 8 KiB of the stack; any thread. Hosted systems only. */
bool rf_modules_is_go(uintptr_t address);

/* Names frames by a loaded table, which must outlive the symbolizer: module, build-id, offset and, if `functions`, what
 * the module's symbol table says. */
rf_symbolizer rf_modules_symbolizer(rf_modules *modules, bool functions);

/* In the child of a fork, where another thread may have been naming a function. Hosted systems only. */
void rf_modules_forked(void);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_MODULES_H */
