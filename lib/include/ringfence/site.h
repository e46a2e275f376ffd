/* Call sites: where in the program an allocator was called.
 *
 * A site is one static record per call, so carrying it costs one pointer. Code that is built with RF_SITES=1 (what
 * //checkers gives its users in every mode but off) makes the records; otherwise RF_HERE is a null constant and the
 * record does not exist. Both kinds of code may call the same allocator: the interface is the same in both.
 *
 * In C the record is a constant. In C++ calls may stand outside of functions as well (initialisers, default members,
 * default arguments), so the record comes from a lambda, and its function's name is set when the call is first made:
 * "(no function)" where there is none, and in a process that has not made the call. That is not for operands which are
 * not evaluated (decltype, sizeof, noexcept) before C++20. Where RF_SITES_CONSTANT is 1 records are constants in C++,
 * too, and calls stand in functions: so on targets without an operating system, where they lie in flash, and
 * guard_small's host reads them from the image.
 */
#ifndef RINGFENCE_SITE_H
#define RINGFENCE_SITE_H

#include <ringfence/system.h>
#include <stddef.h>

typedef struct rf_site {
  const char *file;
  const char *function;
  unsigned line;
} rf_site;

#ifndef RF_SITES
#define RF_SITES 0
#endif

#ifndef RF_SITES_CONSTANT
#if defined(__cplusplus) && __cplusplus >= 201103L && RF_HAS_SYSTEM
#define RF_SITES_CONSTANT 0
#else
#define RF_SITES_CONSTANT 1
#endif
#endif

/* NULL, as C++ has it: clang++ -Wzero-as-null-pointer-constant warns of the macro in whichever file uses these headers.
 */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define RF_NULL nullptr
#else
#define RF_NULL NULL
#endif

#if RF_SITES && RF_SITES_CONSTANT
#define RF_HERE                                                                                                        \
  __extension__({                                                                                                      \
    static const rf_site rf_site_here_ = {__FILE__, __func__, __LINE__};                                               \
    &rf_site_here_;                                                                                                    \
  })
#elif RF_SITES
extern "C++" {
/* The site of a lambda, with the name of the function that evaluates this call in place of "(no function)". For
 * threads. */
static inline const rf_site *rf_site_in_(rf_site *site, const char *function = __builtin_FUNCTION()) {
  if (*__atomic_load_n(&site->function, __ATOMIC_RELAXED) == '(' && *function != '\0') {
    __atomic_store_n(&site->function, function, __ATOMIC_RELAXED);
  }
  return site;
}
}
#define RF_HERE                                                                                                        \
  rf_site_in_([]() -> rf_site * {                                                                                      \
    static rf_site rf_site_here_ = {__FILE__, "(no function)", __LINE__};                                              \
    return &rf_site_here_;                                                                                             \
  }())
#elif defined(__cplusplus)
#define RF_HERE static_cast<const rf_site *>(RF_NULL)
#else
#define RF_HERE ((const rf_site *)NULL)
#endif

#endif /* RINGFENCE_SITE_H */
