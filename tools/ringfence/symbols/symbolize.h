/* Turns return addresses into functions, files and lines, with inlined functions.
 *
 * It runs addr2line, eu-addr2line or llvm-symbolizer, whichever is installed, once for each module with all its
 * addresses, and beside addr2line another one, for files that addr2line of binutils 2.40 gets wrong. They also find
 * debugging information in files of its own (build id, .gnu_debuglink). If none is installed, or knows nothing of an
 * address, the module's symbol tables give the function.
 */
#ifndef RINGFENCE_TOOLS_SYMBOLS_SYMBOLIZE_H
#define RINGFENCE_TOOLS_SYMBOLS_SYMBOLIZE_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/model/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets the sources of `count` frames where they can be found, and changes the order of `frames`. Skips modules whose
 * file is missing or has another build id than the one that ran. Warns once where no symbolizer is installed. */
void rf_symbolize(rf_bump_arena *arena, rf_frame **frames, size_t count);

/* Reads a symbolizer's answer to `count` addresses of one module: for each a line "0x…", then pairs of lines, function
 * and place. sources[i] and counts[i] receive those of address i. */
void rf_symbolize_parse(rf_bump_arena *arena, const char *answer, size_t count, rf_source **sources, size_t *counts);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_SYMBOLS_SYMBOLIZE_H */
