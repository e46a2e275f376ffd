/* Zephyr: as much of the kernel as code around its memory API names. */
#ifndef RINGFENCE_ZEPHYR_KERNEL_H
#define RINGFENCE_ZEPHYR_KERNEL_H

#include <errno.h>
#include <limits.h>
#include <ringfence/zephyr/kheap.h>
#include <ringfence/zephyr/linker/section_tags.h>
#include <ringfence/zephyr/mem_slab.h>
#include <ringfence/zephyr/spinlock.h>
#include <ringfence/zephyr/sys/__assert.h>
#include <ringfence/zephyr/sys/dlist.h>
#include <ringfence/zephyr/sys/printk.h>
#include <ringfence/zephyr/sys/slist.h>
#include <ringfence/zephyr/sys/util.h>
#include <ringfence/zephyr/timeout.h>
#include <ringfence/zephyr/toolchain.h>
#include <ringfence/zephyr/types.h>
#include <stdbool.h>
#include <string.h>

/* Calls that wait do so. */
#ifndef CONFIG_MULTITHREADING
#define CONFIG_MULTITHREADING 1
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
typedef struct arch_esf z_arch_esf_t;

/* Yours, if you like: called with K_ERR_KERNEL_PANIC and NULL where Zephyr asserts (a NULL pool, array or group, a
 * group that is full). If it returns, or there is none, the call gives -EINVAL. */
void k_sys_fatal_error_handler(unsigned int reason, const struct arch_esf *esf);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_ZEPHYR_KERNEL_H */
