/* Zephyr: as much of the kernel as code around its memory API names. */
#ifndef RINGFENCE_ZEPHYR_KERNEL_H
#define RINGFENCE_ZEPHYR_KERNEL_H

#include <errno.h>
#include <ringfence/zephyr/kheap.h>
#include <ringfence/zephyr/sys/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__ && !defined(printk)
#include <stdio.h>
#define printk printf
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Why the kernel stops. */
enum k_fatal_error_reason {
  K_ERR_CPU_EXCEPTION,
  K_ERR_SPURIOUS_IRQ,
  K_ERR_STACK_CHK_FAIL,
  K_ERR_KERNEL_OOPS,
  K_ERR_KERNEL_PANIC
};

struct arch_esf;

/* Yours, if you like: called with K_ERR_KERNEL_PANIC and NULL where Zephyr asserts (a NULL pool, array or group, a
 * group that is full). Where it returns, and where there is none, the call gives -EINVAL. */
void k_sys_fatal_error_handler(unsigned int reason, const struct arch_esf *esf);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_KERNEL_H */
