/* Zephyr's memory API over Ringfence: code that was written for it compiles unchanged, and can be checked on a host.
 *
 * Include this, or add //lib/compat:zephyr_paths to a target and include what Zephyr code includes
 * (<zephyr/sys/mem_blocks.h>, …). Names, arguments and return values are Zephyr's; the work is done by lib/.
 */
#ifndef RINGFENCE_ZEPHYR_H
#define RINGFENCE_ZEPHYR_H

#include <ringfence/zephyr/kernel.h>
#include <ringfence/zephyr/multi_heap/shared_multi_heap.h>
#include <ringfence/zephyr/sys/bitarray.h>
#include <ringfence/zephyr/sys/heap_listener.h>
#include <ringfence/zephyr/sys/mem_blocks.h>
#include <ringfence/zephyr/sys/mem_stats.h>
#include <ringfence/zephyr/sys/multi_heap.h>
#include <ringfence/zephyr/sys/sys_heap.h>
#include <ringfence/zephyr/sys/util.h>

#endif /* RINGFENCE_ZEPHYR_H */
