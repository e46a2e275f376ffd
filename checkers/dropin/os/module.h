/* The module of an address of code, and whether that module can name its functions. */
#ifndef RINGFENCE_DROPIN_MODULE_H
#define RINGFENCE_DROPIN_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_KNOWN_MODULES 64U

typedef struct rf_known_module {
  uintptr_t start; /* its code lies in [start, end) */
  uintptr_t end;
  bool runtime; /* the C or C++ library, the loader, or Ringfence itself */
  bool loader;  /* glibc's loader, which is a module of its own */
  bool named;   /* has a symbol table or line numbers beyond what dynamic linking needs */
  bool users;   /* not the system's (rf_module_is_users) */
} rf_known_module;

/* The modules that were asked for so far. Zeroed is empty. */
typedef struct rf_known_modules {
  rf_known_module list[RF_KNOWN_MODULES];
  size_t count;
  rf_known_module program; /* end 0: not asked for yet */
} rf_known_modules;

/* The module of `address`, or the last one there that was unloaded and is remembered; NULL where there is none, or too
 * many. Valid until the next call. */
const rf_known_module *rf_known_module_find(rf_known_modules *modules, uintptr_t address);

/* False for a file where the system keeps its programs and libraries: below /usr, but for /usr/local and /usr/src, and
 * below /bin, /sbin and the loader's folders. */
bool rf_module_is_users(const char *path);

/* The module of the program itself. */
const rf_known_module *rf_known_module_of_program(rf_known_modules *modules);

/* Writes the path of the module that `address` lies in, as the loader has it, "" for the program itself. False where it
 * lies in none, or `room` is too small. Neither locks nor allocates; signal handlers. */
bool rf_module_path_of(uintptr_t address, char *out, size_t room);

#endif /* RINGFENCE_DROPIN_MODULE_H */
