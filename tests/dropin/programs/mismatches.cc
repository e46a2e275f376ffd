// Blocks that are freed in another way than they were allocated: argv[1] chooses. Compiled once more for fixed
// addresses, with TAKES_ADDRESSES.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

// C23 has them; older C libraries lack them in headers and code, so only the checked malloc defines them there.
extern "C" {
__attribute__((weak)) void free_sized(void *ptr, std::size_t size);
__attribute__((weak)) void free_aligned_sized(void *ptr, std::size_t align, std::size_t size);
}

namespace {

struct Base {
  char bytes[16];
};

struct Derived : Base {
  char more[32];
};

struct alignas(128) Wide {
  char bytes[100];
};

struct Case {
  const char *name;
  void (*run)();
};

const Case kCases[] = {
    {"malloc_delete", [] { ::operator delete(std::malloc(10)); }},
    {"malloc_delete_array", [] { ::operator delete[](std::malloc(10)); }},
    {"new_free", [] { std::free(::operator new(10)); }},
    {"new_delete_array", [] { ::operator delete[](::operator new(10)); }},
    {"new_array_free", [] { std::free(::operator new[](10)); }},
    {"new_array_delete", [] { ::operator delete(::operator new[](10)); }},
    {"new_realloc", [] { std::free(std::realloc(::operator new(10), 20)); }},
    {"new_delete_of_another_size", [] { delete static_cast<Base *>(new Derived); }},
    {"aligned_new_delete_of_another_size",
     [] { ::operator delete (::operator new(48, std::align_val_t(64)), std::size_t{16}, std::align_val_t(64)); }},
    {"new_array_delete_array_of_another_size", [] { ::operator delete[](::operator new[](48), std::size_t{16}); }},
    {"aligned_new_array_delete_array_of_another_size",
     [] { ::operator delete[](::operator new[](48, std::align_val_t(64)), std::size_t{16}, std::align_val_t(64)); }},
    {"malloc_free", [] { std::free(std::malloc(10)); }},
    {"new_delete", [] { ::operator delete(::operator new(10)); }},
    {"new_delete_sized", [] { delete new Derived; }},
    {"new_array_delete_array", [] { delete[] new Derived[3]; }},
    {"aligned_new_delete", [] { ::operator delete(::operator new(10, std::align_val_t(64)), std::align_val_t(64)); }},
    {"aligned_new_plain_delete", [] { ::operator delete(::operator new(10, std::align_val_t(64))); }},
    {"slightly_aligned_new_plain_delete", [] { ::operator delete(::operator new(10, std::align_val_t(8))); }},
    {"plain_new_aligned_delete", [] { ::operator delete(::operator new(10), std::align_val_t(64)); }},
    {"aligned_new_array_aligned_delete",
     [] { ::operator delete(::operator new[](10, std::align_val_t(64)), std::align_val_t(64)); }},
    {"aligned_new_delete_of_another_alignment",
     [] { ::operator delete(::operator new(64, std::align_val_t(64)), std::align_val_t(128)); }},
    {"aligned_new_delete_sized_of_another_alignment",
     [] { ::operator delete (::operator new(24, std::align_val_t(64)), std::size_t{24}, std::align_val_t(8)); }},
    {"slightly_aligned_new_delete_of_another_alignment",
     [] { ::operator delete(::operator new(24, std::align_val_t(8)), std::align_val_t(64), std::nothrow); }},
    {"aligned_new_array_delete_array_of_another_alignment",
     [] { ::operator delete[](::operator new[](100000, std::align_val_t(4096)), std::align_val_t(64)); }},
    {"slightly_aligned_new_delete",
     [] {
       ::operator delete(::operator new(24, std::align_val_t(8)), std::align_val_t(16));
       ::operator delete(::operator new(24, std::align_val_t(16)), std::align_val_t(16), std::nothrow);
       ::operator delete[](::operator new[](70000, std::align_val_t(1)), std::size_t{70000}, std::align_val_t(1));
       ::operator delete[](::operator new[](70000, std::align_val_t(65536)), std::align_val_t(65536));
       ::operator delete(nullptr, std::align_val_t(64));
     }},
    {"aligned_new_array_delete_array", [] { delete[] new Wide[3]; }},
    {"malloc_free_sized", [] { free_sized(std::malloc(10), 10); }},
    {"calloc_free_sized", [] { free_sized(std::calloc(3, 10), 30); }},
    {"aligned_alloc_free_aligned_sized", [] { free_aligned_sized(std::aligned_alloc(64, 128), 64, 128); }},
    {"malloc_free_sized_of_another_size", [] { free_sized(std::malloc(48), 16); }},
    {"aligned_alloc_free_of_another_size", [] { free_aligned_sized(std::aligned_alloc(16, 48), 16, 64); }},
    {"aligned_alloc_free", [] { std::free(std::aligned_alloc(64, 64)); }},
};

} // namespace

#if defined(TAKES_ADDRESSES)
void *(*volatile address_of_malloc)(std::size_t);
void *(*volatile address_of_new)(std::size_t);
void (*volatile address_of_delete)(void *) noexcept;
#endif

int main(int argc, char **argv) {
#if defined(TAKES_ADDRESSES)
  address_of_malloc = std::malloc;
  address_of_new = ::operator new;
  address_of_delete = ::operator delete;
#endif
  for (const Case &c : kCases) {
    if (argc > 1 && std::strcmp(argv[1], c.name) == 0) {
      c.run();
      std::puts("end");
      return 0;
    }
  }
  return 2;
}
