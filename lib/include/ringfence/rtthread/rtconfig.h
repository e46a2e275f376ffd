/* The settings of an RT-Thread project's rtconfig.h that concern memory. The library was built with
 * these: they are not a program's to change, but for the choice between RT_USING_SMALL_MEM_AS_HEAP,
 * RT_USING_SLAB_AS_HEAP and RT_USING_MEMHEAP_AS_HEAP, which is that between the targets //lib/compat:rtthread,
 * :rtthread_slab and :rtthread_memheap. */
#ifndef RINGFENCE_RTTHREAD_RTCONFIG_H
#define RINGFENCE_RTTHREAD_RTCONFIG_H

#undef RT_NAME_MAX
#undef RT_ALIGN_SIZE
#undef RT_TICK_PER_SECOND

#define RT_NAME_MAX 24
#define RT_TICK_PER_SECOND 1000

/* Not on 64 bit, either: with it older tests of RT-Thread's look for a field in the headers of small memory that ours
 * do not have. */
#undef ARCH_CPU_64BIT

#if defined(__LP64__)
#define RT_ALIGN_SIZE 8
#else
#define RT_ALIGN_SIZE 4
#endif

#ifndef RT_USING_HEAP
#define RT_USING_HEAP
#endif
#ifndef RT_USING_SMALL_MEM
#define RT_USING_SMALL_MEM
#endif
#ifndef RT_USING_SLAB
#define RT_USING_SLAB
#endif
#ifndef RT_USING_MEMHEAP
#define RT_USING_MEMHEAP
#endif
#ifndef RT_USING_MEMPOOL
#define RT_USING_MEMPOOL
#endif
#ifndef RT_USING_MEMTRACE
#define RT_USING_MEMTRACE
#endif
#ifndef RT_USING_HOOK
#define RT_USING_HOOK
#endif
#ifndef RT_USING_CONSOLE
#define RT_USING_CONSOLE
#endif

#if !defined(RT_USING_MEMHEAP_AS_HEAP) && !defined(RT_USING_SLAB_AS_HEAP) && !defined(RT_USING_SMALL_MEM_AS_HEAP)
#define RT_USING_SMALL_MEM_AS_HEAP
#endif
#if defined(RT_USING_MEMHEAP_AS_HEAP) && !defined(RT_USING_MEMHEAP_AUTO_BINDING)
#define RT_USING_MEMHEAP_AUTO_BINDING
#endif

#endif /* RINGFENCE_RTTHREAD_RTCONFIG_H */
