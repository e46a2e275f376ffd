/* AWTK: as much of its basic types as code around its memory management names. With RF_AWTK_BESIDE defined, AWTK's own
 * "tkc/types_def.h" instead: the next one on the include path, for programs that have the rest of AWTK. */
#ifdef RF_AWTK_BESIDE
#include_next <tkc/types_def.h>
#elif !defined(RINGFENCE_AWTK_TKC_TYPES_DEF_H)
#define RINGFENCE_AWTK_TKC_TYPES_DEF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Headers that AWTK code expects from its platform, where there is a C library. */
#if __STDC_HOSTED__ && !defined(RINGFENCE_AWTK_IMPL)
#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <wchar.h>
#ifdef HAS_STDIO
#include <stdio.h>
#endif
#endif

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

#ifdef __cplusplus
typedef uint8_t bool_t;
#else
typedef _Bool bool_t;
#endif

typedef void *pointer_t;
typedef int32_t xy_t;
typedef int32_t wh_t;

typedef enum _ret_t {
  RET_OK = 0,
  RET_OOM,
  RET_FAIL,
  RET_NOT_IMPL,
  RET_QUIT,
  RET_FOUND,
  RET_BUSY,
  RET_REMOVE,
  RET_REPEAT,
  RET_NOT_FOUND,
  RET_DONE,
  RET_STOP,
  RET_SKIP,
  RET_CONTINUE,
  RET_OBJECT_CHANGED,
  RET_ITEMS_CHANGED,
  RET_BAD_PARAMS,
  RET_TIMEOUT,
  RET_CRC,
  RET_IO,
  RET_EOS,
  RET_NOT_MODIFIED,
  RET_NO_PERMISSION,
  RET_INVALID_ADDR,
  RET_EXCEED_RANGE,
  RET_MAX_NR
} ret_t;

typedef void *(*tk_create_t)(void);
typedef ret_t (*tk_destroy_t)(void *data);
typedef ret_t (*tk_on_done_t)(void *data);
typedef ret_t (*tk_on_result_t)(void *ctx, const void *data);
typedef ret_t (*tk_callback_t)(void *ctx);
typedef bool_t (*tk_is_valid_t)(void *data);
typedef bool_t (*tk_filter_t)(void *ctx, const void *data);
typedef uint32_t (*tk_hash_t)(const void *data);
typedef int (*tk_compare_t)(const void *a, const void *b);
typedef ret_t (*tk_visit_t)(void *ctx, const void *data);

enum { TK_NAME_LEN = 31, TK_FUNC_NAME_LEN = 63 };

#ifdef __cplusplus
#define BEGIN_C_DECLS extern "C" {
#define END_C_DECLS }
#else
#define BEGIN_C_DECLS
#define END_C_DECLS
#endif

#ifndef log_debug
#ifdef HAS_STDIO
#define log_debug(format, ...) printf(format, ##__VA_ARGS__)
#else
#define log_debug(format, ...) ((void)0)
#endif
#define log_info log_debug
#define log_warn log_debug
#define log_error log_debug
#endif

#ifndef ENSURE
#ifdef NDEBUG
#define ENSURE(p) (void)(p)
#else
#define ENSURE(p) assert(p)
#endif
#endif

/* As there: what failed is printed, but not with NDEBUG. */
#ifdef NDEBUG
#define rf_awtk_failed(p) ((void)0)
#else
#define rf_awtk_failed(p) log_warn("%s:%d %s\n", __func__, __LINE__, p)
#endif

#define log_if_fail(p)                                                                                                 \
  do {                                                                                                                 \
    if (!(p)) {                                                                                                        \
      rf_awtk_failed(#p);                                                                                              \
    }                                                                                                                  \
  } while (0)
#define return_if_fail(p)                                                                                              \
  do {                                                                                                                 \
    if (!(p)) {                                                                                                        \
      rf_awtk_failed(#p);                                                                                              \
      return;                                                                                                          \
    }                                                                                                                  \
  } while (0)
#define return_value_if_fail(p, value)                                                                                 \
  do {                                                                                                                 \
    if (!(p)) {                                                                                                        \
      rf_awtk_failed(#p);                                                                                              \
      return (value);                                                                                                  \
    }                                                                                                                  \
  } while (0)
#define return_value_if_equal(p, value)                                                                                \
  do {                                                                                                                 \
    if ((p) == (value)) {                                                                                              \
      return (value);                                                                                                  \
    }                                                                                                                  \
  } while (0)
#define return_ret_if_fail(p)                                                                                          \
  do {                                                                                                                 \
    ret_t const TK_CONCAT(rf_ret_, __LINE__) = (p);                                                                    \
    if (TK_CONCAT(rf_ret_, __LINE__) != RET_OK) {                                                                      \
      rf_awtk_failed(#p);                                                                                              \
      return TK_CONCAT(rf_ret_, __LINE__);                                                                             \
    }                                                                                                                  \
  } while (0)
#define goto_error_if_fail(p) goto_error_if_fail_ex(p, (void)0)
#define goto_error_if_fail_ex(p, sentence)                                                                             \
  do {                                                                                                                 \
    if (!(p)) {                                                                                                        \
      rf_awtk_failed(#p);                                                                                              \
      sentence;                                                                                                        \
      goto error;                                                                                                      \
    }                                                                                                                  \
  } while (0)
/* Not do, which they would break out of. */
#define break_if_fail(p) break_if_fail_ex(p, (void)0)
#define break_if_fail_ex(p, sentence)                                                                                  \
  {                                                                                                                    \
    if (!(p)) {                                                                                                        \
      rf_awtk_failed(#p);                                                                                              \
      sentence;                                                                                                        \
      break;                                                                                                           \
    }                                                                                                                  \
  }

#define TK_CONCAT(a, b) RF_AWTK_CONCAT_(a, b)
#define RF_AWTK_CONCAT_(a, b) a##b
#define TK_STRINGIZE(macro) RF_AWTK_STRINGIZE_(macro)
#define RF_AWTK_STRINGIZE_(symbol) #symbol
#define TK_STATIC_ASSERT(p) typedef char TK_CONCAT(rf_awtk_assert_, __LINE__)[(p) ? 1 : -1] TK_MAYBE_UNUSED
#define TK_MAYBE_UNUSED __attribute__((unused))
#define TK_WEAK __attribute__((weak))
#ifndef MAX_PATH
#define MAX_PATH 255
#endif

#define tk_min(a, b) ((a) < (b) ? (a) : (b))
#define tk_max(a, b) ((a) > (b) ? (a) : (b))
#define tk_abs(a) ((a) < 0 ? -(a) : (a))
#define tk_clampi(a, mn, mx) ((a) < (mn) ? (mn) : ((a) > (mx) ? (mx) : (a)))
#define tk_clamp(a, mn, mx) ((a) < (mn) ? (mn) : ((a) > (mx) ? (mx) : (a)))
#define tk_roundi(a) ((int32_t)((a) >= 0 ? (a) + 0.5F : (a)-0.5F))
#define tk_swap(a, b, type)                                                                                            \
  do {                                                                                                                 \
    type TK_CONCAT(rf_was_, __LINE__) = (a);                                                                           \
    (a) = (b);                                                                                                         \
    (b) = TK_CONCAT(rf_was_, __LINE__);                                                                                \
  } while (0)
#define tk_str_eq(s1, s2) rf_awtk_str_eq((s1), (s2))

/* Two NULLs are equal. */
static inline bool_t rf_awtk_str_eq(const char *s1, const char *s2) {
  return s1 == NULL || s2 == NULL ? s1 == s2 : strcmp(s1, s2) == 0;
}

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

#define TK_ROUND_TO(size, round_size) ((((size) + (round_size)-1) / (round_size)) * (round_size))
#define TK_ROUND_TO_MACH(size) TK_ROUND_TO(size, sizeof(void *))
#define TK_UINT32_MAX 0xffffffff

#endif /* RINGFENCE_AWTK_TKC_TYPES_DEF_H */
