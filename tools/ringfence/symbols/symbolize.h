/* Turns return addresses into functions, files and lines, inlined functions included.
 *
 * llvm-symbolizer, addr2line or eu-addr2line does it, whichever is installed: started once for each module, with all
 * its addresses at once. It also finds debugging information that lies apart (build id, .gnu_debuglink). Where none
 * is installed, or it knows nothing of an address, the symbol tables of the module give at least the function.
 */
#ifndef RINGFENCE_TOOLS_SYMBOLS_SYMBOLIZE_H
#define RINGFENCE_TOOLS_SYMBOLS_SYMBOLIZE_H

#include "tools/ringfence/base/arena.h"
#include "tools/ringfence/model/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills in the sources of `count` frames; those of which nothing can be known keep none. The order of `frames`
 * changes. A module whose file is gone, or has another build id than the one that ran, is left alone. Says once if no
 * symboliser is installed. */
void rf_symbolize(rf_bump_arena *arena, rf_frame **frames, size_t count);

/* Reads what a symboliser answered to one module: for each address, as "0x…" on a line of its own, pairs of lines,
 * function and place. `offsets` are what was asked for, in that order; sources[i] and counts[i] receive the answer to
 * offsets[i]. */
void rf_symbolize_parse(rf_bump_arena *arena, const char *answer, size_t count, rf_source **sources, size_t *counts);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_SYMBOLS_SYMBOLIZE_H */
