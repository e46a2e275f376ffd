/* RT-Thread's basic types, error codes and macros, as far as code that uses its memory management needs them. */
#ifndef RINGFENCE_RTTHREAD_RTDEF_H
#define RINGFENCE_RTTHREAD_RTDEF_H

#include <ringfence/rtthread/rtconfig.h>
#include <stdarg.h>
#include <stddef.h>

/* ---- Version: the API is that of 5.0, and what 3.x and 4.x had otherwise compiles too ---- */

#define RT_VERSION_MAJOR 5
#define RT_VERSION_MINOR 0
#define RT_VERSION_PATCH 0
#define RT_VERSION 5L
#define RT_SUBVERSION 0L
#define RT_REVISION 0L
#define RT_VERSION_CHECK(major, minor, revise) ((major)*10000 + (minor)*100 + (revise))
#define RTTHREAD_VERSION RT_VERSION_CHECK(RT_VERSION_MAJOR, RT_VERSION_MINOR, RT_VERSION_PATCH)

/* ---- Types ---- */

typedef signed char rt_int8_t;
typedef signed short rt_int16_t;
typedef signed int rt_int32_t;
typedef unsigned char rt_uint8_t;
typedef unsigned short rt_uint16_t;
typedef unsigned int rt_uint32_t;
#ifdef __LP64__
typedef signed long rt_int64_t;
typedef unsigned long rt_uint64_t;
#else
typedef signed long long rt_int64_t;
typedef unsigned long long rt_uint64_t;
#endif

typedef int rt_bool_t;
typedef long rt_base_t;
typedef unsigned long rt_ubase_t;
typedef rt_base_t rt_err_t;
typedef rt_uint32_t rt_time_t;
typedef rt_uint32_t rt_tick_t;
typedef rt_base_t rt_flag_t;
typedef rt_ubase_t rt_size_t;
typedef rt_base_t rt_ssize_t;
typedef rt_ubase_t rt_dev_t;
typedef rt_base_t rt_off_t;
typedef rt_base_t rt_intptr_t;
typedef rt_ubase_t rt_uintptr_t;

#define RT_TRUE 1
#define RT_FALSE 0
#define RT_NULL 0

#define RT_UINT8_MAX 0xFF
#define RT_UINT16_MAX 0xFFFF
#define RT_UINT32_MAX 0xFFFFFFFF
#define RT_TICK_MAX RT_UINT32_MAX

/* ---- Error codes: functions return them negative ---- */

#define RT_EOK 0
#define RT_ERROR 1
#define RT_ETIMEOUT 2
#define RT_EFULL 3
#define RT_EEMPTY 4
#define RT_ENOMEM 5
#define RT_ENOSYS 6
#define RT_EBUSY 7
#define RT_EIO 8
#define RT_EINTR 9
#define RT_EINVAL 10
#define RT_ENOENT 11
#define RT_ENOSPC 12
#define RT_EPERM 13
#define RT_ETRAP 14
#define RT_EFAULT 15

#define RT_WAITING_FOREVER (-1)
#define RT_WAITING_NO 0

/* ---- Macros ---- */

#define RT_ALIGN(size, align) (((size) + (align)-1) & ~((align)-1))
#define RT_ALIGN_UP(size, align) RT_ALIGN(size, align)
#define RT_ALIGN_DOWN(size, align) ((size) & ~((align)-1))
#define RT_IS_ALIGN(addr, align) ((!((addr) & ((align)-1))) && ((addr) != RT_NULL))

#define RT_MM_PAGE_SIZE 4096
#define RT_MM_PAGE_MASK (RT_MM_PAGE_SIZE - 1)
#define RT_MM_PAGE_BITS 12

#ifndef RT_KERNEL_MALLOC
#define RT_KERNEL_MALLOC(sz) rt_malloc(sz)
#endif
#ifndef RT_KERNEL_FREE
#define RT_KERNEL_FREE(ptr) rt_free(ptr)
#endif
#ifndef RT_KERNEL_REALLOC
#define RT_KERNEL_REALLOC(ptr, size) rt_realloc(ptr, size)
#endif

#define RT_UNUSED(x) ((void)(x))

/* ---- The compiler's attributes, by their names in 5.0 and in 4.x ---- */

#define rt_inline static __inline
#define rt_always_inline static inline __attribute__((always_inline))
#define rt_noreturn __attribute__((noreturn))
#define rt_used __attribute__((used))
#define rt_weak __attribute__((weak))
#define rt_section(x) __attribute__((section(x)))
#define rt_align(n) __attribute__((aligned(n)))
#define rt_packed(declare) declare __attribute__((packed))
#define rt_typeof __typeof__
#define RT_USED rt_used
#define RT_WEAK rt_weak
#define RT_SECTION(x) rt_section(x)
#ifndef SECTION
#define SECTION(x) rt_section(x)
#endif
#ifndef ALIGN
#define ALIGN(n) rt_align(n)
#endif
#define RTT_API

/* There is no shell and no start-up sequence: these stand for nothing, as in RT-Thread without FinSH. */
#define FINSH_FUNCTION_EXPORT(name, desc)
#define FINSH_FUNCTION_EXPORT_ALIAS(name, alias, desc)
#define MSH_CMD_EXPORT(command, desc)
#define MSH_CMD_EXPORT_ALIAS(command, alias, desc)
#define INIT_EXPORT(fn, level)
#define FINSH_VAR_EXPORT(name, type, desc)
#define INIT_BOARD_EXPORT(fn)
#define INIT_PREV_EXPORT(fn)
#define INIT_DEVICE_EXPORT(fn)
#define INIT_COMPONENT_EXPORT(fn)
#define INIT_ENV_EXPORT(fn)
#define INIT_APP_EXPORT(fn)
#define RTM_EXPORT(symbol)

/* ---- Lists and objects ---- */

struct rt_list_node {
  struct rt_list_node *next;
  struct rt_list_node *prev;
};
typedef struct rt_list_node rt_list_t;

struct rt_slist_node {
  struct rt_slist_node *next;
};
typedef struct rt_slist_node rt_slist_t;

/* The classes that there are objects of. */
enum rt_object_class_type {
  RT_Object_Class_Null = 0x00,
  RT_Object_Class_MemHeap = 0x07,
  RT_Object_Class_MemPool = 0x08,
  RT_Object_Class_Memory = 0x0c,
  RT_Object_Class_Unknown = 0x11,
  RT_Object_Class_Static = 0x80
};

struct rt_object {
  char name[RT_NAME_MAX];
  rt_uint8_t type;
  rt_uint8_t flag;
  rt_list_t list;
};
typedef struct rt_object *rt_object_t;

struct rt_object_information {
  enum rt_object_class_type type;
  rt_list_t object_list;
  rt_size_t object_size;
};

#endif /* RINGFENCE_RTTHREAD_RTDEF_H */
