/* C++'s operator new and delete, all forms, by their mangled names: the library needs no C++ runtime, and uses the one
 * of the program where there is one (to throw std::bad_alloc, for the new handler).
 *
 * A program may replace any of these, and the others must then go by way of the replacement ([new.delete]): new[] calls
 * new, sized delete calls delete, and so on. Ours are weak and look who has the base form. If new or delete is
 * replaced, mismatches cannot be told any more (the replacement may well be malloc) and are not looked for.
 */
#define _GNU_SOURCE
#include "checkers/dropin/os/export.h"
#include "checkers/dropin/os/libc.h"
#include "checkers/dropin/os/module.h"
#include "checkers/dropin/os/real.h"
#include "forward.h"
#include "malloc_impl.h"
#include "reject.h"
#include "short_way.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/compiler.h"

#if __SIZEOF_SIZE_T__ == 8
#define SIZED(before, after) before##m##after
#else
#define SIZED(before, after) before##j##after
#endif
#define STRING_(x) #x
#define STRING(x) STRING_(x)

#define NEW SIZED(_Znw, )
#define NEW_ARRAY SIZED(_Zna, )
#define NEW_NOTHROW SIZED(_Znw, RKSt9nothrow_t)
#define NEW_ARRAY_NOTHROW SIZED(_Zna, RKSt9nothrow_t)
#define NEW_ALIGNED SIZED(_Znw, St11align_val_t)
#define NEW_ARRAY_ALIGNED SIZED(_Zna, St11align_val_t)
#define NEW_ALIGNED_NOTHROW SIZED(_Znw, St11align_val_tRKSt9nothrow_t)
#define NEW_ARRAY_ALIGNED_NOTHROW SIZED(_Zna, St11align_val_tRKSt9nothrow_t)
#define DELETE _ZdlPv
#define DELETE_ARRAY _ZdaPv
#define DELETE_SIZED SIZED(_ZdlPv, )
#define DELETE_ARRAY_SIZED SIZED(_ZdaPv, )
#define DELETE_NOTHROW _ZdlPvRKSt9nothrow_t
#define DELETE_ARRAY_NOTHROW _ZdaPvRKSt9nothrow_t
#define DELETE_ALIGNED _ZdlPvSt11align_val_t
#define DELETE_ARRAY_ALIGNED _ZdaPvSt11align_val_t
#define DELETE_SIZED_ALIGNED SIZED(_ZdlPv, St11align_val_t)
#define DELETE_ARRAY_SIZED_ALIGNED SIZED(_ZdaPv, St11align_val_t)
#define DELETE_ALIGNED_NOTHROW _ZdlPvSt11align_val_tRKSt9nothrow_t
#define DELETE_ARRAY_ALIGNED_NOTHROW _ZdaPvSt11align_val_tRKSt9nothrow_t

#define OPERATOR RF_EXPORT __attribute__((weak))

/* A const std::nothrow_t &. */
typedef const void *nothrow;

OPERATOR void *NEW(size_t size);
OPERATOR void *NEW_ARRAY(size_t size);
OPERATOR void *NEW_NOTHROW(size_t size, nothrow tag);
OPERATOR void *NEW_ARRAY_NOTHROW(size_t size, nothrow tag);
OPERATOR void *NEW_ALIGNED(size_t size, size_t align);
OPERATOR void *NEW_ARRAY_ALIGNED(size_t size, size_t align);
OPERATOR void *NEW_ALIGNED_NOTHROW(size_t size, size_t align, nothrow tag);
OPERATOR void *NEW_ARRAY_ALIGNED_NOTHROW(size_t size, size_t align, nothrow tag);
OPERATOR void DELETE(void *ptr);
OPERATOR void DELETE_ARRAY(void *ptr);
OPERATOR void DELETE_SIZED(void *ptr, size_t size);
OPERATOR void DELETE_ARRAY_SIZED(void *ptr, size_t size);
OPERATOR void DELETE_NOTHROW(void *ptr, nothrow tag);
OPERATOR void DELETE_ARRAY_NOTHROW(void *ptr, nothrow tag);
OPERATOR void DELETE_ALIGNED(void *ptr, size_t align);
OPERATOR void DELETE_ARRAY_ALIGNED(void *ptr, size_t align);
OPERATOR void DELETE_SIZED_ALIGNED(void *ptr, size_t size, size_t align);
OPERATOR void DELETE_ARRAY_SIZED_ALIGNED(void *ptr, size_t size, size_t align);
OPERATOR void DELETE_ALIGNED_NOTHROW(void *ptr, size_t align, nothrow tag);
OPERATOR void DELETE_ARRAY_ALIGNED_NOTHROW(void *ptr, size_t align, nothrow tag);

/* The C++ runtime's, where there is one. */
typedef void (*new_handler)(void);
extern new_handler get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak, noreturn));
extern void *allocate_exception(size_t size) __asm__("__cxa_allocate_exception") __attribute__((weak));
extern void throw(void *exception, const void *type, void (*destroy)(void *)) __asm__("__cxa_throw")
    __attribute__((weak, noreturn));
extern const char bad_alloc_type[] __asm__("_ZTISt9bad_alloc") __attribute__((weak));
extern const void *const bad_alloc_table[] __asm__("_ZTVSt9bad_alloc") __attribute__((weak));
extern void destroy_bad_alloc(void *exception) __asm__("_ZNSt9bad_allocD1Ev") __attribute__((weak));

/* ---- A runtime that came with a library ---- */

#define PATH_BYTES 4096
#define GET_NEW_HANDLER "_ZSt15get_new_handlerv"

/* A program without C++ may load a library of it: its runtime came later than the references above were settled, and
 * the library's own scope has it. NULL where that has no such name. What is found stays there: the library's code is
 * being run. */
RF_COLD static void *find_near(const rf_origin *origin, const char *name) {
  void *(*const load_library)(const char *, int) = (void *(*)(const char *, int))rf_real("dlopen");
  int (*const unload_library)(void *) = (int (*)(void *))rf_real("dlclose");
  char path[PATH_BYTES];
  void *const library =
      load_library != NULL && unload_library != NULL && rf_module_path_of(origin->caller, path, sizeof path)
          ? load_library(path[0] != '\0' ? path : NULL, RTLD_LAZY | RTLD_NOLOAD)
          : NULL;
  void *const found = library != NULL ? dlsym(library, name) : NULL;
  if (library != NULL) {
    (void)unload_library(library);
  }
  if (found == NULL) {
    rf_real_forget_errors();
  }
  return found;
}

/* The program's new handler, for a request that failed; NULL: there is none. */
RF_COLD static new_handler handler_now(const rf_origin *origin) {
  new_handler (*const get)(void) =
      get_new_handler != NULL ? get_new_handler : (new_handler(*)(void))find_near(origin, GET_NEW_HANDLER);
  return get != NULL ? get() : NULL;
}

/* ---- The owner of the base forms ---- */

extern void *own_new(size_t) __attribute__((alias(STRING(NEW)), visibility("hidden")));
extern void *own_new_aligned(size_t, size_t) __attribute__((alias(STRING(NEW_ALIGNED)), visibility("hidden")));
extern void *own_new_array(size_t) __attribute__((alias(STRING(NEW_ARRAY)), visibility("hidden")));
extern void *own_new_array_aligned(size_t, size_t)
    __attribute__((alias(STRING(NEW_ARRAY_ALIGNED)), visibility("hidden")));
extern void own_delete(void *) __attribute__((alias(STRING(DELETE)), visibility("hidden")));
extern void own_delete_aligned(void *, size_t) __attribute__((alias(STRING(DELETE_ALIGNED)), visibility("hidden")));
extern void own_delete_array(void *) __attribute__((alias(STRING(DELETE_ARRAY)), visibility("hidden")));
extern void own_delete_array_aligned(void *, size_t)
    __attribute__((alias(STRING(DELETE_ARRAY_ALIGNED)), visibility("hidden")));

#define REPLACED(name, own) (&(name) != &(own) && !rf_libc_is_jump((uintptr_t)(name)))

static bool new_replaced(void) {
  return REPLACED(NEW, own_new);
}
static bool new_aligned_replaced(void) {
  return REPLACED(NEW_ALIGNED, own_new_aligned);
}
static bool delete_replaced(void) {
  return REPLACED(DELETE, own_delete);
}
static bool delete_aligned_replaced(void) {
  return REPLACED(DELETE_ALIGNED, own_delete_aligned);
}

/* Those of arrays, on which further forms stand: true also where what these stand on is replaced. */
static bool new_array_replaced(void) {
  return new_replaced() || REPLACED(NEW_ARRAY, own_new_array);
}
static bool new_array_aligned_replaced(void) {
  return new_aligned_replaced() || REPLACED(NEW_ARRAY_ALIGNED, own_new_array_aligned);
}
static bool delete_array_replaced(void) {
  return delete_replaced() || REPLACED(DELETE_ARRAY, own_delete_array);
}
static bool delete_array_aligned_replaced(void) {
  return delete_aligned_replaced() || REPLACED(DELETE_ARRAY_ALIGNED, own_delete_array_aligned);
}

/* The answers stay the same, so they are kept: as a rule all is ours. */
static unsigned char known; /* 0: not yet, 1: all, 2: not all; accessed atomically */

RF_RARE static bool find_whether_all_ours(void) {
  bool const ours = !rf_malloc_is_replaced() && !new_array_replaced() && !new_array_aligned_replaced() &&
                    !delete_array_replaced() && !delete_array_aligned_replaced();
  __atomic_store_n(&known, ours ? 1 : 2, __ATOMIC_RELAXED);
  return ours;
}

/* False also where it is not known yet. */
RF_INLINE bool surely_all_ours(void) {
  return RF_LIKELY(__atomic_load_n(&known, __ATOMIC_RELAXED) == 1);
}

static inline bool all_ours(void) {
  return surely_all_ours() || (__atomic_load_n(&known, __ATOMIC_RELAXED) == 0 && find_whether_all_ours());
}

/* A program that replaces the aligned forms only may well make them of the plain ones. */
RF_RARE static rf_family of_replaced_kind(rf_family family) {
  if (new_array_replaced() || delete_array_replaced()) {
    return RF_FAMILY_MALLOC;
  }
  bool const plain = new_array_aligned_replaced() || delete_array_aligned_replaced();
  return plain ? (rf_family)((unsigned)family & ~(unsigned)RF_FAMILY_ALIGNED) : family;
}

static inline rf_family of_kind(rf_family family) {
  return all_ours() ? family : of_replaced_kind(family);
}

/* ---- Allocating ---- */

static size_t at_least_default(size_t align) {
  return align < RF_ALIGN_DEFAULT ? RF_ALIGN_DEFAULT : align;
}

typedef void *(*aligned_form)(size_t size, size_t align);

/* The C++ library's own operator knows which function it takes for an alignment. It may throw, and calls the new
 * handler. */
RF_RARE static void *request_from_theirs(size_t size, size_t align) {
  size_t const some = size != 0 ? size : 1;
  if (align <= RF_ALIGN_DEFAULT) {
    return malloc(some);
  }
  aligned_form const next = (aligned_form)rf_real(STRING(NEW_ALIGNED));
  return next != NULL ? next(size, align) : aligned_alloc(align, (some + align - 1) & ~(align - 1));
}

/* By the program's malloc where it has one, as the C++ library does. */
static inline void *request(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  if (!rf_is_pow2(align)) {
    return rf_malloc_reject(RF_REJECT_ALIGN, size, align, errno, origin);
  }
  if (!all_ours() && rf_malloc_is_replaced()) {
    return request_from_theirs(size, align);
  }
  return rf_malloc_impl_alloc(size, at_least_default(align), of_kind(family), origin);
}

/* Calls the program's new handler after each failure, as often as there is one; not where it could never help. */
static void *allocate(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  for (;;) {
    void *const p = request(size, align, family, origin);
    new_handler const handler = p == NULL && rf_is_pow2(align) ? handler_now(origin) : NULL;
    if (handler == NULL) {
      return p;
    }
    handler();
  }
}

typedef struct exception_parts {
  void *(*allocate)(size_t size);
  void (*throw_it)(void *exception, const void *type, void (*destroy)(void *));
  const void *type;
  const void *const *table;
  void (*destroy)(void *exception);
} exception_parts;

/* A std::bad_alloc has nothing but the address of its table of functions, behind two other entries. */
static void throw_by(const exception_parts *parts) {
  if (parts->allocate == NULL || parts->throw_it == NULL || parts->type == NULL || parts->table == NULL ||
      parts->destroy == NULL) {
    return;
  }
  const void *const *const table = parts->table + 2;
  void *const exception = parts->allocate(sizeof table);
  memcpy(exception, &table, sizeof table);
  parts->throw_it(exception, parts->type, parts->destroy);
}

static void throw_by_parts(void) {
  exception_parts const parts = {allocate_exception, throw, bad_alloc_type, bad_alloc_table, destroy_bad_alloc};
  throw_by(&parts);
}

/* The same, of a runtime that came with the caller's library. */
RF_COLD static void throw_near(const rf_origin *origin) {
  exception_parts const parts = {
      (void *(*)(size_t))find_near(origin, "__cxa_allocate_exception"),
      (void (*)(void *, const void *, void (*)(void *)))find_near(origin, "__cxa_throw"),
      find_near(origin, "_ZTISt9bad_alloc"),
      (const void *const *)find_near(origin, "_ZTVSt9bad_alloc"),
      (void (*)(void *))find_near(origin, "_ZNSt9bad_allocD1Ev"),
  };
  throw_by(&parts);
}

/* Into a static program the runtime's function is linked where something refers to it, as containers do, but what a
 * handler for std::bad_alloc names is there wherever there is a handler. */
static _Noreturn void fail(const rf_origin *origin) {
  if (throw_bad_alloc != NULL) {
    throw_bad_alloc();
  }
  throw_by_parts();
  throw_near(origin);
  abort();
}

/* In a base form of new, of `family`. NULL: to be served the long way. */
RF_INLINE void *shortly(size_t size, rf_family family) {
  if (!surely_all_ours()) {
    return NULL;
  }
  if (rf_forward_counts()) {
    return rf_forward.next.malloc(size);
  }
  return size <= RF_SMALL_MOST ? rf_short_alloc_here(size, family, false) : NULL;
}

RF_RARE static void *throwing(size_t size, size_t align, rf_family family, const rf_origin *origin) {
  void *const p = allocate(size, align, family, origin);
  if (__builtin_expect(p == NULL, 0)) {
    fail(origin);
  }
  return p;
}

/* The forms that do not throw call what may throw, the program's new handler or its replacement of new, and only C++
 * can catch. The runtime's own forms do, and go by way of the throwing forms; without a runtime there is nothing to
 * throw. */
typedef void *(*nothrow_form)(size_t size, nothrow tag);
typedef void *(*aligned_nothrow_form)(size_t size, size_t align, nothrow tag);

static bool may_throw(bool replaced) {
  return replaced || (get_new_handler != NULL && get_new_handler() != NULL);
}

static bool aligned_may_throw(bool replaced) {
  return may_throw(replaced) || (!all_ours() && rf_malloc_is_replaced());
}

/* The form behind ours, for a request that failed where a handler of a runtime that came later may help. */
RF_COLD static void *form_near(const char *name, const rf_origin *origin) {
  bool const handled = get_new_handler == NULL && handler_now(origin) != NULL;
  return handled ? find_near(origin, name) : NULL;
}

static void *not_throwing(size_t size, rf_family family, bool replaced, const char *name, nothrow tag,
                          const rf_origin *origin) {
  nothrow_form next = may_throw(replaced) ? (nothrow_form)rf_real(name) : NULL;
  if (next == NULL) {
    void *const p = request(size, RF_ALIGN_DEFAULT, family, origin);
    next = p == NULL ? (nothrow_form)form_near(name, origin) : NULL;
    if (next == NULL) {
      return p;
    }
  }
  return next(size, tag);
}

static void *aligned_not_throwing(size_t size, size_t align, rf_family family, bool replaced, const char *name,
                                  nothrow tag, const rf_origin *origin) {
  aligned_nothrow_form next = aligned_may_throw(replaced) ? (aligned_nothrow_form)rf_real(name) : NULL;
  if (next == NULL) {
    void *const p = request(size, align, family, origin);
    next = p == NULL ? (aligned_nothrow_form)form_near(name, origin) : NULL;
    if (next == NULL) {
      return p;
    }
  }
  return next(size, align, tag);
}

void *NEW(size_t size) {
  void *const p = shortly(size, RF_FAMILY_NEW);
  if (RF_LIKELY(p != NULL)) {
    return p;
  }
  rf_origin const origin = RF_CALLER;
  return throwing(size, RF_ALIGN_DEFAULT, RF_FAMILY_NEW, &origin);
}

void *NEW_ARRAY(size_t size) {
  void *const p = shortly(size, RF_FAMILY_NEW_ARRAY);
  if (RF_LIKELY(p != NULL)) {
    return p;
  }
  rf_origin const origin = RF_CALLER;
  if (new_replaced()) {
    return NEW(size);
  }
  return throwing(size, RF_ALIGN_DEFAULT, RF_FAMILY_NEW_ARRAY, &origin);
}

void *NEW_ALIGNED(size_t size, size_t align) {
  rf_origin const origin = RF_CALLER;
  return throwing(size, align, RF_FAMILY_NEW_ALIGNED, &origin);
}

void *NEW_ARRAY_ALIGNED(size_t size, size_t align) {
  rf_origin const origin = RF_CALLER;
  if (new_aligned_replaced()) {
    return NEW_ALIGNED(size, align);
  }
  return throwing(size, align, RF_FAMILY_NEW_ARRAY_ALIGNED, &origin);
}

void *NEW_NOTHROW(size_t size, nothrow tag) {
  rf_origin const origin = RF_CALLER;
  return not_throwing(size, RF_FAMILY_NEW, new_replaced(), STRING(NEW_NOTHROW), tag, &origin);
}

void *NEW_ARRAY_NOTHROW(size_t size, nothrow tag) {
  rf_origin const origin = RF_CALLER;
  return not_throwing(size, RF_FAMILY_NEW_ARRAY, new_array_replaced(), STRING(NEW_ARRAY_NOTHROW), tag, &origin);
}

void *NEW_ALIGNED_NOTHROW(size_t size, size_t align, nothrow tag) {
  rf_origin const origin = RF_CALLER;
  return aligned_not_throwing(size, align, RF_FAMILY_NEW_ALIGNED, new_aligned_replaced(), STRING(NEW_ALIGNED_NOTHROW),
                              tag, &origin);
}

void *NEW_ARRAY_ALIGNED_NOTHROW(size_t size, size_t align, nothrow tag) {
  rf_origin const origin = RF_CALLER;
  return aligned_not_throwing(size, align, RF_FAMILY_NEW_ARRAY_ALIGNED, new_array_aligned_replaced(),
                              STRING(NEW_ARRAY_ALIGNED_NOTHROW), tag, &origin);
}

/* ---- Freeing ---- */

/* In a form of delete, of `family`. True where it is done. */
RF_INLINE bool shortly_freed(void *ptr, rf_family family, size_t size) {
  if (!surely_all_ours()) {
    return false;
  }
  if (rf_forward_is_others(ptr)) {
    rf_forward.next.free(ptr);
  } else {
    rf_short_free_here(ptr, family, size, false);
  }
  return true;
}

RF_RARE static void release(void *ptr, rf_family family, size_t size, const rf_origin *origin) {
  if (!all_ours() && rf_malloc_is_replaced()) {
    free(ptr);
    return;
  }
  rf_family const kind = of_kind(family);
  rf_malloc_impl_free(ptr, kind, kind != RF_FAMILY_MALLOC ? size : SIZE_MAX, origin);
}

/* C++ wants the alignment that new was given. */
RF_RARE static void expect_align(const void *ptr, rf_family family, size_t align, const rf_origin *origin) {
  if (ptr != NULL && all_ours()) {
    rf_malloc_impl_expect_align(ptr, family, align, origin);
  }
}

#define EXPECT_ALIGN(family)                                                                                           \
  do {                                                                                                                 \
    rf_origin const called = RF_CALLER;                                                                                \
    expect_align(ptr, family, align, &called);                                                                         \
  } while (0)

void DELETE(void *ptr) {
  if (shortly_freed(ptr, RF_FAMILY_NEW, SIZE_MAX)) {
    return;
  }
  rf_origin const origin = RF_CALLER;
  release(ptr, RF_FAMILY_NEW, SIZE_MAX, &origin);
}

void DELETE_ALIGNED(void *ptr, size_t align) {
  EXPECT_ALIGN(RF_FAMILY_NEW_ALIGNED);
  if (shortly_freed(ptr, RF_FAMILY_NEW_ALIGNED, SIZE_MAX)) {
    return;
  }
  rf_origin const origin = RF_CALLER;
  release(ptr, RF_FAMILY_NEW_ALIGNED, SIZE_MAX, &origin);
}

/* The other forms: to the program's base form where it has one, else to the heap. `look` is made before. */
#define FREEING_AFTER(look, name, parameters, replaced, base_call, family, size)                                       \
  void name parameters {                                                                                               \
    look;                                                                                                              \
    if (shortly_freed(ptr, family, size)) {                                                                            \
      return;                                                                                                          \
    }                                                                                                                  \
    rf_origin const origin = RF_CALLER;                                                                                \
    if (replaced()) {                                                                                                  \
      base_call;                                                                                                       \
      return;                                                                                                          \
    }                                                                                                                  \
    release(ptr, family, size, &origin);                                                                               \
  }
#define FREEING(name, parameters, replaced, base_call, family, size)                                                   \
  FREEING_AFTER((void)0, name, parameters, replaced, base_call, family, size)
#define FREEING_ALIGNED(name, parameters, replaced, base_call, family, size)                                           \
  FREEING_AFTER(EXPECT_ALIGN(family), name, parameters, replaced, base_call, family, size)

FREEING(DELETE_SIZED, (void *ptr, size_t size), delete_replaced, DELETE(ptr), RF_FAMILY_NEW, size)
FREEING(DELETE_NOTHROW, (void *ptr, nothrow tag), delete_replaced, ((void)tag, DELETE(ptr)), RF_FAMILY_NEW, SIZE_MAX)
FREEING(DELETE_ARRAY, (void *ptr), delete_replaced, DELETE(ptr), RF_FAMILY_NEW_ARRAY, SIZE_MAX)
FREEING(DELETE_ARRAY_SIZED, (void *ptr, size_t size), delete_array_replaced, DELETE_ARRAY(ptr), RF_FAMILY_NEW_ARRAY,
        size)
FREEING(DELETE_ARRAY_NOTHROW, (void *ptr, nothrow tag), delete_array_replaced, ((void)tag, DELETE_ARRAY(ptr)),
        RF_FAMILY_NEW_ARRAY, SIZE_MAX)
FREEING_ALIGNED(DELETE_SIZED_ALIGNED, (void *ptr, size_t size, size_t align), delete_aligned_replaced,
                DELETE_ALIGNED(ptr, align), RF_FAMILY_NEW_ALIGNED, size)
FREEING_ALIGNED(DELETE_ALIGNED_NOTHROW, (void *ptr, size_t align, nothrow tag), delete_aligned_replaced,
                ((void)tag, DELETE_ALIGNED(ptr, align)), RF_FAMILY_NEW_ALIGNED, SIZE_MAX)
FREEING_ALIGNED(DELETE_ARRAY_ALIGNED, (void *ptr, size_t align), delete_aligned_replaced, DELETE_ALIGNED(ptr, align),
                RF_FAMILY_NEW_ARRAY_ALIGNED, SIZE_MAX)
FREEING_ALIGNED(DELETE_ARRAY_SIZED_ALIGNED, (void *ptr, size_t size, size_t align), delete_array_aligned_replaced,
                DELETE_ARRAY_ALIGNED(ptr, align), RF_FAMILY_NEW_ARRAY_ALIGNED, size)
FREEING_ALIGNED(DELETE_ARRAY_ALIGNED_NOTHROW, (void *ptr, size_t align, nothrow tag), delete_array_aligned_replaced,
                ((void)tag, DELETE_ARRAY_ALIGNED(ptr, align)), RF_FAMILY_NEW_ARRAY_ALIGNED, SIZE_MAX)
