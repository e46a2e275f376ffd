/* Code as it is written for RT-Thread: it includes <rtthread.h> and knows nothing of Ringfence. */
#ifndef RINGFENCE_TESTS_COMPAT_RTTHREAD_APP_H
#define RINGFENCE_TESTS_COMPAT_RTTHREAD_APP_H

#include <rtthread.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The calls of the document on RT-Thread's memory management, section 2.1.4, in its order. RT_EOK where each does what
 * the document says. */
rt_err_t app_dynamic_memory(void);

/* Section 2.2: a pool of 80-byte blocks over a static array, taken until it is empty. The number of blocks that there
 * were. */
rt_size_t app_memory_pool(void);

/* Blocks in a list, as kernel code keeps them. The number of those that were in it. */
rt_size_t app_listed_blocks(void);

/* A component with requests in a singly linked list, which logs what it does. RT_EOK. */
rt_err_t app_component(void);

/* Hooks and figures as 3.x and 4.x declare them. */
extern void *app_last_malloc;
extern rt_size_t app_last_malloc_size;
extern void *app_last_free;
void app_set_old_hooks(void);
void app_clear_hooks(void);
void app_old_memory_info(rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used);
void app_new_memory_info(rt_size_t *total, rt_size_t *used, rt_size_t *max_used);
void app_old_memheap_info(struct rt_memheap *heap, rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used);

/* Looks into a small-memory heap as RT-Thread's own unit tests do: bytes of its largest free block. */
rt_size_t app_max_block(rt_smem_t heap);

/* The name of the thread that owns the block whose payload is at `ptr`, from its header. */
const char *app_owner_of(void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* RINGFENCE_TESTS_COMPAT_RTTHREAD_APP_H */
