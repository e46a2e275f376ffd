/* Zephyr: the kernel, as Zephyr 3.1 to 3.3 names it. */
#ifndef RINGFENCE_ZEPHYR_ZEPHYR_H
#define RINGFENCE_ZEPHYR_ZEPHYR_H

#include <ringfence/zephyr/kernel.h>

#endif /* RINGFENCE_ZEPHYR_ZEPHYR_H */
