/* See zephyr/kernel.h. */
#ifndef TESTS_PORT_RTOS_ZEPHYR_PRINTK_H
#define TESTS_PORT_RTOS_ZEPHYR_PRINTK_H

#ifdef __cplusplus
extern "C"
#endif
    void
    printk(const char *format, ...);

#endif /* TESTS_PORT_RTOS_ZEPHYR_PRINTK_H */
