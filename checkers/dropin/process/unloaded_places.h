/* The places of code of unloaded modules. The addresses stay taken: else the system mostly gives them to the next
 * module that is loaded, and a return address in a stack that was recorded before would be one in that. The same file
 * gets its place again, so that a program that loads a library again and again has the same stacks each time. */
#ifndef RINGFENCE_DROPIN_UNLOADED_PLACES_H
#define RINGFENCE_DROPIN_UNLOADED_PLACES_H

#include <stdint.h>

/* The module with code from `start` to `end`, of the file `path`, which never changes, was unloaded. The last
 * RF_MODULES_UNLOADED are kept, as long as no other mapping was made there meanwhile. */
void rf_unloaded_places_keep(uintptr_t start, uintptr_t end, const char *path);

/* `file` is about to be loaded, as dlopen has it; NULL: the program itself. Gives its place back where it is the file
 * that was unloaded, unchanged since the process began. */
void rf_unloaded_places_give(const char *file);

/* In the child of a fork, where another thread may have been inside. */
void rf_unloaded_places_forked(void);

#endif /* RINGFENCE_DROPIN_UNLOADED_PLACES_H */
