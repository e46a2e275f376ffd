/* Call sites by the address of their record in the program's image: findings by numbers (guard_small.h) have no
 * texts. */
#ifndef RINGFENCE_TOOLS_SYMBOLS_IMAGE_SITE_H
#define RINGFENCE_TOOLS_SYMBOLS_IMAGE_SITE_H

#include "tools/ringfence/model/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gives the records' traces the file, function and line of their sites, read from `image`, an ELF file. Sites that it
 * lacks stay as they are. */
void rf_image_sites(rf_bump_arena *arena, rf_record *const *records, size_t count, const char *image);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TOOLS_SYMBOLS_IMAGE_SITE_H */
