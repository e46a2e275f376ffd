/* Files of symbols, by build-id, in DIR/symbols: uploaded by people and CI, or fetched from a debuginfod.
 *
 * A file that comes in is hostile: its build-id is read by a child with limits, its size is bounded, its name is made
 * of the id alone. Threads: one.
 */
#ifndef RINGFENCE_TOOLS_SERVICE_SYMBOL_FILES_H
#define RINGFENCE_TOOLS_SERVICE_SYMBOL_FILES_H

#include "tools/ringfence/base/arena.h"
#include "tools/service/store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_SYMBOL_ID = 128, RF_SYMBOL_MESSAGE = 360 };

#define RF_SYMBOL_FILE_MOST ((uint64_t)4 << 30)

/* As debuginfod calls them. */
#define RF_SYMBOL_DEBUGINFO "debuginfo"
#define RF_SYMBOL_EXECUTABLE "executable"

typedef struct rf_symbol_file {
  char build_id[RF_SYMBOL_ID]; /* hexadecimal digits */
  bool debuginfo;              /* has symbols */
  bool executable;             /* has code */
  bool lines;                  /* of its source */
  uint64_t bytes;
} rf_symbol_file;

/* True for hexadecimal digits, an even number of them from 4 to RF_SYMBOL_ID - 1. */
bool rf_symbol_id_is(const char *text);

/* DIR/symbols/ID-KIND; NULL where `build_id` is none. */
const char *rf_symbol_path(rf_bump_arena *arena, const char *directory, const char *build_id, const char *kind);

/* The name of a new file in DIR/symbols, which is made where it is missing. */
const char *rf_symbol_new_path(rf_bump_arena *arena, const char *directory);

/* Reads the file at `path` in a child. False with a sentence that begins with `name` in `message`. */
bool rf_symbol_probe(const char *path, const char *name, rf_symbol_file *out, char message[RF_SYMBOL_MESSAGE]);

/* Makes the file at `path`, which was made by rf_symbol_new_path, one of the store's, in a transaction of its own, or
 * removes it. A file of the build that has more, lines or symbols, stays in its place: `message` says so. `name`: as it
 * was called. Refused: it is no file of symbols. Failed: the disk or the database cannot take it. */
rf_store_outcome rf_symbol_adopt(rf_store *store, rf_bump_arena *arena, const char *directory, const char *path,
                                 const char *name, rf_symbol_file *out, char message[RF_SYMBOL_MESSAGE]);

/* The same for a file that stays where it is: it is copied. False with a message. */
bool rf_symbol_add(rf_store *store, rf_bump_arena *arena, const char *directory, const char *path, rf_symbol_file *out,
                   char message[RF_SYMBOL_MESSAGE]);

/* Removes the files that came in first while all are larger than `most` bytes (0: no limit), and what uploads that were
 * cut short left an hour ago. */
void rf_symbol_thin(rf_store *store, rf_bump_arena *arena, const char *directory, int64_t most);

#ifdef __cplusplus
}
#endif

#endif
