/* Processors that compare tags of memory, where the test says so: compiled before the source that asks. */
#ifndef RINGFENCE_TESTS_DROPIN_FAKED_TAGS_ON_H
#define RINGFENCE_TESTS_DROPIN_FAKED_TAGS_ON_H

#ifndef __cplusplus
#include "checkers/os/memory_tags.h"

bool faked_tags_on(void);

#define rf_memory_tags_on faked_tags_on
#endif

#endif /* RINGFENCE_TESTS_DROPIN_FAKED_TAGS_ON_H */
