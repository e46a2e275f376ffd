/* Names of functions from a module's own symbol table, for reports that no tool symbolizes. Reads the file anew each
 * time, by system calls alone: usable inside malloc and in signal handlers. ELF files of this process's class only.
 * Internal to checkers/. */
#ifndef RINGFENCE_SYMBOLS_H
#define RINGFENCE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the name, as the linker knows it, of the function in file `path` whose code is at `address` (as the ELF file
 * counts) to `out`, at most `room` bytes with the NUL; false, and `out` untouched, where none is found. */
bool rf_symbols_function(const char *path, uint64_t address, char *out, size_t room);

/* True where the file `path` names its own code, by a full symbol table or by lines, or a file for debuggers does: the
 * one of its build id below /usr/lib/debug, or that of its .gnu_debuglink. */
bool rf_symbols_present(const char *path);

/* False where nobody can tell what the file `path` names: it was deleted, or the process has not the right to read it.
 */
bool rf_symbols_readable(const char *path);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_SYMBOLS_H */
