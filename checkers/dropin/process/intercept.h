/* Names of intercepted functions. The library stands in for the C library's; a program that is linked with the drop-in
 * has the linker put ours in their place (--wrap), which works without dynamic linking too. */
#ifndef RINGFENCE_DROPIN_INTERCEPT_H
#define RINGFENCE_DROPIN_INTERCEPT_H

#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/real.h"
#include "lib/core/compiler.h"

#if RF_DROPIN_LIBRARY
#define OURS(name) name
#define THEIRS(name) ((__typeof__(&(name)))rf_real(#name))
#define DECLARE_LINKED(name)
#else
#define OURS(name) __wrap_##name
#define THEIRS(name) __real_##name
#define DECLARE_LINKED(name)                                                                                           \
  __typeof__(name) __real_##name;                                                                                      \
  __typeof__(name) __wrap_##name;
#endif

/* For each name of a list: its member of a struct, and what the member of `theirs` is set to. */
#define DECLARE(name) __typeof__(&(name)) name;
#define FIND(name) theirs.name = THEIRS(name);

/* `theirs`, the functions behind those of the source's list EACH, and the function `init` that finds them at the
 * beginning: in a child of fork, the loader may be locked by a thread that is not there. find_theirs is for calls that
 * the program may make before, from .preinit_array, where another library is the one that the loader begins with
 * (glibc's threads before 2.34). `first` is one of the list. */
#define THEIRS_BY(init, first)                                                                                         \
  static struct { EACH(DECLARE) } theirs;                                                                              \
  void init(void) {                                                                                                    \
    EACH(FIND)                                                                                                         \
  }                                                                                                                    \
  static void find_theirs(void) {                                                                                      \
    if (RF_UNLIKELY(theirs.first == NULL)) {                                                                           \
      init();                                                                                                          \
    }                                                                                                                  \
  }

#endif /* RINGFENCE_DROPIN_INTERCEPT_H */
