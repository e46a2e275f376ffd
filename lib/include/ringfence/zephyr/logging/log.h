/* Zephyr: logging, as lines on the console by printk. LOG_MODULE_REGISTER names the module and the level up to which
 * its lines are printed (default LOG_LEVEL_INF). */
#ifndef RINGFENCE_ZEPHYR_LOGGING_LOG_H
#define RINGFENCE_ZEPHYR_LOGGING_LOG_H

#include <ringfence/zephyr/sys/printk.h>
#include <ringfence/zephyr/sys/util.h>

#define LOG_LEVEL_NONE 0U
#define LOG_LEVEL_ERR 1U
#define LOG_LEVEL_WRN 2U
#define LOG_LEVEL_INF 3U
#define LOG_LEVEL_DBG 4U

/* In one source of a module, and in its others. The level may be left out. */
#define LOG_MODULE_REGISTER(...) RF_ZEPHYR_LOG_MODULE_(__VA_ARGS__, LOG_LEVEL_INF, 0)
#define LOG_MODULE_DECLARE(...) LOG_MODULE_REGISTER(__VA_ARGS__)

#define LOG_ERR(...) RF_ZEPHYR_LOG_(LOG_LEVEL_ERR, "err", __VA_ARGS__)
#define LOG_WRN(...) RF_ZEPHYR_LOG_(LOG_LEVEL_WRN, "wrn", __VA_ARGS__)
#define LOG_INF(...) RF_ZEPHYR_LOG_(LOG_LEVEL_INF, "inf", __VA_ARGS__)
#define LOG_DBG(...) RF_ZEPHYR_LOG_(LOG_LEVEL_DBG, "dbg", __VA_ARGS__)

/* The first time that this line is come to. */
#define LOG_WRN_ONCE(...)                                                                                              \
  do {                                                                                                                 \
    static char rf_zephyr_said;                                                                                        \
    if (__atomic_load_n(&rf_zephyr_said, __ATOMIC_RELAXED) == 0) {                                                     \
      __atomic_store_n(&rf_zephyr_said, 1, __ATOMIC_RELAXED);                                                          \
      LOG_WRN(__VA_ARGS__);                                                                                            \
    }                                                                                                                  \
  } while (0)

/* The text alone; the bytes are not printed. */
#define LOG_HEXDUMP_ERR(data, length, text)                                                                            \
  RF_ZEPHYR_LOG_(LOG_LEVEL_ERR, "err", "%s: %u bytes", text, (unsigned)(length))
#define LOG_HEXDUMP_WRN(data, length, text)                                                                            \
  RF_ZEPHYR_LOG_(LOG_LEVEL_WRN, "wrn", "%s: %u bytes", text, (unsigned)(length))
#define LOG_HEXDUMP_INF(data, length, text)                                                                            \
  RF_ZEPHYR_LOG_(LOG_LEVEL_INF, "inf", "%s: %u bytes", text, (unsigned)(length))
#define LOG_HEXDUMP_DBG(data, length, text)                                                                            \
  RF_ZEPHYR_LOG_(LOG_LEVEL_DBG, "dbg", "%s: %u bytes", text, (unsigned)(length))

/* ---- Parts of the macros above ---- */

#define RF_ZEPHYR_LOG_MODULE_(name, level, ...)                                                                        \
  static const char *const rf_zephyr_log_name __unused = #name;                                                        \
  static const unsigned rf_zephyr_log_level __unused = (level)

#ifdef printk
#define RF_ZEPHYR_LOG_(level, word, ...)                                                                               \
  do {                                                                                                                 \
    if ((level) <= rf_zephyr_log_level) {                                                                              \
      (void)printk("<" word "> %s: ", rf_zephyr_log_name);                                                             \
      (void)printk(__VA_ARGS__);                                                                                       \
      (void)printk("\n");                                                                                              \
    }                                                                                                                  \
  } while (0)
#else
#define RF_ZEPHYR_LOG_(level, word, ...)                                                                               \
  do {                                                                                                                 \
  } while (0)
#endif

#endif /* RINGFENCE_ZEPHYR_LOGGING_LOG_H */
