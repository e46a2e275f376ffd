/* Zephyr: integer types, as their header is named there. */
#ifndef RINGFENCE_ZEPHYR_TYPES_H
#define RINGFENCE_ZEPHYR_TYPES_H

#include <stddef.h>
#include <stdint.h>

#endif /* RINGFENCE_ZEPHYR_TYPES_H */
