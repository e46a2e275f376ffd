/* CRC-32 as in Ethernet, zip and PNG: reflected, polynomial 0xEDB88320. Internal to checkers/ and tools/. */
#ifndef RINGFENCE_CHECKERS_CRC32_H
#define RINGFENCE_CHECKERS_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Continues `crc` (0 at first) over `size` bytes. */
uint32_t rf_crc32(uint32_t crc, const void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_CHECKERS_CRC32_H */
