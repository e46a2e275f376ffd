/* A log in memory, for harnesses of what is written, not of where: with this library, files that checkers open are this
 * one. Files took half of the time of printing_fuzz; reports_fuzz has them. */
#ifndef RINGFENCE_FUZZ_MEMORY_LOG_H
#define RINGFENCE_FUZZ_MEMORY_LOG_H

#include <stddef.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* The text written since the last call, *size bytes; valid until the next write. */
const char *rf_memory_log_take(size_t *size);

#if defined(__cplusplus)
}
#endif

#endif /* RINGFENCE_FUZZ_MEMORY_LOG_H */
