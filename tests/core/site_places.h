// Calls in each place where C++11 allows one. Compiles with and without sites, by gcc and clang: site_places_test.sh.
#ifndef RINGFENCE_TESTS_CORE_SITE_PLACES_H
#define RINGFENCE_TESTS_CORE_SITE_PLACES_H

extern "C" { // as some programs do
#include <ringfence/allocator.h>
#include <ringfence/memblocks.h>
}

namespace places {

static const rf_site *const initialiser = RF_HERE;
static const rf_site *const second = RF_HERE;

struct Member {
  const rf_site *site = RF_HERE;
};

inline const rf_site *argument(const rf_site *site = RF_HERE) {
  return site;
}

struct Base {
  const rf_site *site;
  Base() : site(RF_HERE) {}
};

inline const rf_site *in_lambda() {
  auto const l = [] { return RF_HERE; };
  return l();
}

template <class T> const rf_site *in_template() {
  return RF_HERE;
}

// Calls without sites, and pools that are ready before main, with no cast of C's.
RF_MEMBLOCKS_DEFINE_STATIC(pool, 64, 8, 64);
RF_MEMBLOCKS_DEFINE_STATIC(odd_pool, 20, 100, 4);
static uint32_t words[64];
RF_MEMBLOCKS_DEFINE_STATIC_WITH_EXT_BUF(outer_pool, 16, 16, words);

inline rf_memblocks *pool_of(int i) {
  return i == 0 ? &pool : i == 1 ? &odd_pool : &outer_pool;
}

// The calls themselves; without memory they are only compiled.

template <class A> struct Calls {
  static rf_allocator *allocator;
  void *block = rf_alloc(allocator, 8);
  void *aligned = rf_aligned_alloc(allocator, 16, 30);
  Calls() {}
  Calls(const Calls &) = delete;
  Calls &operator=(const Calls &) = delete;
  ~Calls() {
    rf_free(allocator, block);
    (void)rf_free(allocator, aligned);
  }
  static void *nested(size_t n, void *p = rf_calloc(allocator, 2, 3)) {
    return n != 0 ? rf_realloc(allocator, rf_alloc(allocator, n), 5) : p;
  }
};

template <class A> rf_allocator *Calls<A>::allocator = nullptr;

#if __cplusplus >= 201402L
constexpr bool in_constexpr(bool given) {
  if (given) {
    rf_free(nullptr, nullptr);
  }
  return given;
}
static_assert(!in_constexpr(false), "not evaluated");
#endif

#if __cplusplus >= 201703L
inline const rf_site *const variable = RF_HERE;
#endif

#if __cplusplus >= 202002L || !RF_SITES
using Block = decltype(rf_alloc(nullptr, 3));
static_assert(noexcept(rf_free(nullptr, nullptr)) || sizeof(Block) == sizeof(void *), "operands");
#endif

} // namespace places

#endif // RINGFENCE_TESTS_CORE_SITE_PLACES_H
