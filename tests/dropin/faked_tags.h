/* Tags of memory that the test keeps, for processors that have none: compiled before the source that uses them. */
#ifndef RINGFENCE_TESTS_DROPIN_FAKED_TAGS_H
#define RINGFENCE_TESTS_DROPIN_FAKED_TAGS_H

#include "checkers/os/memory_tags.h"

unsigned faked_tag_at(uintptr_t address);
void faked_tags_set(uintptr_t start, uintptr_t end, unsigned tag);

#define rf_memory_tags_at faked_tag_at
#define rf_memory_tags_set faked_tags_set

#endif /* RINGFENCE_TESTS_DROPIN_FAKED_TAGS_H */
