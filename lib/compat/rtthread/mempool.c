/* rt_mp: memory pools that threads wait on. */
#include "impl.h"

static void (*the_alloc_hook)(struct rt_mempool *mp, void *block);
static void (*the_free_hook)(struct rt_mempool *mp, void *block);

void rt_mp_alloc_sethook(void (*hook)(struct rt_mempool *mp, void *block)) {
  the_alloc_hook = hook;
}

void rt_mp_free_sethook(void (*hook)(struct rt_mempool *mp, void *block)) {
  the_free_hook = hook;
}

/* Brings the public counts up to date, under the lock so that both belong to one moment. */
static void publish(struct rt_mempool *mp) {
  rf_mempool_info info;
  rf_rt_lock();
  rf_mempool_info_get(&mp->pool, &info);
  mp->block_total_count = info.num_blocks;
  mp->block_free_count = info.free_blocks;
  rf_rt_unlock();
}

/* *out = what a block takes, with its pointer; false where that wraps. */
static bool stride_of(rt_size_t block_size, size_t *out) {
  return rf_round_up(block_size, RT_ALIGN_SIZE, out) && rf_add(*out, sizeof(rt_uint8_t *), out);
}

rt_err_t rt_mp_init(struct rt_mempool *mp, const char *name, void *start, rt_size_t size, rt_size_t block_size) {
  size_t stride;
  if (mp == NULL || start == NULL || size == 0 || block_size == 0) {
    return -RT_EINVAL;
  }
  (void)rt_mp_detach(mp); /* initialised a second time */
  memset(mp, 0, sizeof *mp);
  if (!stride_of(block_size, &stride)) {
    return -RT_ENOMEM;
  }
  mp->start_address = start;
  mp->size = size;
  mp->block_size = stride - sizeof(rt_uint8_t *);
  if (rf_mempool_init(&mp->pool, start, size, mp->block_size, RT_ALIGN_SIZE) != RF_OK) {
    return -RT_ENOMEM;
  }
  rf_rt_object_add(&mp->parent, RT_Object_Class_MemPool, name);
  publish(mp);
  return RT_EOK;
}

rt_err_t rt_mp_detach(struct rt_mempool *mp) {
  if (mp == NULL || !rf_rt_object_remove(&mp->parent, RT_Object_Class_MemPool)) {
    return -RT_EINVAL;
  }
  return rf_mempool_deinit(&mp->pool) == RF_OK ? RT_EOK : -RT_ERROR;
}

rt_mp_t rt_mp_create(const char *name, rt_size_t block_count, rt_size_t block_size) {
  size_t stride;
  size_t size;
  if (block_count == 0 || block_size == 0 || !stride_of(block_size, &stride) || !rf_mul(stride, block_count, &size)) {
    return RT_NULL;
  }
  struct rt_mempool *const mp = (struct rt_mempool *)rt_malloc(sizeof *mp);
  void *const memory = rt_malloc(size);
  if (mp == NULL || memory == NULL || rt_mp_init(mp, name, memory, size, block_size) != RT_EOK) {
    rt_free(memory);
    rt_free(mp);
    return RT_NULL;
  }
  mp->created = RT_TRUE;
  return mp;
}

rt_err_t rt_mp_delete(rt_mp_t mp) {
  void *const memory = mp != NULL ? mp->start_address : NULL;
  rt_err_t const result = mp != NULL && mp->created ? rt_mp_detach(mp) : -RT_EINVAL;
  if (result == RT_EOK) {
    rt_free(memory);
    rt_free(mp);
  }
  return result;
}

/* In milliseconds, as ticks are counted; rounded up. */
static uint32_t timeout_of(rt_int32_t time) {
  if (time < 0) {
    return RF_WAIT_FOREVER;
  }
  return (uint32_t)(((uint64_t)time * 1000 + RT_TICK_PER_SECOND - 1) / RT_TICK_PER_SECOND);
}

void *rt_mp_alloc(rt_mp_t mp, rt_int32_t time) {
  void *block = NULL;
  rf_status const status = mp != NULL ? rf_mempool_alloc(&mp->pool, timeout_of(time), &block) : RF_ERR_INVALID;
  if (status != RF_OK) {
    /* The pool may be gone. */
    rt_set_errno(status == RF_ERR_TIMEOUT || status == RF_ERR_NO_MEMORY ? -RT_ETIMEOUT : -RT_ERROR);
    return RT_NULL;
  }
  publish(mp);
  rt_set_errno(RT_EOK);
  if (the_alloc_hook != NULL) {
    the_alloc_hook(mp, block);
  }
  return block;
}

/* The pool whose memory `block` lies in. */
static struct rt_mempool *pool_of(const void *block) {
  struct rt_object *o = NULL;
  rf_rt_lock();
  do {
    o = rf_rt_object_next(RT_Object_Class_MemPool, o);
  } while (o != NULL && !rf_owns(&((struct rt_mempool *)(void *)o)->pool.base, block));
  rf_rt_unlock();
  return (struct rt_mempool *)(void *)o;
}

void rf_rt_mp_free_at(void *block, const rf_site *site) {
  if (block == NULL) {
    return;
  }
  struct rt_mempool *const mp = pool_of(block);
  if (mp == NULL) {
    (void)rf_fault_refuse(NULL, RF_ERR_BAD_POINTER, "rt_mp_free: block of no pool", block, site);
    return;
  }
  if (the_free_hook != NULL && rf_usable_size(&mp->pool.base, block) != 0) {
    the_free_hook(mp, block);
  }
  (void)rf_mempool_free_at(&mp->pool, block, site);
  publish(mp);
}

void rt_mp_free(void *block) {
  rf_rt_mp_free_at(block, NULL);
}
