/* RT-Thread's memory management over Ringfence: code that was written for it compiles unchanged, and can be checked on
 * a host.
 *
 *     static rt_uint8_t memory[64 * 1024];
 *     rt_system_heap_init(memory, memory + sizeof memory);
 *     char *p = rt_malloc(13);
 *     rt_free(p);
 *
 * Include this as <ringfence/rtthread.h>, or add //lib/compat:rtthread_paths to a target and include <rtthread.h> as
 * ever. Names, arguments and return values are those of RT-Thread 5.0; where 3.x and 4.x differ (hooks that take the
 * pointer itself, figures in rt_uint32_t) both compile. The work is done by rf_smallmem, rf_slab, rf_memheap and
 * rf_mempool.
 *
 * Better than the original: sizes and products that wrap give RT_NULL; a bad, foreign or repeated free is
 * refused and reported; a realloc grows in place and, where it fails, leaves the block; statistics count what was
 * requested, and their peaks are true; hooks run outside the lock and only for what succeeds.
 *
 * Threads: any, at any time, for every function below unless it says otherwise. One mutex guards all heaps and the list
 * of objects; pools have their own. Interrupts: with port/bare.c, where a mutex masks them.
 *
 * In code that is built with sites (RF_SITES=1) rt_malloc and the like pass on where they were called. */
#ifndef RINGFENCE_RTTHREAD_H
#define RINGFENCE_RTTHREAD_H

#include <ringfence/allocator.h>
#include <ringfence/memheap.h>
#include <ringfence/mempool.h>
#include <ringfence/rtthread/rtdef.h>
#include <ringfence/rtthread/rtservice.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- System heap ---- */

/* On a host, a program in which no board's code has made a heap gets one of so many bytes, at its first call that needs
 * one. */
#define RF_RT_HEAP_SIZE (4 * 1024 * 1024)

/* Makes the heap that rt_malloc and the like serve from of the bytes from `begin_addr` up to `end_addr`, which stay the
 * caller's until it ends: by a second call, which need not give another (RT_NULL, RT_NULL). Blocks still live are gone
 * then. If the memory is too small for a heap, a line on the console says so and there is none. Not while another
 * thread uses the heap. */
void rt_system_heap_init(void *begin_addr, void *end_addr);
void rt_system_heap_init_generic(void *begin_addr, void *end_addr); /* the same */

/* `size` bytes aligned to RF_ALIGN_DEFAULT, or RT_NULL; 0 bytes are RT_NULL as in the original. */
void *rt_malloc(rt_size_t size);

/* Resizes as C's realloc: RT_NULL allocates, 0 frees and gives RT_NULL, failure gives RT_NULL and leaves the block. */
void *rt_realloc(void *ptr, rt_size_t newsize);

/* `count` * `size` zeroed bytes; RT_NULL also where the product wraps, or is 0. */
void *rt_calloc(rt_size_t count, rt_size_t size);

/* RT_NULL does nothing; what is not a live block is refused and reported. */
void rt_free(void *ptr);

/* `size` bytes at a multiple of `align`; RT_NULL too for 0 bytes and where `align` is no power of two. Freed by either
 * of rt_free_align and rt_free. */
void *rt_malloc_align(rt_size_t size, rt_size_t align);
void rt_free_align(void *ptr);

/* A copy of the NUL-terminated `s` from rt_malloc. */
char *rt_strdup(const char *s);

/* Bytes of the system heap, bytes requested and live now, and the most there were at once; a null pointer skips a
 * figure. */
void rt_memory_info(rt_size_t *total, rt_size_t *used, rt_size_t *max_used);

/* One hook of each kind; RT_NULL removes it. malloc: after success of rt_malloc, rt_calloc and rt_malloc_align, with
 * the block. realloc: on entry with the old block, on exit after success with the new one. free: before a live block is
 * given back. They run in the caller's thread with no lock held and may use the heap. Hooks that take `void **` may
 * replace the pointer. */
void rt_malloc_sethook(void (*hook)(void **ptr, rt_size_t size));
void rt_realloc_set_entry_hook(void (*hook)(void **ptr, rt_size_t size));
void rt_realloc_set_exit_hook(void (*hook)(void **ptr, rt_size_t size));
void rt_free_sethook(void (*hook)(void **ptr));

/* ---- Small memory: rf_smallmem ---- */

/* The figures are kept up to date by each call. */
struct rt_memory {
  struct rt_object parent;
  const char *algorithm;
  rt_ubase_t address;
  rt_size_t total; /* bytes of the heap, headers included */
  rt_size_t used;  /* requested by live blocks */
  rt_size_t max;
};
typedef struct rt_memory *rt_mem_t;
typedef rt_mem_t rt_smem_t;
typedef rt_mem_t rt_slab_t;

/* Makes a heap of the `size` bytes at `begin_addr`; its record is at their beginning. Made anew, it ends first. RT_NULL
 * where they are too few. */
rt_smem_t rt_smem_init(const char *name, void *begin_addr, rt_size_t size);

/* Ends it; blocks still live are gone. RT_EOK, -RT_EINVAL for what is no such heap. */
rt_err_t rt_smem_detach(rt_smem_t m);

/* As rt_malloc, rt_realloc and rt_free, on that heap; rt_smem_free finds the heap itself. */
void *rt_smem_alloc(rt_smem_t m, rt_size_t size);
void *rt_smem_realloc(rt_smem_t m, void *rmem, rt_size_t newsize);
void rt_smem_free(void *rmem);

/* ---- Slabs: rf_slab ---- */

/* Makes a heap of the `size` bytes at `begin_addr`, with pages of RT_MM_PAGE_SIZE; its record is at their beginning.
 * Made anew, it ends first. RT_NULL where they are too few. */
rt_slab_t rt_slab_init(const char *name, void *begin_addr, rt_size_t size);

/* Ends it; blocks still live are gone. RT_EOK, -RT_EINVAL for what is no such heap. */
rt_err_t rt_slab_detach(rt_slab_t m);

/* `npages` pages in a row, aligned to a page; RT_NULL where there are none, or for 0. They come from the heap itself,
 * not through what the wrap function put around it. */
void *rt_slab_page_alloc(rt_slab_t m, rt_size_t npages);

/* Gives `npages` pages from `addr` on back: what one rt_slab_page_alloc gave, or any part of it. RT_NULL does nothing;
 * what are no such pages are refused and reported. */
void rt_slab_page_free(rt_slab_t m, void *addr, rt_size_t npages);

/* As rt_malloc, rt_realloc and rt_free, on that heap. */
void *rt_slab_alloc(rt_slab_t m, rt_size_t size);
void *rt_slab_realloc(rt_slab_t m, void *ptr, rt_size_t size);
void rt_slab_free(rt_slab_t m, void *ptr);

#ifdef RT_USING_SLAB_AS_HEAP
/* Pages of the system heap. */
void *rt_page_alloc(rt_size_t npages);
void rt_page_free(void *addr, rt_size_t npages);
#endif

/* ---- memheap: rf_memheap ---- */

/* The caller's storage. The figures are kept up to date by each call. */
struct rt_memheap {
  struct rt_object parent;
  void *start_addr;
  rt_size_t pool_size;
  rt_size_t available_size; /* pool_size less what live blocks requested */
  rt_size_t max_used_size;
  /* Ours. */
  rf_memheap heap;
  rf_memheap_region region;
  rf_allocator *calls;
};

/* Makes a heap of the `size` bytes at `start_addr`, both the caller's until detach. With RT_USING_MEMHEAP_AS_HEAP
 * rt_malloc is served by the system heap first, then by these in the order in which they were made. RT_EOK, or
 * -RT_EINVAL for a null pointer or too few bytes. */
rt_err_t rt_memheap_init(struct rt_memheap *memheap, const char *name, void *start_addr, rt_size_t size);

/* Ends it; blocks still live are gone. RT_EOK, -RT_EINVAL for what is no such heap. */
rt_err_t rt_memheap_detach(struct rt_memheap *heap);

/* As rt_malloc (but 0 bytes are a block), rt_realloc and rt_free, on that heap only; rt_memheap_free finds the heap
 * itself. */
void *rt_memheap_alloc(struct rt_memheap *heap, rt_size_t size);
void *rt_memheap_realloc(struct rt_memheap *heap, void *ptr, rt_size_t newsize);
void rt_memheap_free(void *ptr);
void rt_memheap_info(struct rt_memheap *heap, rt_size_t *total, rt_size_t *used, rt_size_t *max_used);

/* ---- Memory pool: rf_mempool ---- */

/* The caller's storage. The counts are kept up to date by each call. */
struct rt_mempool {
  struct rt_object parent;
  void *start_address;
  rt_size_t size;
  rt_size_t block_size;
  rt_size_t block_total_count;
  rt_size_t block_free_count;
  /* Ours. */
  rf_mempool pool;
  rt_bool_t created;
};
typedef struct rt_mempool *rt_mp_t;

/* Makes a pool of as many blocks of `block_size` bytes, rounded up to RT_ALIGN_SIZE, as `size` bytes at `start` hold,
 * with a pointer each: size / (block_size + sizeof(rt_uint8_t *)) where `start` is aligned for pointers. RT_EOK;
 * -RT_EINVAL for a null pointer or a size of 0; -RT_ENOMEM where not one fits. */
rt_err_t rt_mp_init(struct rt_mempool *mp, const char *name, void *start, rt_size_t size, rt_size_t block_size);

/* Ends it; threads that wait get RT_NULL, with rt_get_errno() -RT_ERROR. RT_EOK, -RT_EINVAL for what is no such
 * pool. */
rt_err_t rt_mp_detach(struct rt_mempool *mp);

/* A pool with its memory from rt_malloc, RT_NULL where there is none; and its end. */
rt_mp_t rt_mp_create(const char *name, rt_size_t block_count, rt_size_t block_size);
rt_err_t rt_mp_delete(rt_mp_t mp);

/* A block, waiting for one up to `time` ticks (0: not at all, RT_WAITING_FOREVER). RT_NULL else, rt_get_errno() then
 * being -RT_ETIMEOUT, or -RT_ERROR where the pool ended meanwhile. Threads are served in order of arrival. */
void *rt_mp_alloc(rt_mp_t mp, rt_int32_t time);

/* Gives a block of any pool back, and wakes a thread that waits for one. RT_NULL does nothing; what is not a live block
 * is refused and reported. */
void rt_mp_free(void *block);

/* alloc: after success; free: before a live block is given back. No lock is held. */
void rt_mp_alloc_sethook(void (*hook)(struct rt_mempool *mp, void *block));
void rt_mp_free_sethook(void (*hook)(struct rt_mempool *mp, void *block));

/* ---- Looking: the shell's commands as functions that print on the console. argv[1], where there is one, names one
 * heap. ---- */

/* Checks small-memory heaps and slabs, and memheaps: 0, or -RT_ERROR where one is damaged, which is printed. */
int memcheck(int argc, char **argv);
int memheapcheck(int argc, char **argv);

/* Prints their figures, and each block with its size and who asked for it; "***" marks where damage begins. 0. */
int memtrace(int argc, char **argv);
int memheaptrace(int argc, char **argv);

/* Figures of the system heap, of each memheap, of each pool. 0. */
void list_mem(void);
long list_memheap(void);
long list_mempool(void);

/* ---- Objects ---- */

/* The object of that class and name; RT_NULL where there is none. */
rt_object_t rt_object_find(const char *name, rt_uint8_t type);
rt_uint8_t rt_object_get_type(rt_object_t object);

/* The list of a class's objects, to be gone through while none is made or ended; RT_NULL for a class there are none
 * of. */
struct rt_object_information *rt_object_get_information(enum rt_object_class_type type);

/* ---- Services that such code uses ---- */

/* printf to the console: d i u x X o b p c s %, with flags 0 - + # and a blank, width and precision (numbers or *), and
 * hh h l ll L z. Others are printed as they stand, those of floating point as well, which take their argument. The
 * bytes written. Formats are checked in the library alone: code for RT-Thread relies on their not being. */
#ifdef RINGFENCE_RTTHREAD_IMPL
__attribute__((format(printf, 1, 2)))
#endif
int rt_kprintf(const char *fmt, ...);
void rt_kputs(const char *str);

/* The same into `size` bytes at `buf`, the last of which is 0; what does not fit is left out. The bytes that it would
 * have been. */
int rt_vsnprintf(char *buf, rt_size_t size, const char *fmt, va_list args);
int rt_snprintf(char *buf, rt_size_t size, const char *fmt, ...);
int rt_vsprintf(char *buf, const char *fmt, va_list args);
int rt_sprintf(char *buf, const char *fmt, ...);

/* Ticks of 1 / RT_TICK_PER_SECOND s since some start, and milliseconds. */
rt_tick_t rt_tick_get(void);
rt_tick_t rt_tick_get_millisecond(void);
/* As many ticks, rounded up; of a negative number RT_WAITING_FOREVER. */
rt_tick_t rt_tick_from_millisecond(rt_int32_t ms);

/* The calling thread's last error; in firmware, without thread variables, that of all. */
rt_err_t rt_get_errno(void);
void rt_set_errno(rt_err_t error);

#define RT_ASSERT(EX)                                                                                                  \
  do {                                                                                                                 \
    if (!(EX)) {                                                                                                       \
      rt_assert_handler(#EX, __func__, __LINE__);                                                                      \
    }                                                                                                                  \
  } while (0)
/* Calls the hook, or prints the condition and stops the program. */
void rt_assert_handler(const char *ex, const char *func, rt_size_t line);
void rt_assert_set_hook(void (*hook)(const char *ex, const char *func, rt_size_t line));

#define rt_memset memset
#define rt_memcpy memcpy
#define rt_memmove memmove
#define rt_memcmp memcmp
#define rt_strlen strlen
#define rt_strcmp strcmp
#define rt_strncmp strncmp
#define rt_strcpy strcpy
#define rt_strncpy strncpy
#define rt_strstr strstr

/* The length of `s`, `maxlen` at most. */
rt_inline rt_size_t rt_strnlen(const char *s, rt_ubase_t maxlen) {
  rt_size_t length = 0;
  while (length < maxlen && s[length] != '\0') {
    length++;
  }
  return length;
}

/* As strcmp, letters of ASCII being equal to their capitals. */
rt_inline rt_int32_t rt_strcasecmp(const char *a, const char *b) {
  for (;; a++, b++) {
    rt_int32_t const left = *a >= 'A' && *a <= 'Z' ? *a + ('a' - 'A') : *a;
    rt_int32_t const right = *b >= 'A' && *b <= 'Z' ? *b + ('a' - 'A') : *b;
    if (left != right || left == 0) {
      return left - right;
    }
  }
}

/* ---- Additions ---- */

/* Called with each small-memory heap, slab and memheap as it is made, the system heap included, by its name: the answer
 * is what all calls to it go to, the heap itself or a checker around it (rf_deinit of which ends both). Set before the
 * heaps are made;
 * NULL: none. */
typedef rf_allocator *(*rf_rt_wrap_fn)(rf_allocator *heap, const char *name, void *context);
void rf_rt_wrap_set(rf_rt_wrap_fn wrap, void *context);

/* Sets the console: a sink, which stays the caller's, or NULL for the port's log. */
void rf_rt_console_set(const rf_sink *sink);

/* Names the calling thread in memtrace, by the first 4 or 8 letters (one word). Default: # and its number. Without an
 * operating system's thread variables, as in firmware, the name is that of all threads, until it is NULL again. */
void rf_rt_thread_name(const char *name);

/* The same functions with the call site as an argument. */
void *rf_rt_malloc_at(rt_size_t size, const rf_site *site);
void *rf_rt_realloc_at(void *ptr, rt_size_t newsize, const rf_site *site);
void *rf_rt_calloc_at(rt_size_t count, rt_size_t size, const rf_site *site);
void *rf_rt_malloc_align_at(rt_size_t size, rt_size_t align, const rf_site *site);
void rf_rt_free_at(void *ptr, const rf_site *site);
char *rf_rt_strdup_at(const char *s, const rf_site *site);
void *rf_rt_smem_alloc_at(rt_smem_t m, rt_size_t size, const rf_site *site);
void *rf_rt_smem_realloc_at(rt_smem_t m, void *rmem, rt_size_t newsize, const rf_site *site);
void rf_rt_smem_free_at(void *rmem, const rf_site *site);
void *rf_rt_slab_alloc_at(rt_slab_t m, rt_size_t size, const rf_site *site);
void *rf_rt_slab_realloc_at(rt_slab_t m, void *ptr, rt_size_t size, const rf_site *site);
void rf_rt_slab_free_at(rt_slab_t m, void *ptr, const rf_site *site);
void *rf_rt_memheap_alloc_at(struct rt_memheap *heap, rt_size_t size, const rf_site *site);
void *rf_rt_memheap_realloc_at(struct rt_memheap *heap, void *ptr, rt_size_t newsize, const rf_site *site);
void rf_rt_memheap_free_at(void *ptr, const rf_site *site);
void rf_rt_mp_free_at(void *block, const rf_site *site);

/* Signatures of older versions. */
void rf_rt_memory_info32(rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used);
void rf_rt_memheap_info32(struct rt_memheap *heap, rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used);
void rf_rt_malloc_sethook4(void (*hook)(void *ptr, rt_size_t size));
void rf_rt_free_sethook4(void (*hook)(void *ptr));

#ifdef __cplusplus
}

inline void rt_memory_info(rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rf_rt_memory_info32(total, used, max_used);
}
inline void rt_memheap_info(struct rt_memheap *heap, rt_uint32_t *total, rt_uint32_t *used, rt_uint32_t *max_used) {
  rf_rt_memheap_info32(heap, total, used, max_used);
}
inline void rt_malloc_sethook(void (*hook)(void *ptr, rt_size_t size)) {
  rf_rt_malloc_sethook4(hook);
}
inline void rt_free_sethook(void (*hook)(void *ptr)) {
  rf_rt_free_sethook4(hook);
}
/* RT_NULL, which fits either. */
inline void rt_malloc_sethook(int) {
  rf_rt_malloc_sethook4(nullptr);
}
inline void rt_free_sethook(int) {
  rf_rt_free_sethook4(nullptr);
}
#elif !defined(RINGFENCE_RTTHREAD_IMPL)

#define rf_rt_info_for(p, otherwise, narrow) _Generic((p), rt_uint32_t * : (narrow), default : (otherwise))
#define rt_memory_info(total, used, max_used)                                                                          \
  (__extension__ rf_rt_info_for(                                                                                       \
      total, rf_rt_info_for(used, rf_rt_info_for(max_used, rt_memory_info, rf_rt_memory_info32), rf_rt_memory_info32), \
      rf_rt_memory_info32)((total), (used), (max_used)))
#define rt_memheap_info(heap, total, used, max_used)                                                                   \
  (__extension__ rf_rt_info_for(                                                                                       \
      total,                                                                                                           \
      rf_rt_info_for(used, rf_rt_info_for(max_used, rt_memheap_info, rf_rt_memheap_info32), rf_rt_memheap_info32),     \
      rf_rt_memheap_info32)((heap), (total), (used), (max_used)))
#define rt_malloc_sethook(hook)                                                                                        \
  (__extension__ _Generic((hook), void (*)(void *, rt_size_t)                                                          \
                          : rf_rt_malloc_sethook4, default                                                             \
                          : rt_malloc_sethook)(hook))
#define rt_free_sethook(hook)                                                                                          \
  (__extension__ _Generic((hook), void (*)(void *) : rf_rt_free_sethook4, default : rt_free_sethook)(hook))
#endif

#if RF_SITES && !defined(RINGFENCE_RTTHREAD_IMPL)
#define rt_malloc(size) rf_rt_malloc_at((size), RF_HERE)
#define rt_realloc(ptr, newsize) rf_rt_realloc_at((ptr), (newsize), RF_HERE)
#define rt_calloc(count, size) rf_rt_calloc_at((count), (size), RF_HERE)
#define rt_malloc_align(size, align) rf_rt_malloc_align_at((size), (align), RF_HERE)
#define rt_free(ptr) rf_rt_free_at((ptr), RF_HERE)
#define rt_free_align(ptr) rf_rt_free_at((ptr), RF_HERE)
#define rt_strdup(s) rf_rt_strdup_at((s), RF_HERE)
#define rt_smem_alloc(m, size) rf_rt_smem_alloc_at((m), (size), RF_HERE)
#define rt_smem_realloc(m, rmem, newsize) rf_rt_smem_realloc_at((m), (rmem), (newsize), RF_HERE)
#define rt_smem_free(rmem) rf_rt_smem_free_at((rmem), RF_HERE)
#define rt_slab_alloc(m, size) rf_rt_slab_alloc_at((m), (size), RF_HERE)
#define rt_slab_realloc(m, ptr, size) rf_rt_slab_realloc_at((m), (ptr), (size), RF_HERE)
#define rt_slab_free(m, ptr) rf_rt_slab_free_at((m), (ptr), RF_HERE)
#define rt_memheap_alloc(heap, size) rf_rt_memheap_alloc_at((heap), (size), RF_HERE)
#define rt_memheap_realloc(heap, ptr, newsize) rf_rt_memheap_realloc_at((heap), (ptr), (newsize), RF_HERE)
#define rt_memheap_free(ptr) rf_rt_memheap_free_at((ptr), RF_HERE)
#define rt_mp_free(block) rf_rt_mp_free_at((block), RF_HERE)
#endif

#endif /* RINGFENCE_RTTHREAD_H */
