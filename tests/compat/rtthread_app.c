#include "rtthread_app.h"

/* ---- Dynamic memory ---- */

rt_err_t app_dynamic_memory(void) {
  char *ptr = RT_NULL;
  int *numbers;
  int i;

  /* rt_malloc, and what it returns is checked. */
  ptr = rt_malloc(16);
  if (ptr == RT_NULL) {
    return -RT_ENOMEM;
  }
  rt_memset(ptr, 0x5A, 16);

  /* rt_realloc keeps what was there. */
  ptr = rt_realloc(ptr, 64);
  if (ptr == RT_NULL || ptr[0] != 0x5A || ptr[15] != 0x5A) {
    return -RT_ERROR;
  }
  /* Smaller: the end is cut off. */
  ptr = rt_realloc(ptr, 8);
  if (ptr == RT_NULL || ptr[7] != 0x5A) {
    return -RT_ERROR;
  }
  rt_free(ptr);

  /* A null pointer makes rt_realloc an rt_malloc. */
  ptr = rt_realloc(RT_NULL, 32);
  if (ptr == RT_NULL) {
    return -RT_ENOMEM;
  }
  rt_free(ptr);

  /* rt_calloc: several blocks in a row, zeroed. */
  numbers = rt_calloc(10, sizeof(int));
  for (i = 0; i < 10; i++) {
    if (numbers[i] != 0) {
      return -RT_ERROR;
    }
  }
  rt_free(numbers);
  rt_free(RT_NULL);
  return RT_EOK;
}
MSH_CMD_EXPORT(app_dynamic_memory, dynamic memory)

/* ---- Memory pool ---- */

static rt_uint8_t mempool[(80 + sizeof(void *)) * 32];
static struct rt_mempool mp;

rt_size_t app_memory_pool(void) {
  rt_uint8_t *block[64];
  rt_size_t n = 0;
  rt_size_t i;

  if (rt_mp_init(&mp, "mp1", &mempool[0], sizeof(mempool), 80) != RT_EOK) {
    return 0;
  }
  while (n < 64 && (block[n] = rt_mp_alloc(&mp, RT_WAITING_NO)) != RT_NULL) {
    rt_memset(block[n], (int)n, 80);
    n++;
  }
  for (i = 0; i < n; i++) {
    if (block[i][0] != i || block[i][79] != i) {
      n = 0;
    }
    rt_mp_free(block[i]);
    block[i] = RT_NULL;
  }
  return rt_mp_detach(&mp) == RT_EOK ? n : 0;
}

/* ---- Lists ---- */

struct item {
  int value;
  rt_list_t node;
};

rt_size_t app_listed_blocks(void) {
  rt_list_t head = RT_LIST_OBJECT_INIT(head);
  struct item *item;
  struct item *next;
  rt_list_t *node;
  rt_size_t n = 0;
  int i;

  for (i = 0; i < 5; i++) {
    item = (struct item *)rt_malloc(sizeof(struct item));
    RT_ASSERT(item != RT_NULL);
    item->value = i;
    if (i % 2 == 0) {
      rt_list_insert_before(&head, &item->node);
    } else {
      rt_list_insert_after(&head, &item->node);
    }
  }
  rt_list_for_each(node, &head) {
    n += rt_list_entry(node, struct item, node)->value >= 0;
  }
  RT_ASSERT(rt_list_len(&head) == n);
  rt_list_for_each_entry_safe(item, next, &head, node) {
    rt_list_remove(&item->node);
    rt_free(item);
  }
  RT_ASSERT(rt_list_isempty(&head));
  return n;
}

/* ---- Older versions ---- */

void *app_last_malloc;
rt_size_t app_last_malloc_size;
void *app_last_free;

static void old_malloc_hook(void *ptr, rt_size_t size) {
  app_last_malloc = ptr;
  app_last_malloc_size = size;
}

static void old_free_hook(void *ptr) {
  app_last_free = ptr;
}

void app_set_old_hooks(void) {
  rt_malloc_sethook(old_malloc_hook);
  rt_free_sethook(old_free_hook);
}

void app_clear_hooks(void) {
  rt_malloc_sethook(RT_NULL);
  rt_free_sethook(RT_NULL);
}

void app_old_memory_info(rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rt_memory_info(total, used, max_used);
}

void app_new_memory_info(rt_size_t *total, rt_size_t *used, rt_size_t *max_used) {
  rt_memory_info(total, used, max_used);
}

void app_old_memheap_info(struct rt_memheap *heap, rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rt_memheap_info(heap, total, used, max_used);
}

/* ---- Inside a small-memory heap ---- */

struct rt_small_mem_item {
  rt_ubase_t pool_ptr;
  rt_size_t next;
  rt_size_t prev;
#ifdef RT_USING_MEMTRACE
#ifdef ARCH_CPU_64BIT
  rt_uint8_t thread[8];
#else
  rt_uint8_t thread[4];
#endif
#endif
};

struct rt_small_mem {
  struct rt_memory parent;
  rt_uint8_t *heap_ptr;
  struct rt_small_mem_item *heap_end;
  struct rt_small_mem_item *lfree;
  rt_size_t mem_size_aligned;
};

rt_size_t app_max_block(rt_smem_t m) {
  struct rt_small_mem *heap = (struct rt_small_mem *)m;
  rt_size_t max = 0;
  rt_uint8_t *at;

  for (at = heap->heap_ptr; at != (rt_uint8_t *)heap->heap_end;) {
    struct rt_small_mem_item *item = (struct rt_small_mem_item *)(void *)at;
    rt_uint8_t *next = heap->heap_ptr + item->next;
    rt_size_t size = (rt_size_t)(next - at) - RT_ALIGN(sizeof(struct rt_small_mem_item), (rt_size_t)RT_ALIGN_SIZE);
    if ((item->pool_ptr & 1) == 0 && size > max) {
      max = size;
    }
    at = next;
  }
  return max;
}

const char *app_owner_of(void *ptr) {
  static char name[sizeof(void *) + 1];
  struct rt_small_mem_item *item = (struct rt_small_mem_item *)ptr - 1;
  rt_memcpy(name, item->thread, sizeof item->thread);
  return name;
}
