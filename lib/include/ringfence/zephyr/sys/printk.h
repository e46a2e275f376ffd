/* Zephyr: printing to the console, where there is a C library. */
#ifndef RINGFENCE_ZEPHYR_SYS_PRINTK_H
#define RINGFENCE_ZEPHYR_SYS_PRINTK_H

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__ && !defined(printk)
#include <stdio.h>
#define printk printf
#define snprintk snprintf
#define vprintk vprintf
#define vsnprintk vsnprintf
#endif

#endif /* RINGFENCE_ZEPHYR_SYS_PRINTK_H */
