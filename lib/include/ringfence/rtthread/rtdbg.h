/* RT-Thread's debug log, by rt_kprintf: lines of a section (DBG_TAG) up to a level (DBG_LVL), both defined before this
 * header, which a program includes in its sources only. Printed as in a build with RT_DEBUG, that is always. */
#ifndef RINGFENCE_RTTHREAD_RTDBG_H
#define RINGFENCE_RTTHREAD_RTDBG_H

#include <ringfence/rtthread.h>

#define DBG_ERROR 0
#define DBG_WARNING 1
#define DBG_INFO 2
#define DBG_LOG 3

#ifdef DBG_TAG
#define DBG_SECTION_NAME DBG_TAG
#elif !defined(DBG_SECTION_NAME)
#define DBG_SECTION_NAME "DBG"
#endif

#ifdef DBG_LVL
#define DBG_LEVEL DBG_LVL
#elif !defined(DBG_LEVEL)
#define DBG_LEVEL DBG_WARNING
#endif

/* Like LOG_D and its kin, but that the line ends where the format says. */
#define dbg_log(level, ...)                                                                                            \
  ((level) <= DBG_LEVEL ? (void)(rt_kprintf("[%c/" DBG_SECTION_NAME "] ", "EWID"[(level)&3]), rt_kprintf(__VA_ARGS__)) \
                        : (void)0)
#define dbg_enter RF_RT_PLACE_("enter")
#define dbg_exit RF_RT_PLACE_("exit")
#define dbg_here RF_RT_PLACE_("here")
#define dbg_raw(...) ((void)rt_kprintf(__VA_ARGS__))

/* The format must be a literal. */
#define LOG_D(...) RF_RT_LOG_(DBG_LOG, "D", __VA_ARGS__)
#define LOG_I(...) RF_RT_LOG_(DBG_INFO, "I", __VA_ARGS__)
#define LOG_W(...) RF_RT_LOG_(DBG_WARNING, "W", __VA_ARGS__)
#define LOG_E(...) RF_RT_LOG_(DBG_ERROR, "E", __VA_ARGS__)
#define LOG_RAW(...) ((void)rt_kprintf(__VA_ARGS__))
#define LOG_HEX(name, width, buf, size) RT_UNUSED(buf)

/* ---- Parts of the macros above ---- */

#define RF_RT_PLACE_(what)                                                                                             \
  (DBG_LOG <= DBG_LEVEL ? (void)rt_kprintf("[" DBG_SECTION_NAME "] " what " %s:%d\n", __func__, __LINE__) : (void)0)

#define RF_RT_LOG_(level, letter, ...)                                                                                 \
  ((level) <= DBG_LEVEL                                                                                                \
       ? (void)(rt_kprintf("[" letter "/" DBG_SECTION_NAME "] "), rt_kprintf(__VA_ARGS__), rt_kprintf("\n"))           \
       : (void)0)

#endif /* RINGFENCE_RTTHREAD_RTDBG_H */
