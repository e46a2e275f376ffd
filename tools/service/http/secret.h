/* Secrets of the service's users: made, compared, and read from files that only their owner may read. */
#ifndef RINGFENCE_TOOLS_SERVICE_SECRET_H
#define RINGFENCE_TOOLS_SERVICE_SECRET_H

#include "tools/ringfence/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Random hexadecimal digits, an even number of up to 64, and a NUL. False where the system has no random bytes. */
bool rf_secret_random(char *out, size_t digits);

/* In constant time: the answer's delay tells nothing of the secret `b`. */
bool rf_secret_is_equal(const char *a, const char *b);

/* The contents of a file that only this user may read; "" where there is none, NULL with *error set where it cannot be
 * read or others may read it. */
const char *rf_secret_read(rf_bump_arena *arena, const char *path, const char **error);

#ifdef __cplusplus
}
#endif

#endif
