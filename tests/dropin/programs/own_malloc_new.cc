// A program with a malloc of its own, by which operator new of the C++ library must go.
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {
alignas(16) unsigned char arena[1 << 20];
std::size_t used;
int allocations;
int frees;
std::size_t aligned[8][2]; // requests with an alignment: alignment, size
int aligned_count;
} // namespace

// Nothing for no bytes, as a malloc may: an operator new of none is served all the same.
extern "C" void *malloc(std::size_t size) {
  if (size == 0) {
    return nullptr;
  }
  unsigned char *const p = arena + used;
  used += (size + 15) & ~std::size_t{15};
  allocations++;
  return p;
}

extern "C" void *aligned_alloc(std::size_t align, std::size_t size) {
  aligned[aligned_count][0] = align;
  aligned[aligned_count][1] = size;
  aligned_count++;
  used = (used + align - 1) & ~(align - 1);
  return malloc(size);
}

// The one that the C++ library takes for an alignment depends on its version.
extern "C" int posix_memalign(void **out, std::size_t align, std::size_t size) {
  *out = aligned_alloc(align, size);
  return 0;
}

extern "C" void *memalign(std::size_t align, std::size_t size) {
  return aligned_alloc(align, size);
}

extern "C" void free(void *p) {
  frees += p != nullptr ? 1 : 0;
}

int main() {
  int const allocated = allocations;
  int const freed = frees;
  int *volatile one = new int(1);
  delete one;
  char *volatile many = new char[100];
  delete[] many;
  std::size_t volatile none = 0;
  ::operator delete(::operator new(none));
  std::size_t const sizes[] = {0, 1, 63, 64, 65, 1000};
  for (std::size_t const size : sizes) {
    void *volatile p = ::operator new (size, std::align_val_t{64});
    ::operator delete (p, std::align_val_t{64});
  }
  std::printf("%d %d\n", allocations - allocated, frees - freed);
  for (int i = 0; i < aligned_count; i++) {
    std::printf("%zu aligned to %zu\n", aligned[i][1], aligned[i][0]);
  }
  return 0;
}
