/* AWTK: the program's heap.
 *
 * If it is given memory (tk_mem_init) it is, from the inside: composite, pool (above 32 KiB), debug (with
 * ENABLE_MEM_LEAK_CHECK: link //lib/compat:awtk_debug), then by tk_mem_init_stage2 lock and oom. If it is given none
 * and the C library has a malloc it is std, debug, lock, oom, from the first call on. rf_awtk_wrap_set puts a checker
 * inside the lock.
 *
 * Threads: any, after tk_mem_init_stage2. Interrupts: over the bare port, whose lock masks them.
 */
#ifndef RINGFENCE_AWTK_TKC_MEM_H
#define RINGFENCE_AWTK_TKC_MEM_H

#include <ringfence/allocator.h>
#include <ringfence/awtk/tkc/types_def.h>

BEGIN_C_DECLS

/* Asked to free memory; `tried_times` counts 1, 2, … within one request. RET_OK: some was freed, try again; else there
 * is none to free. May use the heap; a request that fails meanwhile is not answered by another call. */
typedef ret_t (*tk_mem_on_out_of_memory_t)(void *ctx, uint32_t tried_times, uint32_t need_size);

/* As C's calloc, realloc, malloc and free, with who asks. NULL where there is no memory or the product wraps; a size of
 * 0 is a block. tk_realloc(ptr, 0) leaves one, too, where the heap was given memory; over malloc it frees and gives
 * NULL. */
void *tk_calloc(uint32_t nmemb, uint32_t size, const char *func, uint32_t line);
void *tk_realloc(void *ptr, uint32_t size, const char *func, uint32_t line);
void *tk_alloc(uint32_t size, const char *func, uint32_t line);
void tk_free(void *ptr);

#define TKMEM_INIT(size)                                                                                               \
  {                                                                                                                    \
    static uint32_t rf_awtk_memory_[(size) >> 2];                                                                      \
    (void)tk_mem_init(rf_awtk_memory_, sizeof(rf_awtk_memory_));                                                       \
  }

/* Prints the heap. */
void tk_mem_dump(void);

/* Replaces the callback; NULL: none. RET_OK. */
ret_t tk_mem_set_on_out_of_memory(tk_mem_on_out_of_memory_t on_out_of_memory, void *ctx);

/* Gives the heap its memory: `size` bytes at `buffer`, and with _ex others, each a pointer and its size, up to a null
 * pointer. It stays the caller's, in use until rf_awtk_mem_deinit or the next of these calls. RET_OK; RET_BAD_PARAMS,
 * without a heap, where mem_allocator_composite_init or the pool would give NULL. */
ret_t tk_mem_init(void *buffer, uint32_t size);
ret_t tk_mem_init_ex(void *buffer, uint32_t size, ...);

/* In sources that are compiled with HAS_STD_MALLOC, as there, a heap is malloc's whatever memory it is given: RET_FAIL
 * where the build has no malloc. */
#ifdef HAS_STD_MALLOC
#define tk_mem_init(buffer, size) ((void)(buffer), (void)(size), rf_awtk_mem_init_std())
#endif

/* Makes the heap fit for threads, and calls the out-of-memory callback from then on. RET_OK, again too; RET_FAIL where
 * there is no heap. */
ret_t tk_mem_init_stage2(void);

/* FALSE for an address that is none of the heap's. With malloc only the first pages are known not to be. */
bool_t tk_mem_is_valid_addr(void *addr);
#define TK_IS_VALID_ADDR(addr) tk_mem_is_valid_addr(addr)

/* Times memset and memcpy over `length` bytes at `buffer`: the milliseconds it took, and KiB per second, 0 where there
 * is no clock. 0 for a null pointer or fewer than two bytes. */
uint32_t tk_mem_speed_test(void *buffer, uint32_t length, uint32_t *pmemcpy_speed, uint32_t *pmemset_speed);

/* ---- Additions ---- */

/* Ends the heap, and makes one over malloc: RET_OK, or RET_FAIL where the build has none. */
ret_t rf_awtk_mem_init_std(void);

/* Ends the heap; debug lists what was not freed. The next call begins with malloc again. With no other thread
 * inside. */
void rf_awtk_mem_deinit(void);

/* Called with the heap as it is made: the answer is what all calls to it go to, the heap itself or a checker around it
 * (rf_deinit of which ends both), or NULL, and there is no heap. NULL: none. Set before the heap is made. */
typedef rf_allocator *(*rf_awtk_wrap_fn)(rf_allocator *heap, void *context);
void rf_awtk_wrap_set(rf_awtk_wrap_fn wrap, void *context);

/* Behind TKMEM_REALLOCT: NULL, and the block as it was, where the product wraps. */
void *rf_awtk_reallocn(void *ptr, uint32_t n, uint32_t size, const char *func, uint32_t line);

/* The calls with their site as an argument. */
void *rf_awtk_alloc_at(uint32_t size, const rf_site *site);
void *rf_awtk_calloc_at(uint32_t nmemb, uint32_t size, const rf_site *site);
void *rf_awtk_realloc_at(void *ptr, uint32_t n, uint32_t size, const rf_site *site);
void rf_awtk_free_at(void *ptr, const rf_site *site);

END_C_DECLS

/* TKMEM_FREE is a statement: it frees, and sets the pointer to NULL. In code that is built with sites the macros pass
 * on file and line, too. */
#if RF_SITES && !defined(RINGFENCE_AWTK_IMPL)
#define TKMEM_ALLOC(size) rf_awtk_alloc_at((size), RF_HERE)
#define TKMEM_CALLOC(nmemb, size) rf_awtk_calloc_at((nmemb), (size), RF_HERE)
#define TKMEM_REALLOC(p, size) rf_awtk_realloc_at((p), 1, (size), RF_HERE)
#define TKMEM_FREE(p)                                                                                                  \
  {                                                                                                                    \
    rf_awtk_free_at((void *)(p), RF_HERE);                                                                             \
    (p) = NULL;                                                                                                        \
  }
#define TKMEM_ZALLOC(type) ((type *)rf_awtk_calloc_at(1, sizeof(type), RF_HERE))
#define TKMEM_ZALLOCN(type, n) ((type *)rf_awtk_calloc_at((n), sizeof(type), RF_HERE))
#define TKMEM_REALLOCT(type, p, n) ((type *)rf_awtk_realloc_at((p), (n), sizeof(type), RF_HERE))
#else
#define TKMEM_ALLOC(size) tk_alloc((size), __func__, __LINE__)
#define TKMEM_CALLOC(nmemb, size) tk_calloc((nmemb), (size), __func__, __LINE__)
#define TKMEM_REALLOC(p, size) tk_realloc((p), (size), __func__, __LINE__)
#define TKMEM_FREE(p)                                                                                                  \
  {                                                                                                                    \
    tk_free((void *)(p));                                                                                              \
    (p) = NULL;                                                                                                        \
  }
#define TKMEM_ZALLOC(type) ((type *)tk_calloc(1, sizeof(type), __func__, __LINE__))
#define TKMEM_ZALLOCN(type, n) ((type *)tk_calloc((n), sizeof(type), __func__, __LINE__))
#define TKMEM_REALLOCT(type, p, n) ((type *)rf_awtk_reallocn((p), (n), sizeof(type), __func__, __LINE__))
#endif

#endif /* RINGFENCE_AWTK_TKC_MEM_H */
