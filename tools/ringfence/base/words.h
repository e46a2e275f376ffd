/* Numbers and times in words, and which of several a word is. */
#ifndef RINGFENCE_TOOLS_BASE_WORDS_H
#define RINGFENCE_TOOLS_BASE_WORDS_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* True where `value` is one of `words`, which have a space between them. */
bool rf_is_word_of(const char *value, const char *words);

/* The noun in its number: "block" or "blocks", "process" or "processes". */
const char *rf_noun(rf_bump_arena *arena, uint64_t count, const char *noun);

/* "1 block", "3 processes". */
const char *rf_counted(rf_bump_arena *arena, uint64_t count, const char *noun);

/* How a number changed: "+1 block", "-3 blocks". */
const char *rf_changed(rf_bump_arena *arena, int64_t change, const char *noun);

/* "512 bytes", "1.5 KiB", "16.0 GiB". */
const char *rf_bytes_text(rf_bump_arena *arena, uint64_t bytes);

/* Seconds since 1970, as UTC, in a format of strftime; NULL where that has no such time. */
const char *rf_time_text(rf_bump_arena *arena, int64_t seconds, const char *format);

/* A value of a query string, percent-encoded. */
const char *rf_web_encoded(rf_bump_arena *arena, const char *text);

#ifdef __cplusplus
}
#endif

#endif
